"""Where a workload's files lie on the machine: its logs, and the folders behind its volumes.

    <root>/logs/<uid>/<container>/<attempt>.log
    <root>/volumes/<uid>/<volume>/
    <root>/parts/<uid>/<container>/<attempt>-<n>      a part of a volume, mounted there for a container
    <root>/messages/<uid>/<container>/<attempt>       what it may write its last words to

A simulated machine has no root: it keeps no files, and every path is "".
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ropewalk.model.workload import Container, Volume, Workload
from ropewalk.node import file_volumes, mounts


class Folders:
    def __init__(self, root: Path | None) -> None:
        self._root = root

    @property
    def real(self) -> bool:
        return self._root is not None

    def logs(self, uid: str) -> str:
        return "" if self._root is None else str(self._root / "logs" / _safe(uid))

    @staticmethod
    def log_path(container: str, attempt: int) -> str:
        """Relative to the workload's log folder."""
        return f"{_safe(container)}/{attempt}.log"

    def volumes(self, workload: Workload) -> dict[str, str]:
        """Volume name → folder of the machine."""
        return {v.name: v.path if v.kind == "host" else self._scratch(workload.uid, v.name) for v in workload.volumes}

    def prepare(self, workload: Workload) -> None:
        """Make what the workload's containers will find: blocking, for a thread."""
        if self._root is None:
            return
        for container in workload.containers:
            (self._root / "logs" / _safe(workload.uid) / _safe(container.name)).mkdir(parents=True, exist_ok=True)
        for volume in workload.volumes:
            if volume.kind == "memory":
                folder = Path(self._scratch(workload.uid, volume.name))
                mounts.memory(folder, volume.size_bytes)
                _open_to_all(folder, workload.volume_group)
            elif volume.kind == "scratch":
                folder = Path(self._scratch(workload.uid, volume.name))
                folder.mkdir(parents=True, exist_ok=True)
                _open_to_all(folder, workload.volume_group)

    def write_files(self, workload: Workload, volume: Volume) -> None:
        """Let a volume of files show what its record says: blocking. Raises OSError."""
        if self._root is not None:
            folder = Path(self._scratch(workload.uid, volume.name))
            folder.mkdir(parents=True, exist_ok=True)
            file_volumes.write(folder, volume.files, volume.version, workload.volume_group)

    def parts(self, workload: Workload, container: Container, attempt: int) -> dict[str, str]:
        """Path in the container → folder or file of the machine, for mounts of only a part of a volume: blocking.
        Raises OSError.
        """
        found: dict[str, str] = {}
        kinds = {volume.name: volume.kind for volume in workload.volumes}
        sources = self.volumes(workload)
        for number, mount in enumerate(container.mounts):
            if not mount.sub_path or self._root is None:
                continue
            volume, path = Path(sources[mount.volume]), mount.sub_path
            if kinds[mount.volume] == "files":  # links of our own making, which no container can change
                path = str((volume / path).resolve().relative_to(volume.resolve()))
            target = self._root / "parts" / _safe(workload.uid) / _safe(container.name) / f"{attempt}-{number}"
            mounts.part(volume, path, target)
            found[mount.path] = str(target)
        return found

    def message(self, uid: str, container: str, attempt: int) -> str:
        return "" if self._root is None else str(self._root / "messages" / _safe(uid) / _safe(container) / str(attempt))

    def files(self, workload: Workload, container: Container, attempt: int) -> dict[str, str]:
        """Path in the container → file of the machine, made if it is not there: blocking."""
        if self._root is None or not container.message_path:
            return {}
        path = Path(self.message(workload.uid, container.name, attempt))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(0o666)  # whoever the container runs as
        return {container.message_path: str(path)}

    def forget_run(self, uid: str, container: Container, attempt: int) -> None:
        """Take away what a run of the container has left, but for output that is still to be sent: blocking."""
        if self._root is None:
            return
        name = _safe(container.name)
        for part in (self._root / "parts" / _safe(uid) / name).glob(f"{attempt}-*"):
            mounts.release(part)
            if part.is_dir():
                part.rmdir()
            else:
                part.unlink()
        Path(self.message(uid, container.name, attempt)).unlink(missing_ok=True)
        if container.log is None:
            Path(self.logs(uid), self.log_path(container.name, attempt)).unlink(missing_ok=True)

    def remove_volumes(self, uid: str) -> None:
        if self._root is not None:
            for kind in ("parts", "volumes", "messages"):
                folder = self._root / kind / _safe(uid)
                if kind != "messages" and folder.exists():
                    mounts.release_below(folder)
                shutil.rmtree(folder, ignore_errors=True)

    def remove_logs(self, uid: str) -> None:
        if self._root is not None:
            shutil.rmtree(self._root / "logs" / _safe(uid), ignore_errors=True)

    def _scratch(self, uid: str, volume: str) -> str:
        return "" if self._root is None else str(self._root / "volumes" / _safe(uid) / _safe(volume))


def _open_to_all(folder: Path, group: int | None) -> None:
    """Any user of any container of the workload may write, as on a fresh Docker volume of root's image; what is made in
    it belongs to the group, where there is one.
    """
    if group is not None:
        os.chown(folder, -1, group)
    folder.chmod(0o777 if group is None else 0o2777)


def _safe(name: str) -> str:
    """One path component: names come from validated records, but a path must not depend on that."""
    return name.replace("/", "_").replace("\0", "_").lstrip(".") or "_"
