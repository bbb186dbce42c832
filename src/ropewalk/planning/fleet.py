"""The fleet: machines, what they have and who is on them, as arrays that events keep up to date.

Each machine has a slot; every array has one number a slot. A change touches its own slot in every array that there is,
and is noted in `changes`, so that whoever keeps something worked out from the arrays can renew as little as that.
Planning reads a fleet and puts onto it what it has decided; nothing here decides. It knows neither time nor I/O.

Of the control plane only planning proper imports numpy: import it where something is to be placed, not at start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ropewalk.planning.demands import CPU, MACHINE, MEMORY, ZONE, Constraint, HostPort, Machine, Preference, Unit
from ropewalk.planning.roll import Counts, Roll

Mask = npt.NDArray[np.bool_]
Ranks = npt.NDArray[np.uint64]

T = TypeVar("T", bound=np.generic)

_SMALLEST = 64
_KEPT = 1024
"""Answers of constraints and of preferences that are kept up to date."""


class Fleet:
    def __init__(self, machines: Iterable[Machine] = ()) -> None:
        self.size = _SMALLEST
        """Slots, those without a machine included."""
        self.machines: list[Machine | None] = [None] * self.size
        """By slot."""
        self.slot_of: dict[str, int] = {}
        self.alive: Mask = np.zeros(self.size, np.bool_)
        self.ready: Mask = np.zeros(self.size, np.bool_)
        self.roll = Roll(self.size)
        self.changes: list[int] = []
        """Slots whose room or use has changed, in order; see `changes_began`."""
        self.changes_began = 0
        """Number of the first of `changes`: those before are forgotten."""
        self.images: Counter[str] = Counter()
        """Machines that have each image."""
        self._image_sizes: dict[str, Counts] = {}
        self._identity: Ranks = np.zeros(self.size, np.uint64)
        self._room: dict[str, Counts] = {}
        self._used: dict[str, Counts] = {}
        self.pair_room = self._paired(self._room)
        self.pair_used = self._paired(self._used)
        self.pair_weight = np.zeros((2, self.size), np.int64)
        """CPU and memory, a row each: room, what units take, and what they weigh."""
        self._columns: dict[str, tuple[Counts, dict[str, int]]] = {}
        self._holding: dict[Constraint, Mask] = {}
        self._counting: dict[Preference, tuple[Counts, bool]] = {}
        self._ports: dict[tuple[str, int], dict[int, Counter[str]]] = {}
        self._units: dict[str, tuple[Unit, str]] = {}
        self._on: dict[str, dict[str, Unit]] = {}
        self._free = list(range(self.size - 1, -1, -1))
        for machine in machines:
            if machine.id in self.slot_of:
                raise ValueError("two machines with one id")
            self.put(machine)

    def __len__(self) -> int:
        return len(self.slot_of)

    def _zeros(self) -> Counts:
        return np.zeros(self.size, np.int64)

    def _paired(self, amounts: dict[str, Counts]) -> Counts:
        """One array for CPU and memory, whose rows take their places."""
        both = np.zeros((2, self.size), np.int64)
        for row, resource in enumerate((CPU, MEMORY)):
            if resource in amounts:
                both[row] = amounts[resource]
            amounts[resource] = both[row]
        return both

    # --- machines

    def put(self, machine: Machine) -> None:
        """It is new, or not what it was."""
        slot = self.slot_of.get(machine.id)
        if slot is None:
            slot = self._take_slot(machine.id)
            self.machines[slot] = machine
            self._describe(slot, machine)
            for unit in self._on.get(machine.id, {}).values():
                self._settle(unit, slot, 1)
        else:
            former = self.machines[slot]
            assert former is not None
            if former == machine:
                return
            self._forget(slot, former)
            self.machines[slot] = machine
            self._describe(slot, machine)
        self._note(slot)

    def remove(self, name: str) -> None:
        """It is gone. Units on it are remembered, should it come back."""
        slot = self.slot_of.pop(name, None)
        if slot is None:
            return
        for unit in self._on.get(name, {}).values():
            self._settle(unit, slot, -1)
        machine = self.machines[slot]
        assert machine is not None
        self._forget(slot, machine)
        self.machines[slot] = None
        self.alive[slot] = self.ready[slot] = False
        for room in self._room.values():
            room[slot] = 0
        for mask in self._holding.values():
            mask[slot] = False
        for codes, _ in self._columns.values():
            codes[slot] = -1
        self._free.append(slot)
        self._note(slot)

    def _take_slot(self, name: str) -> int:
        if not self._free:
            self._grow()
        slot = self.slot_of[name] = self._free.pop()
        self._identity[slot] = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")
        self.alive[slot] = True
        return slot

    def _grow(self) -> None:
        old, self.size = self.size, 2 * self.size
        self._free = list(range(self.size - 1, old - 1, -1))
        self.machines += [None] * old
        self.alive, self.ready = _longer(self.alive), _longer(self.ready)
        self._identity = _longer(self._identity)
        for amounts in (self._room, self._used):
            for name, values in amounts.items():
                amounts[name] = _longer(values)
        self.pair_room, self.pair_used = self._paired(self._room), self._paired(self._used)
        self.pair_weight = np.hstack([self.pair_weight, np.zeros((2, old), np.int64)])
        self._columns.clear()
        self._holding.clear()
        self._counting.clear()
        self._image_sizes.clear()
        self.roll.grow(self.size)
        self.changes_began += len(self.changes) + 1  # nobody has seen what is in the new slots
        self.changes.clear()

    def _describe(self, slot: int, machine: Machine) -> None:
        self.ready[slot] = machine.ready
        for resource in machine.further:
            self.room(resource)  # makes it known
        for resource, room in self._room.items():
            room[slot] = machine.room(resource)
        for port in machine.ports:
            self._take_port(slot, port, 1)
        for image in machine.images:
            self.images[image] += 1
            self._image_sizes.pop(image, None)
        for name, (codes, numbers) in list(self._columns.items()):
            value = _value(machine, name)
            codes[slot] = -1 if value is None else numbers.setdefault(value, len(numbers))
            if len(numbers) > 2 * len(self.slot_of) + _SMALLEST:
                del self._columns[name]  # most of its values are no longer there
        for constraint, mask in self._holding.items():
            mask[slot] = constraint.holds(machine)
        for preference, (counts, _) in self._counting.items():
            counts[slot] = preference.counts(machine)
            self._counting[preference] = (counts, bool(counts.any()))

    def _forget(self, slot: int, machine: Machine) -> None:
        for port in machine.ports:
            self._take_port(slot, port, -1)
        for image in machine.images:
            self.images[image] -= 1
            self._image_sizes.pop(image, None)

    def _note(self, slot: int) -> None:
        self.changes.append(slot)
        if len(self.changes) > 4 * self.size:
            forgotten = len(self.changes) // 2
            self.changes_began += forgotten
            del self.changes[:forgotten]

    @property
    def version(self) -> int:
        """Number of the next change."""
        return self.changes_began + len(self.changes)

    # --- units

    def add(self, unit: Unit, machine: str) -> None:
        """It is there, or about to be; it is taken away from where it was."""
        self.drop(unit.id)
        self._units[unit.id] = (unit, machine)
        self._on.setdefault(machine, {})[unit.id] = unit
        slot = self.slot_of.get(machine)
        if slot is not None:
            self._settle(unit, slot, 1)
            self._note(slot)

    def drop(self, unit_id: str) -> Unit | None:
        """It is gone; it is given back where it was known."""
        found = self._units.pop(unit_id, None)
        if found is None:
            return None
        unit, machine = found
        there = self._on[machine]
        del there[unit_id]
        if not there:
            del self._on[machine]
        slot = self.slot_of.get(machine)
        if slot is not None:
            self._settle(unit, slot, -1)
            self._note(slot)
        return unit

    def unit(self, unit_id: str) -> Unit | None:
        found = self._units.get(unit_id)
        return None if found is None else found[0]

    def machine_of(self, unit_id: str) -> str | None:
        found = self._units.get(unit_id)
        return None if found is None else found[1]

    def units_on(self, machine: str) -> list[Unit]:
        return list(self._on.get(machine, {}).values())

    @contextmanager
    def with_others(self, others: Iterable[tuple[Unit, str]]) -> Iterator[None]:
        """As it would be if these were there, too."""
        added = [(unit, machine) for unit, machine in others if unit.id not in self._units]
        for unit, machine in added:
            self.add(unit, machine)
        try:
            yield
        finally:
            for unit, _ in added:
                self.drop(unit.id)

    def _settle(self, unit: Unit, slot: int, by: int) -> None:
        for resource, amount in unit.room.items():
            self.used(resource)[slot] += by * amount
        weight = unit.weight
        if weight:
            self.pair_weight[0, slot] += by * weight.get(CPU, 0)
            self.pair_weight[1, slot] += by * weight.get(MEMORY, 0)
        for port in unit.ports:
            self._take_port(slot, port, by)
        self.roll.count(unit, slot, by)

    def _take_port(self, slot: int, port: HostPort, by: int) -> None:
        holders = self._ports.setdefault(port[:2], {})
        addresses = holders.setdefault(slot, Counter())
        address = port[2] if len(port) == 3 else ""
        addresses[address] += by
        if not addresses[address]:
            del addresses[address]
        if not addresses:
            del holders[slot]

    # --- questions

    def room(self, resource: str) -> Counts:
        """What machines have in all."""
        if resource not in self._room:
            self._room[resource] = self._zeros()
        return self._room[resource]

    def used(self, resource: str) -> Counts:
        """What units take of it."""
        if resource not in self._used:
            self._used[resource] = self._zeros()
        return self._used[resource]

    def free(self, resource: str) -> Counts:
        return self.room(resource) - self.used(resource)

    def column(self, field: str) -> tuple[Counts, int]:
        """For each machine a number for its value of the field, -1 where it has none; and how many values there are."""
        found = self._columns.get(field)
        if found is None:
            numbers: dict[str, int] = {}
            codes = np.full(self.size, -1, np.int64)
            for name, slot in self.slot_of.items():
                machine = self.machines[slot]
                assert machine is not None, name
                value = _value(machine, field)
                if value is not None:
                    codes[slot] = numbers.setdefault(value, len(numbers))
            found = self._columns[field] = (codes, numbers)
        return found[0], len(found[1])

    def holding(self, constraint: Constraint) -> Mask:
        """Machines for which it holds."""
        found = self._holding.get(constraint)
        if found is None:
            found = np.fromiter((m is not None and constraint.holds(m) for m in self.machines), np.bool_, self.size)
            if len(self._holding) >= _KEPT:
                del self._holding[next(iter(self._holding))]
            self._holding[constraint] = found
        return found

    def counted(self, preference: Preference) -> Counts | None:
        """What it says of each machine; None where that is nothing of any."""
        found = self._counting.get(preference)
        if found is None:
            counts = np.fromiter((0 if m is None else preference.counts(m) for m in self.machines), np.int64, self.size)
            if len(self._counting) >= _KEPT:
                del self._counting[next(iter(self._counting))]
            found = self._counting[preference] = (counts, bool(counts.any()))
        return found[0] if found[1] else None

    def image_sizes(self, image: str) -> Counts:
        """Bytes of it that each machine has already."""
        found = self._image_sizes.get(image)
        if found is None:
            sizes = (0 if machine is None else machine.images.get(image, 0) for machine in self.machines)
            found = self._image_sizes[image] = np.fromiter(sizes, np.int64, self.size)
        return found

    def ports_free(self, wanted: frozenset[HostPort]) -> Mask:
        """Machines on which none of these ports is taken."""
        free = np.ones(self.size, np.bool_)
        for port in wanted:
            address = port[2] if len(port) == 3 else ""
            for slot, addresses in self._ports.get(port[:2], {}).items():
                if not address or "" in addresses or address in addresses:
                    free[slot] = False
        return free

    def ranks(self, seed: int, turn: int, slots: Counts) -> Ranks:
        """A pseudo-random number a machine, from seed, turn and its name: the smallest wins a tie.

        It does not depend on slots: the order in which machines came does not matter.
        """
        mixed = (seed * 0x9E3779B97F4A7C15 + turn * 0xD1B54A32D192ED03) % (1 << 64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # splitmix64
            mixed = (mixed ^ (mixed >> shift)) * factor % (1 << 64)
        found: Ranks = self._identity[slots] * np.uint64(mixed | 1)
        return found

    def name(self, slot: int) -> str:
        machine = self.machines[slot]
        assert machine is not None
        return machine.id


def _longer(values: npt.NDArray[T]) -> npt.NDArray[T]:
    return np.concatenate([values, np.zeros(len(values), values.dtype)])


def _value(machine: Machine, field: str) -> str | None:
    if field == MACHINE:
        return machine.id
    if field == ZONE:
        return machine.zone
    return machine.attributes.get(field)
