"""What a container has left to say when it has ended: a file that it may write, else the end of its output.

Limits are the kubelet's. https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

from __future__ import annotations

from pathlib import Path

from ropewalk.model.workload import Workload
from ropewalk.node.folders import Folders

LONGEST = 4096
LOG_LINES, LOG_BYTES = 80, 2048
_TAIL = 64 * 1024
"""Bytes of a log file that are looked at: more than so many lines of it ever need."""


def last_words(folders: Folders, workload: Workload, container: str, attempt: int, exit_code: int) -> str:
    """One small blocking read or two."""
    spec = workload.container(container)
    if not folders.real or not spec.message_path:
        return ""
    path = Path(folders.message(workload.uid, container, attempt))
    try:
        with path.open("rb") as file:
            said = file.read(LONGEST)
    except FileNotFoundError:
        said = b""
    except OSError as error:
        return f"Error on reading termination log {path}: {error}"
    if not said and spec.message_from_log and exit_code != 0:
        said = _of_log(Path(folders.logs(workload.uid)) / folders.log_path(container, attempt))
    return said.decode(errors="replace")


def _of_log(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL))
            lines = file.read().splitlines()
    except OSError:
        return b""
    texts: list[bytes] = []
    for line in lines[-LOG_LINES:]:
        words = line.split(b" ", 3)
        if len(words) == 4:
            texts.append(words[3] + (b"\n" if words[2] == b"F" else b""))
    return b"".join(texts)[-LOG_BYTES:]
