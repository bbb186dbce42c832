"""Network namespaces: make, enter, keep and remove them. The only place of this package that calls setns and mount.

A namespace is kept alive by a bind mount of its nsfs file, so that it outlives this process. Entering one changes the
calling thread only; `inside` therefore runs in worker threads, never in the event loop's, and always brings the thread
back. What a thread opens inside (a socket, a child process) stays there for good: that is how sockets of a router are
made for processes that live outside it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MNT_DETACH = 2
_NSFS_MAGIC = 0x6E736673

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def open_namespace(path: str | Path) -> int:
    """A file descriptor of the network namespace at `path`.

    Raises OSError (ENOENT where the file is gone, EINVAL where it is a file but no namespace: left over by a reboot).
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not _is_namespace(descriptor):
            raise OSError(errno.EINVAL, f"{path} is not a network namespace")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


class _Statfs(ctypes.Structure):
    _fields_ = (("f_type", ctypes.c_long), ("rest", ctypes.c_long * 31))


def _is_namespace(descriptor: int) -> bool:
    answer = _Statfs()
    _check(_libc.fstatfs(descriptor, ctypes.byref(answer)), "fstatfs")
    return int(answer.f_type) == _NSFS_MAGIC


def identity(descriptor: int) -> str:
    """What tells one namespace from every other of this boot."""
    status = os.fstat(descriptor)
    return f"{status.st_dev}:{status.st_ino}"


def own_namespace() -> int:
    """The calling thread's network namespace, opened."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def inside(descriptor: int) -> Iterator[None]:
    """The calling thread is in the namespace for the length of the block."""
    if threading.current_thread() is threading.main_thread():
        raise RuntimeError("the main thread must not change its network namespace")
    back = own_namespace()
    try:
        _check(_libc.setns(descriptor, _CLONE_NEWNET), "setns")
        try:
            yield
        finally:
            _check(_libc.setns(back, _CLONE_NEWNET), "setns back")
    finally:
        os.close(back)


def create(path: Path) -> None:
    """Make a namespace that stays at `path`. A namespace already there is left as it is; anything else is replaced."""
    with contextlib.suppress(OSError):
        os.close(open_namespace(path))
        return
    remove(path)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.touch(mode=0o444)
    failure: list[BaseException] = []

    def make() -> None:
        try:
            _check(_libc.unshare(_CLONE_NEWNET), "unshare")
            source = f"/proc/self/task/{threading.get_native_id()}/ns/net".encode()
            _check(_libc.mount(source, os.fsencode(path), None, _MS_BIND, None), f"mount {path}")
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=make, name="namespace")
    thread.start()
    thread.join()
    if failure:
        path.unlink(missing_ok=True)
        raise failure[0]


def remove(path: Path) -> None:
    """Let go of the namespace at `path`: it dies with its last process and socket. Nothing there is no error."""
    while _libc.umount2(os.fsencode(path), _MNT_DETACH) == 0:
        pass
    number = ctypes.get_errno()
    if number not in (errno.EINVAL, errno.ENOENT):
        raise OSError(number, f"umount {path}: {os.strerror(number)}")
    path.unlink(missing_ok=True)
