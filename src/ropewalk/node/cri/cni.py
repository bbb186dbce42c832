"""The agent's end of CNI: what happens when containerd has made a sandbox's network namespace.

The plug-in's ADD finds the agent waiting, for exactly this workload, behind two FIFOs. The agent then has the host's
network put the workload's interface into the namespace and brings the loopback up, before the sandbox's first process
runs. What was attached for which sandbox is written down first, in one small file a sandbox, so that it can be given
back after a restart (`release`, `collect`).

May not know how interfaces are made. A fabric that does not know an interface yet is asked again until `patience` ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ropewalk.base.clock import Clock
from ropewalk.base.errors import Fault, Retryable
from ropewalk.base.log import logger
from ropewalk.model.host import Attached, Attachment, HostNetwork
from ropewalk.model.ids import InterfaceId, WorkloadUid
from ropewalk.model.workload import NetworkMode, Workload
from ropewalk.node.cri.namespaces import inside
from ropewalk.node.cri.plugin import ANSWER, REQUEST, VERSION

log = logger(__name__)

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


class Placed(msgspec.Struct, frozen=True):
    """What a sandbox got."""

    uid: str
    namespace: str
    interface: str = ""


class CniError(Exception):
    """Goes back to containerd, and from there into the reason for which a sandbox could not be made."""


def raise_loopback(namespace: str) -> None:
    """Bring `lo` up in a network namespace, given its path."""

    def up() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            answer = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
            flags = struct.unpack("16sH14x", answer)[1] | _IFF_UP
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags))

    inside(namespace, up)


@dataclass(frozen=True, slots=True)
class Call:
    """An ADD."""

    sandbox: str
    namespace: str
    name: str


def parse_call(line: bytes) -> Call:
    """Raises `CniError` for what the plug-in would never write."""
    words = line.decode(errors="replace").split(" ")
    if len(words) != 3 or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", words[0]) or not words[1].startswith("/"):
        raise CniError(f"not a call: {line!r}")
    return Call(*words)


def result(namespace: str, attached: Attached | None, name: str) -> dict[str, object]:
    """A CNI result. Without an interface it names the loopback's address: containerd insists on one."""
    if attached is None:
        return {
            "cniVersion": VERSION,
            "interfaces": [{"name": name, "sandbox": namespace}],
            "ips": [{"address": "127.0.0.1/32", "interface": 0}],
        }
    return {
        "cniVersion": VERSION,
        "interfaces": [{"name": name, "mac": attached.mac, "sandbox": namespace}],
        "ips": [
            {"address": address if "/" in address else f"{address}/32", "gateway": attached.gateway, "interface": 0}
            for address in attached.addresses
        ],
        "routes": [{"dst": "0.0.0.0/0"}],
    }


