"""Where a workload's files lie on the machine: its logs, and the folders behind its volumes.

    <root>/logs/<uid>/<container>/<attempt>.log
    <root>/volumes/<uid>/<volume>/
    <root>/messages/<uid>/<container>/<attempt>       what it may write its last words to

A simulated machine has no root: it keeps no files, and every path is "".
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ropewalk.model.workload import Container, Workload


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
            if volume.kind == "scratch":
                folder = Path(self._scratch(workload.uid, volume.name))
                folder.mkdir(parents=True, exist_ok=True)
                # Any user of any container of the workload may write, as on a fresh Docker volume of root's image.
                folder.chmod(0o777)

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

    def remove_volumes(self, uid: str) -> None:
        if self._root is not None:
            for kind in ("volumes", "messages"):
                shutil.rmtree(self._root / kind / _safe(uid), ignore_errors=True)

    def remove_logs(self, uid: str) -> None:
        if self._root is not None:
            shutil.rmtree(self._root / "logs" / _safe(uid), ignore_errors=True)

    def _scratch(self, uid: str, volume: str) -> str:
        return "" if self._root is None else str(self._root / "volumes" / _safe(uid) / _safe(volume))


def _safe(name: str) -> str:
    """One path component: names come from validated records, but a path must not depend on that."""
    return name.replace("/", "_").replace("\0", "_").lstrip(".") or "_"
