"""What a pod may be told of itself: its fields and its containers' resources. Pure.
https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from ropewalk.kube.machinery import quantities
from ropewalk.kube.machinery.objects import Object, annotations_of, at, labels_of, name_of, namespace_of, uid_of
from ropewalk.kube.pods.sources import Missing, Place

_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")
_DEFAULTED = ("cpu", "memory", "ephemeral-storage")


def field(pod: Object, path: str, place: Place) -> str:
    """Raises `Missing` for a path that names nothing."""
    spec = pod.get("spec") or {}
    if keyed := _KEYED.fullmatch(path):
        held = labels_of(pod) if keyed[1] == "labels" else annotations_of(pod)
        return str(held.get(keyed[2], ""))
    match path:
        case "metadata.name":
            return name_of(pod)
        case "metadata.namespace":
            return namespace_of(pod)
        case "metadata.uid":
            return uid_of(pod)
        case "metadata.labels":
            return formatted(labels_of(pod))
        case "metadata.annotations":
            return formatted(annotations_of(pod))
        case "spec.nodeName":
            return str(spec.get("nodeName") or "")
        case "spec.serviceAccountName":
            return str(spec.get("serviceAccountName") or "")
        case "status.podIP" | "status.podIPs":
            return place.address
        case "status.hostIP" | "status.hostIPs":
            return place.host_address
    raise Missing(f"unsupported fieldPath: {path}")


def formatted(pairs: Mapping[str, str]) -> str:
    """One `key="value"` a line, in order."""
    return "\n".join(f"{key}={json.dumps(str(pairs[key]), ensure_ascii=False)}" for key in sorted(pairs))


def resource(pod: Object, container: Object, given: Object, place: Place) -> str:
    """The amount in units of the divisor, rounded up. Raises `Missing`."""
    wanted = given.get("containerName") or ""
    if wanted and wanted != container.get("name"):
        spec = pod.get("spec") or {}
        every = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
        found = next((each for each in every if each["name"] == wanted), None)
        if found is None:
            raise Missing(f"container {wanted} not found")
        container = found
    which = str(given.get("resource", ""))
    role, _, name = which.partition(".")
    if role not in ("limits", "requests") or not (name in _DEFAULTED or name.startswith("hugepages-")):
        raise Missing(f"unsupported container resource : {which}")
    amount = at(container, "resources", role, name) or "0"
    if role == "limits" and name in _DEFAULTED and not quantities.milli(amount):
        whole = at(pod, "spec", "resources", "limits", name)
        amount = (whole if whole and name in place.allocatable else None) or place.allocatable.get(name, "0")
    count = quantities.milli if name == "cpu" else quantities.whole
    divisor = count(given.get("divisor") or "1") or count("1")
    return str(-(-count(amount) // divisor))
