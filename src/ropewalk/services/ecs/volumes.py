"""Volumes of a task definition, and the mounts that name them.

Source: docs.aws.amazon.com/AmazonECS/latest/developerguide/using_data_volumes.html. Today's storage is scratch (lives
and dies with the task) and, on EC2, a host's path; network file systems and EBS come later and are refused by name.
"""

from __future__ import annotations

from typing import Any, Final

from ropewalk.services.ecs.faults import client, not_yet
from ropewalk.services.ecs.names import NAME
from ropewalk.services.ecs.records import Document

_LATER: Final = {
    "efsVolumeConfiguration": "Use a scratch volume (a name alone) for now.",
    "dockerVolumeConfiguration": "Use a scratch volume (a name alone) for now.",
    "fsxWindowsFileServerVolumeConfiguration": "Use a scratch volume (a name alone) for now.",
    "s3filesVolumeConfiguration": "Use a scratch volume (a name alone) for now.",
    "configuredAtLaunch": "EBS volumes cannot be attached at launch; use a scratch volume (a name alone) for now.",
}


def normalise(given: list[dict[str, Any]]) -> list[Document]:
    """Validated volumes as the API returns them."""
    names: set[str] = set()
    volumes: list[Document] = []
    for volume in given:
        name = volume.get("name") or ""
        if not NAME.match(name):
            raise client("Volume name should not be null or empty, and may hold letters, digits, hyphens, underscores.")
        if name in names:
            raise client(f"Duplicate volume name '{name}': volume names must be unique within a task definition.")
        names.add(name)
        for later, instead in _LATER.items():
            if volume.get(later):
                raise not_yet(f"Volume '{name}'", later, instead)
        host = volume.get("host")
        path = (host or {}).get("sourcePath") or ""
        if path and not path.startswith("/"):
            raise client(f"Volume '{name}': host.sourcePath must be an absolute path.")
        volumes.append({"name": name, "host": {"sourcePath": path} if path else {}})
    return volumes


def check_mounts(container: str, mounts: list[dict[str, Any]], volumes: set[str]) -> None:
    paths: set[str] = set()
    for mount in mounts:
        source, path = mount.get("sourceVolume") or "", mount.get("containerPath") or ""
        if source not in volumes:
            raise client(f"Unknown volume '{source}'.")
        if not path.startswith("/"):
            raise client(f"Container '{container}': mountPoints.containerPath must be an absolute path, not '{path}'.")
        if path in paths:
            raise client(f"Duplicate mount point '{path}' in container '{container}'.")
        paths.add(path)
