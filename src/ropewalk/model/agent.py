"""The agent protocol's messages: small, versioned, one JSON document a line.

Agents dial; the control plane never does. Over one HTTP server (a Unix socket on one host, mutual TLS between hosts):

    GET  /agent/v1/watch?machine=M&session=S&streams=V   chunked stream of `Down` messages, one a line; `streams` is the
                                               version of streams that the agent speaks, absent where it knows none
    POST /agent/v1/report                      a `Report`; answered by a `Receipt`
    POST /agent/v1/logs                        a `LogBatch`; answered by a `LogReceipt`
    GET  /agent/v1/credentials?machine=M&workload=U&name=N    a `TemporaryKeys`
    POST /agent/v1/streams/ID?machine=M        upgraded to a stream (`model/streams.py`), once
    GET  /agent/v1/fabric?host=H               chunked stream of `FabricDown` messages: a `Fabric` first, then changes

**Absence never means stop.** A `Snapshot` is complete for its (store id, epoch); it stops only those workloads whose
accepted generation is of that same store and epoch and not newer than the snapshot. Everything else an agent holds and
the snapshot does not name is kept and reported as it is: an emptied or restored store stops nothing.
"""

from __future__ import annotations

from typing import Union

import msgspec

from ropewalk.model.ids import MachineId, Owner, WorkloadUid
from ropewalk.model.network import Fabric, FabricChange
from ropewalk.model.status import WorkloadStatus
from ropewalk.model.workload import Generation, Record, Workload

PROTOCOL_VERSION = 1


class Hello(Record, frozen=True, tag="hello", tag_field="type"):
    """First line of a watch."""

    version: int
    owner: Owner
    machine: MachineId
    clock: float
    """The control plane's wall time: agents report skew, they do not follow it."""


class Apply(Record, frozen=True, tag="apply", tag_field="type"):
    """Run this workload, or (desire STOP) stop it."""

    workload: Workload


class Snapshot(Record, frozen=True, tag="snapshot", tag_field="type"):
    """Every workload of this machine has been sent by `Apply` up to `generation`; these are all their uids."""

    generation: Generation
    uids: tuple[WorkloadUid, ...]


class Forget(Record, frozen=True, tag="forget", tag_field="type"):
    """The control plane has taken the final status: the agent may drop its record of a stopped workload."""

    uid: WorkloadUid


class Ping(Record, frozen=True, tag="ping", tag_field="type"):
    """Sent when the stream has been quiet; an agent that misses three dials again."""


class Dial(Record, frozen=True, tag="dial", tag_field="type"):
    """Dial back on this stream, once: what is wanted is said there. Sent only to agents that know streams."""

    stream: str


Down = Union[Hello, Apply, Snapshot, Forget, Ping, Dial]


class MachineFacts(Record, frozen=True):
    """What an agent knows of its machine."""

    machine: MachineId
    hostname: str
    cpu_millis: int
    memory_bytes: int
    zone: str = ""
    agent_version: str = ""
    runtime_version: str = ""
    isolations: tuple[str, ...] = ("runc",)
    kinds: tuple[str, ...] = ("fargate",)
    """What it may host: "fargate", "instance"."""


class Report(Record, frozen=True):
    machine: MachineFacts
    session: str
    statuses: tuple[WorkloadStatus, ...] = ()
    """Complete statuses of every workload changed since the last acknowledged report."""
    complete: bool = False
    """True on the first report of a session: the machine holds these workloads and no others."""


class Receipt(Record, frozen=True):
    acknowledged: tuple[tuple[WorkloadUid, int], ...] = ()
    """(uid, sequence) now durable in the control plane's store."""
    forget: tuple[WorkloadUid, ...] = ()


class LogLine(Record, frozen=True):
    timestamp_ms: int
    message: str


class LogBatch(Record, frozen=True):
    """Lines of one container, in order. `position` is the agent's offset after the last of them: a batch sent twice is
    recognised by it and taken once.
    """

    machine: MachineId
    workload: WorkloadUid
    container: str
    group: str
    stream: str
    create_group: bool
    previous: int
    position: int
    lines: tuple[LogLine, ...]
    credentials: str = ""


class LogReceipt(Record, frozen=True):
    position: int
    """What the control plane has, durably: the agent goes on from here."""
    failure: str = ""
    """AWS code and message, where the lines cannot be taken (no such group, access denied)."""


class FabricWhole(Record, frozen=True, tag="fabric", tag_field="type"):
    fabric: Fabric


class FabricDelta(Record, frozen=True, tag="change", tag_field="type"):
    change: FabricChange


FabricDown = Union[FabricWhole, FabricDelta, Ping]


DOWN_DECODER: msgspec.json.Decoder[Down] = msgspec.json.Decoder(Down)
FABRIC_DECODER: msgspec.json.Decoder[FabricDown] = msgspec.json.Decoder(FabricDown)
WORKLOADS = "/waist/workloads/"
"""Store prefix; keys are `<machine>/<uid>`."""
STATUSES = "/waist/statuses/"
"""Store prefix of reported statuses; keys are `<machine>/<uid>`."""
MACHINES = "/waist/machines/"
"""Store prefix of `MachineFacts` as last reported; keys are machine ids."""
