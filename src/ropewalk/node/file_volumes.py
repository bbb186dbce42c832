"""Volumes whose files the control plane gives and may change: written so that a reader sees all of a change or nothing.

    <volume>/..<version>/config/key      the files
    <volume>/..data -> ..<version>       one link, renamed over the old one: that is the change
    <volume>/config -> ..data/config     what a container sees

The layout is the kubelet's, so that programs which watch `..data` work. Blocking; for a thread.
https://kubernetes.io/docs/concepts/configuration/configmap/#mounted-configmaps-are-updated-automatically
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ropewalk.model.workload import File

DATA = "..data"


def write(folder: Path, files: Iterable[File], version: str, group: int | None = None) -> None:
    """Make the volume show just these files. `group` may read them. Raises OSError, also for a path that leads out of
    the volume.
    """
    files = list(files)
    fresh = folder / f"..{version}"
    current = os.readlink(folder / DATA) if (folder / DATA).is_symlink() else ""
    if current != fresh.name:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        fresh.chmod(0o755)
        for file in files:
            _write(fresh, file, group)
        link = folder / "..data_tmp"
        link.unlink(missing_ok=True)
        link.symlink_to(fresh.name)
        link.replace(folder / DATA)
    shown = {PurePosixPath(file.path).parts[0] for file in files}
    for name in shown:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"{DATA}/{name}")
    for entry in os.scandir(folder):
        if entry.name.startswith("..") and entry.name not in (DATA, fresh.name):
            shutil.rmtree(entry.path, ignore_errors=True)
        elif not entry.name.startswith("..") and entry.name not in shown:
            os.unlink(entry.path)


def _write(fresh: Path, file: File, group: int | None) -> None:
    path = PurePosixPath(file.path)
    if path.is_absolute() or not path.parts or ".." in path.parts or path.parts[0].startswith(".."):
        raise OSError(f"{file.path} is no path within a volume")
    target = fresh / path
    for parent in reversed(target.relative_to(fresh).parents):
        with contextlib.suppress(FileExistsError):
            (fresh / parent).mkdir(mode=0o755)
    target.write_bytes(file.content)
    target.chmod(file.mode if group is None else file.mode | 0o440)
    if group is not None:
        os.chown(target, -1, group)
