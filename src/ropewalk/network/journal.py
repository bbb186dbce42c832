"""What a host agent must remember across its own death: attachments, served ports, and the fabric they stand on.

Appended before anything is done in the kernel, so that nothing of ours exists there that the journal does not name. No
fsync: what it describes is kernel state, which a power cut takes with it. A torn last line (the process died in the
middle of a write) is dropped.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Union

import msgspec

from ropewalk.base.log import logger
from ropewalk.model.host import Attachment
from ropewalk.model.ids import InterfaceId, VpcId
from ropewalk.model.network import Fabric, FabricInterface
from ropewalk.model.workload import Record

log = logger(__name__)
_COMPACT_AFTER = 1000
"""Lines beyond twice what is alive."""


class Held(Record, frozen=True, tag="attached", tag_field="event"):
    """An interface that was put, or was about to be put, into a namespace."""

    attachment: Attachment
    record: FabricInterface


class Released(Record, frozen=True, tag="detached", tag_field="event"):
    interface: InterfaceId


class Listening(Record, frozen=True, tag="listening", tag_field="event"):
    vpc: VpcId
    address: str
    port: int


class Forgotten(Record, frozen=True, tag="forgotten", tag_field="event"):
    """A VPC whose router is gone, with all that it served."""

    vpc: VpcId


Event = Union[Held, Released, Listening, Forgotten]
_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_FABRIC: msgspec.json.Decoder[Fabric] = msgspec.json.Decoder(Fabric)


class Journal:
    """`<folder>/attachments.jsonl` and `<folder>/fabric.json`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._events = folder / "attachments.jsonl"
        self._fabric = folder / "fabric.json"
        self.held: dict[InterfaceId, Held] = {}
        self.listening: set[Listening] = set()
        self._lines = 0
        self._load()
        self._compact()
        self._file = self._events.open("ab", buffering=0)

    def close(self) -> None:
        self._file.close()

    def append(self, event: Event) -> None:
        self._take(event)
        self._file.write(msgspec.json.encode(event) + b"\n")
        self._lines += 1
        if self._lines > 2 * (len(self.held) + len(self.listening)) + _COMPACT_AFTER:
            self._file.close()
            self._compact()
            self._file = self._events.open("ab", buffering=0)

    def fabric(self) -> Fabric:
        """VPCs and groups as last saved; empty where there are none (that can be read)."""
        with contextlib.suppress(FileNotFoundError):
            try:
                return _FABRIC.decode(self._fabric.read_bytes())
            except msgspec.MsgspecError as error:
                log.warning("saved fabric cannot be read, waiting for the control plane's", reason=error)
        return Fabric()

    def save_fabric(self, fabric: Fabric) -> None:
        _replace(self._fabric, msgspec.json.encode(fabric))

    def remove(self) -> None:
        """For `down`: nothing is attached any more."""
        self.close()
        self._events.unlink(missing_ok=True)
        self._fabric.unlink(missing_ok=True)

    def _load(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            for line in self._events.read_bytes().splitlines():
                try:
                    self._take(_DECODER.decode(line))
                except msgspec.MsgspecError as error:
                    log.warning("journal line cannot be read, skipped", reason=error)

    def _take(self, event: Event) -> None:
        if isinstance(event, Held):
            self.held[event.attachment.interface] = event
        elif isinstance(event, Released):
            self.held.pop(event.interface, None)
        elif isinstance(event, Listening):
            self.listening.add(event)
        else:
            self.listening = {kept for kept in self.listening if kept.vpc != event.vpc}

    def _compact(self) -> None:
        alive: list[Event] = [*self.held.values(), *sorted(self.listening, key=repr)]
        _replace(self._events, b"".join(msgspec.json.encode(event) + b"\n" for event in alive))
        self._lines = len(alive)


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(path.suffix + ".new")
    fresh.write_bytes(content)
    os.replace(fresh, path)
