"""The nursery: a process that has imported all that a kube process needs, and forks one whenever somebody asks.

Imports take most of a cluster's start; here they are done once. The nursery has no thread, no loop and no database, or
a fork would copy half of them: it waits on a Unix socket in the run folder, reads one line of JSON (`{"home": …}`) from
a caller of its own user, and answers with the pid. The child begins a session of its own with its own log, and is from
then on like any other kube process: found by its pid file, ended by a signal, alive when the nursery is gone. What was
imported is shared with the nursery until it is written to, and set aside from the garbage collector, so that it stays
shared.

It runs commands as well (`{"arguments": …, "environment": …, "folder": …}`, with the caller's three standard files): a
command that starts a cluster would import for longer than the cluster takes to start (`cli/warm`). The child answers
with the command's exit status.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec

from ropewalk.base.collecting import settling
from ropewalk.base.errors import Fault
from ropewalk.base.settings import Settings
from ropewalk.daemon.processes import DetachedProcess, own_command

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "kube-nursery"
_REQUEST_BYTES = 512 * 1024
"""Of which an environment takes most."""
_PATIENCE = 2.0
"""Seconds that a caller may take to say what it wants, and the nursery to answer."""
_READY_WITHIN = 30.0
_CREDENTIALS = struct.Struct("3i")
"""Of SO_PEERCRED: pid, uid, gid."""


class Cluster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    home: str
    """Its folder."""


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    arguments: list[str]
    environment: dict[str, str]
    folder: str
    """Where it was given."""


class Answer(msgspec.Struct, frozen=True):
    pid: int = 0
    refusal: str = ""


class Ended(msgspec.Struct, frozen=True):
    status: int


class _Refused(Exception):
    pass


def process_of(home: Path) -> DetachedProcess:
    settings = Settings(home=home)
    return DetachedProcess(NAME, settings.run, settings.logs)


def socket_of(home: Path) -> Path:
    return Settings(home=home).run / f"{NAME}.sock"


# --- its life


def start(home: Path, module: str) -> None:
    """Start the nursery, or find it running. Returns once it can fork. Raises `Fault`. `module` calls our `main`."""
    from ropewalk.base.clock import SystemClock

    process, clock = process_of(home), SystemClock()
    process.start((sys.executable, "-m", module, str(home.absolute())))
    until = clock.monotonic() + _READY_WITHIN
    while clock.monotonic() < until and process.record() is not None:
        if is_open(home):
            return
        clock.pause(0.01)
    raise Fault("NotReady", f"The nursery did not come up. Its last words:\n{process.tail(8)}")


def stop(home: Path) -> None:
    process_of(home).stop()


# --- asking


def fork(home: Path, process: DetachedProcess, folder: Path) -> bool:
    """Have the nursery of `home` make `process`, serving `folder`. False where none runs, or it will not."""
    process.make_folders()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_PATIENCE)
            connection.connect(str(socket_of(home)))
            connection.sendall(msgspec.json.encode(Cluster(str(folder.absolute()))) + b"\n")
            answer = msgspec.json.decode(_line(connection)[0], type=Answer)
    except (OSError, msgspec.MsgspecError):
        return False
    if not answer.pid:
        return False
    process.remember(answer.pid, own_command("kube", folder))
    return True


def is_open(home: Path) -> bool:
    """Whether somebody listens there."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(socket_of(home)))
        return True
    return False


def _line(connection: socket.socket) -> tuple[bytes, list[int]]:
    """A line, and the files that came with it."""
    data, files, _, _ = socket.recv_fds(connection, 65536, 3)
    while b"\n" not in data and len(data) <= _REQUEST_BYTES:
        part = connection.recv(65536)
        if not part:
            break
        data += part
    return data, list(files)


# --- forking


