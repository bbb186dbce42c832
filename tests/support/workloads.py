"""Workloads made by hand, for tests of everything that runs them."""

from __future__ import annotations

from typing import Any

from ropewalk.model.ids import MachineId, Owner, WorkloadUid
from ropewalk.model.workload import Container, Desire, Generation, Workload

OWNER = Owner("aws")
MACHINE = MachineId("m-1")


def container(name: str = "app", **fields: Any) -> Container:
    return Container(name=name, image=fields.pop("image", "nginx:latest"), **fields)


def workload(uid: str = "w-1", *containers: Container, number: int = 1, **fields: Any) -> Workload:
    generation = Generation(fields.pop("store_id", "store-a"), fields.pop("epoch", 1), number)
    return Workload(
        uid=WorkloadUid(uid),
        owner=fields.pop("owner", OWNER),
        machine=fields.pop("machine", MACHINE),
        generation=generation,
        name=uid,
        containers=containers or (container(),),
        **fields,
    )


def stop(what: Workload, number: int, reason: str = "Task stopped by user") -> Workload:
    from msgspec.structs import replace

    generation = replace(what.generation, number=number)
    return replace(what, generation=generation, desire=Desire.STOP, stop_reason=reason)
