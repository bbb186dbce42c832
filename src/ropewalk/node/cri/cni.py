"""The agent's end of CNI: containerd's plug-in dials this socket for every sandbox that comes or goes.

ADD finds the workload by its uid, has the host's network put the workload's interface into the sandbox's namespace, and
brings the loopback up. What was attached for which sandbox is written down first, in one small file a sandbox: so a DEL
finds the interface after a restart, and what went while the agent was away is collected (`collect`). DEL comes twice.

May not know how interfaces are made. A fabric that does not know an interface yet is asked again until `patience` ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from ropewalk.base.clock import Clock
from ropewalk.base.errors import Fault, Retryable
from ropewalk.base.log import logger
from ropewalk.model.host import Attached, Attachment, HostNetwork
from ropewalk.model.ids import InterfaceId, WorkloadUid
from ropewalk.model.workload import NetworkMode, Workload
from ropewalk.node.cri.plugin import VERSION

log = logger(__name__)

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_LARGEST_CALL = 1 << 20


class Placed(msgspec.Struct, frozen=True):
    """What a sandbox got."""

    uid: str
    namespace: str
    interface: str = ""


class CniError(Exception):
    """Goes back to containerd, and from there into the reason for which a sandbox could not be made."""


def raise_loopback(namespace: str) -> None:
    """Bring `lo` up in a network namespace, given its path. The thread that enters it ends with the call."""
    failure: list[OSError] = []

    def inside() -> None:
        try:
            descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
            finally:
                os.close(descriptor)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
                answer = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
                flags = struct.unpack("16sH14x", answer)[1] | _IFF_UP
                fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags))
        except OSError as error:
            failure.append(error)

    thread = threading.Thread(target=inside, name="raise-loopback")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]


def parse_call(data: bytes) -> dict[str, str]:
    """The CNI_ variables of a call, CNI_ARGS' own pairs among them under their own names."""
    head, _, _ = data.partition(b"\n\n")
    pairs = (line.partition("=") for line in head.decode().splitlines())
    variables = {name: value for name, _, value in pairs}
    arguments = (pair.partition("=") for pair in variables.get("CNI_ARGS", "").split(";"))
    return {**{name: value for name, _, value in arguments}, **variables}


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


class CniServer:
    """Serves the plug-in on one socket."""

    def __init__(self, path: Path, state: Path, network: HostNetwork, clock: Clock, patience: float = 60.0) -> None:
        self._path = path
        self._state = state
        self._network = network
        self._clock = clock
        self._patience = patience
        self._expected: dict[WorkloadUid, Workload] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Doing it again changes nothing."""
        if self._server is not None:
            return
        self._state.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self._path), limit=_LARGEST_CALL)
        self._path.chmod(0o600)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def expecting(self, workload: Workload) -> Iterator[None]:
        """While a sandbox of this workload is being made."""
        self._expected[workload.uid] = workload
        try:
            yield
        finally:
            self._expected.pop(workload.uid, None)

    def placed(self, sandbox: str) -> Placed | None:
        try:
            return msgspec.json.decode((self._state / sandbox).read_bytes(), type=Placed)
        except (OSError, msgspec.MsgspecError):
            return None

    async def collect(self, living: Iterable[str]) -> None:
        """Give back the interfaces of sandboxes that are not among the living."""
        kept = set(living)
        for name in sorted(os.listdir(self._state)):
            placed = self.placed(name)
            if name not in kept and (placed is None or WorkloadUid(placed.uid) not in self._expected):
                await self._release(name)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            code, answer = await self._answer(await reader.read(-1))
            writer.write(b"%d" % code + answer)
            await writer.drain()
        except OSError as error:
            log.warning("a CNI call was broken off", error=error)
        finally:
            writer.close()

    async def _answer(self, data: bytes) -> tuple[int, bytes]:
        call = parse_call(data)
        command, sandbox = call.get("CNI_COMMAND", ""), call.get("CNI_CONTAINERID", "")
        try:
            if not sandbox or "/" in sandbox or sandbox.startswith("."):
                raise CniError(f"no sandbox is named {sandbox!r}")
            if command == "ADD":
                return 0, msgspec.json.encode(await self._add(sandbox, call))
            if command == "DEL":
                await self._release(sandbox)
            return 0, b""
        except (CniError, Fault, Retryable, OSError) as error:
            log.warning("a CNI call failed", command=command, sandbox=sandbox, error=error)
            return 1, msgspec.json.encode({"cniVersion": VERSION, "code": 100, "msg": str(error)})
        except Exception:
            log.bug("a CNI call met a bug", command=command, sandbox=sandbox)
            return 1, msgspec.json.encode({"cniVersion": VERSION, "code": 999, "msg": "internal error of the agent"})

    async def _add(self, sandbox: str, call: dict[str, str]) -> dict[str, object]:
        workload = self._expected.get(WorkloadUid(call.get("K8S_POD_UID", "")))
        if workload is None:
            raise CniError("the agent that asked for this sandbox has ended; make it again")
        namespace, name = call["CNI_NETNS"], call.get("CNI_IFNAME", "eth0")
        interface = workload.interface.id if workload.interface else ""
        attached = None
        self._remember(sandbox, Placed(workload.uid, namespace, interface))
        await asyncio.to_thread(raise_loopback, namespace)
        if workload.network is NetworkMode.INTERFACE:
            if not interface:
                raise CniError("the workload wants an interface of its own and names none")
            attached = await self._attach(Attachment(InterfaceId(interface), namespace, name))
        return result(namespace, attached, name)

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

    async def _release(self, sandbox: str) -> None:
        """Detach the sandbox's interface, unless a later sandbox of the same workload has it now."""
        placed = self.placed(sandbox)
        if placed is not None and placed.interface:
            others = (self.placed(name) for name in os.listdir(self._state) if name != sandbox)
            if not any(other is not None and other.interface == placed.interface for other in others):
                await self._network.detach(InterfaceId(placed.interface))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._state / sandbox)
