"""The group `storage.k8s.io`: classes of storage, and the drivers that provide it."""

from __future__ import annotations

from ropewalk.kube.kinds.storage.csi_drivers import CSIDrivers
from ropewalk.kube.kinds.storage.csi_nodes import CSINodes
from ropewalk.kube.kinds.storage.csi_storage_capacities import CSIStorageCapacities
from ropewalk.kube.kinds.storage.storage_classes import StorageClasses
from ropewalk.kube.kinds.storage.volume_attachments import VolumeAttachments
from ropewalk.kube.kinds.storage.volume_attributes_classes import VolumeAttributesClasses
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {
    "csidrivers": CSIDrivers(),
    "csinodes": CSINodes(),
    "csistoragecapacities": CSIStorageCapacities(),
    "storageclasses": StorageClasses(),
    "volumeattachments": VolumeAttachments(),
    "volumeattributesclasses": VolumeAttributesClasses(),
}
