"""Bind mounts and tmpfs on the machine, for volumes: made, and taken away again.

A part of a volume (Kubernetes' subPath) is mounted from a descriptor that was reached without following a link: a
container which shares the volume may put a link there at any moment, and must not be given the machine by it.
Blocking; for a thread. https://kubernetes.io/docs/concepts/storage/volumes/#using-subpath
"""

from __future__ import annotations

import ctypes
import os
import stat
from pathlib import Path, PurePosixPath

_MS_BIND, _MS_NOSUID, _MS_NODEV = 0x1000, 0x2, 0x4
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8
_libc = ctypes.CDLL(None, use_errno=True)


def _mount(source: str, target: Path, kind: str | None, flags: int, options: str | None) -> None:
    words = [None if word is None else word.encode() for word in (source, str(target), kind)]
    data = None if options is None else options.encode()
    if _libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), data) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {target}: {os.strerror(number)}")


def memory(folder: Path, size_bytes: int) -> None:
    """A tmpfs at the folder, unless one is there; `size_bytes` 0 takes the kernel's default."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.path.ismount(folder):
        _mount("tmpfs", folder, "tmpfs", _MS_NOSUID | _MS_NODEV, f"size={size_bytes}" if size_bytes else None)


def part(volume: Path, path: str, target: Path) -> None:
    """Bind what lies at `path` in the volume to `target`; a folder is made where nothing is. Raises OSError."""
    descriptor = _reached(volume, path)
    try:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.ismount(target):
            release(target)
        if folder:
            target.mkdir(exist_ok=True)
        else:
            target.touch()
        _mount(f"/proc/self/fd/{descriptor}", target, None, _MS_BIND, None)
    finally:
        os.close(descriptor)


def _reached(volume: Path, path: str) -> int:
    """A descriptor of it, no link followed on the way."""
    parts = PurePosixPath(path).parts
    if PurePosixPath(path).is_absolute() or ".." in parts:
        raise OSError(f"subPath {path} leads out of its volume")
    held = os.open(volume, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in parts:
        try:
            following = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=held)
        except FileNotFoundError:
            os.mkdir(name, 0o750, dir_fd=held)
            os.chmod(name, stat.S_IMODE(os.fstat(held).st_mode), dir_fd=held)
            following = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=held)
        finally:
            os.close(held)
        held = following
        if stat.S_ISLNK(os.fstat(held).st_mode):
            os.close(held)
            raise OSError(f"subPath {path} leads over a link")
    return held


def release(target: Path) -> None:
    """Unmount it, with whatever was mounted over it; nothing there is no error."""
    while _libc.umount2(os.fsencode(target), _MNT_DETACH | _UMOUNT_NOFOLLOW) == 0:
        pass


def release_below(folder: Path) -> None:
    """Unmount everything below the folder, before it is removed: removing must never reach into what is mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        points = [line.split(" ", 5)[4].replace("\\040", " ") for line in lines]
    for point in sorted((p for p in points if p.startswith(f"{folder}/")), reverse=True):
        release(Path(point))
