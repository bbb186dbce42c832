"""Where agents' log lines arrive: each batch is taken once, whatever is sent twice.

Implements `agents.ports.LogSink`. A line's rules are those of PutLogEvents, but nothing is refused for them: lines too
old or too new are dropped, as the awslogs driver's would be, and longer ones are cut into pieces.

The role as which an agent writes is asked for what the awslogs driver would call: CreateLogStream to open a stream,
CreateLogGroup where the group is made, PutLogEvents for lines. Lines of a workload whose record is gone, so that its
role is not known, are taken only where its stream was opened while it was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from ropewalk.aws.faults import spoken
from ropewalk.base.errors import Fault
from ropewalk.base.log import logger
from ropewalk.model.agent import LogBatch, LogLine, LogReceipt
from ropewalk.model.readers import RolePermissions
from ropewalk.services.logs.events import EVENT_BYTES, admissible
from ropewalk.services.logs.journal import EVENT_OVERHEAD, Source, StreamMissing
from ropewalk.services.logs.slice import LogGroup, Logs, check_group_name, check_stream_name, no_group
from ropewalk.store.protocol import KeyExists

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class JournalSink:
    logs: Logs
    permissions: RolePermissions

    async def append(self, batch: LogBatch, role_arn: str | None) -> LogReceipt:
        """Durable on return. The position answered is where the agent goes on from; a refusal is told, never raised."""
        try:
            return await self._append(batch, role_arn)
        except Fault as fault:
            held = await self.logs.journal.position(batch.workload, batch.container)
            return LogReceipt(batch.previous if held is None else held, f"{spoken(fault.code)}: {fault.message}")

    async def _append(self, batch: LogBatch, role: str | None) -> LogReceipt:
        logs = self.logs
        check_group_name(batch.group)
        check_stream_name(batch.stream)
        await self._ask(batch, role, "PutLogEvents" if batch.lines else "CreateLogStream", batch.stream)
        group = await self._group(batch, role)
        lines = sorted(_pieces(batch.lines), key=lambda line: line[0])
        first, end, rejected = admissible(logs, group, [timestamp for timestamp, _ in lines])
        if rejected:
            log.warning("log lines dropped", workload=batch.workload, container=batch.container, **rejected)
        source = Source(batch.workload, batch.container, batch.previous, batch.position)
        try:
            position = await logs.journal.append(group.uid, batch.stream, lines[first:end], logs.now(), source)
        except StreamMissing:
            if batch.lines:
                await self._ask(batch, role, "CreateLogStream", batch.stream)
            await logs.journal.create_stream(group.uid, batch.stream, logs.now())
            position = await logs.journal.append(group.uid, batch.stream, lines[first:end], logs.now(), source)
        return LogReceipt(position)

    async def _ask(self, batch: LogBatch, role: str | None, action: str, stream: str = "") -> None:
        """Raises `Fault` unless the role may."""
        if role:
            arn = f"arn:aws:logs:{self.logs.region}:{self.logs.account}:log-group:{batch.group}:log-stream:{stream}"
            await self.permissions.require(role, batch.workload, f"logs:{action}", arn)
        elif role is None and await self.logs.journal.position(batch.workload, batch.container) is None:
            raise Fault("AccessDenied", f"Workload {batch.workload} is not known here, nor has it written before.")

    async def _group(self, batch: LogBatch, role: str | None) -> LogGroup:
        logs = self.logs
        group = await logs.groups.get(batch.group)
        if group is None and batch.create_group:
            await self._ask(batch, role, "CreateLogGroup")
            with contextlib.suppress(KeyExists):
                await logs.groups.create(batch.group, logs.new_group(batch.group))
            group = await logs.groups.get(batch.group)
        if group is None:
            raise no_group()
        return group


def _pieces(lines: tuple[LogLine, ...]) -> Iterator[tuple[int, str]]:
    """Events of AWS's size; an empty line is no event."""
    most = EVENT_BYTES - EVENT_OVERHEAD
    for line in lines:
        encoded = line.message.encode("utf-8", "replace")
        if len(encoded) <= most:
            if encoded:
                yield line.timestamp_ms, encoded.decode()
            continue
        at = 0
        while at < len(encoded):
            end = min(at + most, len(encoded))
            while end < len(encoded) and encoded[end] & 0xC0 == 0x80:
                end -= 1
            yield line.timestamp_ms, encoded[at:end].decode()
            at = end