class CniCalls:
    """`folder` is private to root: its FIFOs are opened by the plug-in; `state` keeps what was attached."""

    def __init__(self, folder: Path, state: Path, network: HostNetwork, clock: Clock, patience: float = 60.0) -> None:
        self._folder = folder
        self._state = state
        self._network = network
        self._clock = clock
        self._patience = patience
        self._expected: set[WorkloadUid] = set()

    def open(self) -> None:
        """Make the folders, and drop the FIFOs of an agent that died: a plug-in that waits on one then fails."""
        for folder in (self._folder, self._state):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for stale in self._folder.iterdir():
            stale.unlink()

    @contextlib.asynccontextmanager
    async def expecting(self, workload: Workload) -> AsyncIterator[None]:
        """While a sandbox of this workload is being made."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", workload.uid):
            raise CniError(f"a workload cannot be named {workload.uid!r}")
        loop = asyncio.get_running_loop()
        paths = [self._folder / f"{workload.uid}.{suffix}" for suffix in (REQUEST, ANSWER)]
        self._expected.add(workload.uid)
        request, answer = (_open_fifo(path) for path in paths)
        line: asyncio.Future[bytes] = loop.create_future()
        loop.add_reader(request, _take_line, request, line)
        answering = asyncio.create_task(self._answer(workload, line, answer))
        try:
            yield
        finally:
            loop.remove_reader(request)
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
            for descriptor, path in zip((request, answer), paths, strict=True):
                os.close(descriptor)
                path.unlink(missing_ok=True)
            self._expected.discard(workload.uid)

    def placed(self, sandbox: str) -> Placed | None:
        try:
            return msgspec.json.decode((self._state / sandbox).read_bytes(), type=Placed)
        except (OSError, msgspec.MsgspecError):
            return None

    def claimed(self) -> list[str]:
        """Sandboxes that have something, but for those being made at this moment. Ask before listing the living."""
        placements = {name: self.placed(name) for name in sorted(os.listdir(self._state))}
        return [name for name, placed in placements.items() if placed is None or placed.uid not in self._expected]

    async def collect(self, claimed: Iterable[str], living: Iterable[str]) -> None:
        """Give back the interfaces of sandboxes that are not among the living."""
        kept = set(living)
        for name in claimed:
            if name not in kept:
                await self.release(name)

    async def release(self, sandbox: str) -> None:
        """Detach the sandbox's interface, unless a later sandbox of the same workload has it now."""
        placed = self.placed(sandbox)
        if placed is not None and placed.interface:
            others = (self.placed(name) for name in os.listdir(self._state) if name != sandbox)
            if not any(other is not None and other.interface == placed.interface for other in others):
                await self._network.detach(InterfaceId(placed.interface))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._state / sandbox)

    async def _answer(self, workload: Workload, line: asyncio.Future[bytes], answer: int) -> None:
        try:
            said = b"0 " + msgspec.json.encode(await self._add(workload, parse_call(await line)))
        except (CniError, Fault, Retryable, OSError) as error:
            log.warning("a sandbox gets no network", workload=workload.uid, error=error)
            said = b"1 " + msgspec.json.encode({"cniVersion": VERSION, "code": 100, "msg": str(error)})
        except Exception:
            log.bug("a CNI call met a bug", workload=workload.uid)
            said = b"1 " + msgspec.json.encode({"cniVersion": VERSION, "code": 999, "msg": "a bug in the agent"})
        os.write(answer, said + b"\n")

    async def _add(self, workload: Workload, call: Call) -> dict[str, object]:
        interface = workload.interface.id if workload.interface else ""
        wanted = workload.network is NetworkMode.INTERFACE
        if wanted and not interface:
            raise CniError("the workload wants an interface of its own and names none")
        self._remember(call.sandbox, Placed(workload.uid, call.namespace, interface if wanted else ""))
        await asyncio.to_thread(raise_loopback, call.namespace)
        attached = None
        if wanted:
            attached = await self._attach(Attachment(InterfaceId(interface), call.namespace, call.name))
        return result(call.namespace, attached, call.name)

    async def _attach(self, attachment: Attachment) -> Attached:
        until = self._clock.monotonic() + self._patience
        while True:
            try:
                return await self._network.attach(attachment)
            except Retryable as refusal:
                if self._clock.monotonic() >= until:
                    raise
                await self._clock.sleep(min(refusal.after, 0.1))

    def _remember(self, sandbox: str, placed: Placed) -> None:
        scratch = self._state / f".{sandbox}"
        scratch.write_bytes(msgspec.json.encode(placed))
        scratch.replace(self._state / sandbox)


def _open_fifo(path: Path) -> int:
    """A new FIFO, held open at both ends, so that neither we nor the plug-in ever wait for the other to open it."""
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def _take_line(descriptor: int, line: asyncio.Future[bytes]) -> None:
    """A line below PIPE_BUF arrives whole."""
    data = os.read(descriptor, 4096)
    if not line.done():
        line.set_result(data.rstrip(b"\n"))
