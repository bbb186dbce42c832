"""Which host and which subnet a Fargate task gets. Pure: hosts, subnets and what runs, in; a choice, out.

Fargate spreads tasks over the zones of the subnets it was given. A host that names its zone takes only interfaces of
that zone's subnets; one that names none takes all. Ties go to the host with the most memory left, then by name: the
same input gives the same choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ropewalk.model.agent import MachineFacts
from ropewalk.model.readers import SubnetView
from ropewalk.services.ecs.index import TaskIndex
from ropewalk.services.ecs.lowering import MIB, millis

FARGATE = "fargate"


@dataclass(frozen=True, slots=True)
class Choice:
    machine: str
    subnet: SubnetView


class Room:
    """What is left on each Fargate host, and how many live tasks of one group each subnet has."""

    def __init__(self, machines: Iterable[MachineFacts], subnets: Sequence[SubnetView], index: TaskIndex) -> None:
        self._subnets = subnets
        self._cpu: dict[str, int] = {}
        self._memory: dict[str, int] = {}
        self._zone: dict[str, str] = {}
        for machine in machines:
            if FARGATE not in machine.kinds:
                continue
            used = index.used(machine.machine)
            self._cpu[machine.machine] = machine.cpu_millis - millis(used.cpu)
            self._memory[machine.machine] = machine.memory_bytes // MIB - used.memory
            self._zone[machine.machine] = machine.zone
        self._in_zone: dict[str, int] = {}
        self._in_subnet: dict[str, int] = {}
        self._taken: dict[str, int] = {}

    def count(self, zone: str, subnet: str, tasks: int = 1) -> None:
        """So many live tasks are there."""
        self._in_zone[zone] = self._in_zone.get(zone, 0) + tasks
        self._in_subnet[subnet] = self._in_subnet.get(subnet, 0) + tasks

    def place(self, cpu: int, memory: int) -> Choice | None:
        """A host and subnet for a task of `cpu` units and `memory` MiB, which it then has; None without room."""
        fitting = [name for name, left in self._cpu.items() if left >= millis(cpu) and self._memory[name] >= memory]
        if not fitting:
            return None
        fitting.sort(key=lambda name: (-self._memory[name], name))
        for subnet in sorted(self._subnets, key=self._crowding):
            if subnet.free_addresses - self._taken.get(subnet.spec.id, 0) <= 0 and len(self._subnets) > 1:
                continue
            zone = subnet.spec.zone
            host = next((name for name in fitting if self._zone[name] in ("", zone)), None)
            if host is not None:
                self._cpu[host] -= millis(cpu)
                self._memory[host] -= memory
                self._taken[subnet.spec.id] = self._taken.get(subnet.spec.id, 0) + 1
                self.count(zone, subnet.spec.id)
                return Choice(host, subnet)
        return None

    def _crowding(self, subnet: SubnetView) -> tuple[int, int]:
        return self._in_zone.get(subnet.spec.zone, 0), self._in_subnet.get(subnet.spec.id, 0)