class Nursery:
    """Forks `serve`, given a home, or `command`, given arguments, for whoever may ask."""

    def __init__(
        self, listener: socket.socket, serve: Callable[[str], None], command: Callable[[list[str]], int]
    ) -> None:
        self._listener = listener
        self._serve = serve
        self._command = command

    def run(self) -> NoReturn:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel takes the children's ends
        while True:
            connection, _ = self._listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(_PATIENCE)
                self._handle(connection)

    def _handle(self, connection: socket.socket) -> None:
        line, files = _line(connection)  # also from who is refused: with words unread the answer would not reach him
        try:
            pid = self._forked(self._wanted(connection, line, files), connection, files)
        except _Refused as refused:
            connection.sendall(msgspec.json.encode(Answer(refusal=str(refused))) + b"\n")
        else:
            if pid is not None:
                connection.sendall(msgspec.json.encode(Answer(pid)) + b"\n")
        finally:
            for file in files:
                os.close(file)

    def _wanted(self, connection: socket.socket, line: bytes, files: list[int]) -> Cluster | Command:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, _ = _CREDENTIALS.unpack(credentials)
        if uid not in (0, os.geteuid()):
            raise _Refused("the nursery serves its own user")
        try:
            if not files:
                wanted = msgspec.json.decode(line, type=Cluster)
                if not Path(wanted.home).is_absolute():
                    raise _Refused("the home must be an absolute path")
                return wanted
            if len(files) != 3 or uid != os.geteuid():
                raise _Refused("a command is its user's, and has three files")
            return msgspec.json.decode(line, type=Command)
        except msgspec.MsgspecError as error:
            raise _Refused(f"one line of JSON was expected: {error}") from None

    def _forked(self, wanted: Cluster | Command, connection: socket.socket, files: list[int]) -> int | None:
        """The child's pid; None where the child itself answers."""
        pid = os.fork()
        if isinstance(wanted, Command):
            if pid == 0:
                self._be(lambda: self._run(wanted, connection, files))
            return None
        if pid == 0:
            self._be(lambda: self._cluster(wanted, connection))
        return pid

    def _be(self, life: Callable[[], None]) -> NoReturn:
        """In the child: never return to the nursery's code, whatever happens."""
        status = 1
        try:
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            self._listener.close()
            life()
            status = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            _flush()
            os._exit(status)

    def _cluster(self, wanted: Cluster, connection: socket.socket) -> None:
        os.setsid()
        connection.close()
        self._serve(wanted.home)

    def _run(self, wanted: Command, connection: socket.socket, files: list[int]) -> None:
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.environ.clear()
        os.environ.update(wanted.environment)
        os.chdir(wanted.folder)
        status = 1
        try:
            status = self._command(wanted.arguments)
        finally:
            _flush()
            connection.settimeout(None)
            connection.sendall(msgspec.json.encode(Ended(status)) + b"\n")


def _flush() -> None:
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()


def warm_up() -> None:
    """Import a kube process, with what it would import at its first need; read what all read alike: kinds' shapes."""
    import jwt  # noqa: F401
    import uvloop  # noqa: F401
    from cryptography.hazmat.backends.openssl import backend  # noqa: F401

    from ropewalk.daemon import kube_process  # noqa: F401
    from ropewalk.kube.kinds.catalogue import plain_strategies
    from ropewalk.kube.kinds.definitions import definitions
    from ropewalk.kube.kinds.table import RESOURCES
    from ropewalk.kube.machinery import yaml_text  # noqa: F401
    from ropewalk.kube.scheduler import starting
    from ropewalk.kube.streams import terminate  # noqa: F401

    starting.load()
    plain_strategies()
    types = definitions()
    for info in RESOURCES:
        types.schema(info.gvk).fields  # noqa: B018 - read where they are first asked for


def serve_child(home: str) -> None:
    from ropewalk.daemon import early, entry, kube_process
    from ropewalk.daemon.installation import load_settings

    settings = load_settings(Path(home))
    early.print_to(process_log(settings))
    os.chdir("/")
    entry.run(kube_process.serve, settings)


def process_log(settings: Settings) -> Path:
    return DetachedProcess("kube", settings.run, settings.logs).log_file


def listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path.unlink(missing_ok=True)
    listener.bind(str(path))
    path.chmod(0o600)  # before it listens
    listener.listen(64)
    return listener


def main(home: Path, warm: Callable[[], None], command: Callable[[list[str]], int]) -> None:
    """The process: `warm` imports for the children, `command` is what one of them runs."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with settling():
        warm()
        path = socket_of(home)
        path.parent.mkdir(parents=True, exist_ok=True)
        listener = listen(path)
        threads = len(os.listdir("/proc/self/task"))
        if threads != 1:
            raise SystemExit(f"the nursery has {threads} threads: a fork would lose all but one")
    try:
        Nursery(listener, serve_child, command).run()
    finally:
        path.unlink(missing_ok=True)
