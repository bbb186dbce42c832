"""What lists, counts and placement ask about tasks and task definitions, kept in memory as the store changes.

Fed by informers, and at once by whoever in this process writes (`note`): a caller sees its own writes. The two sources
may overlap in any order: a task's version only grows and a definition's status only moves forward, so the older news of
the two is recognised and dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ropewalk.services.ecs.records import DefinitionHead, TaskHead

PENDING_STATES = frozenset({"PROVISIONING", "PENDING", "ACTIVATING"})
LIVE = "RUNNING"
ENDED = "STOPPED"


@dataclass(slots=True)
class Counts:
    """Of one cluster: tasks RUNNING, tasks on their way there, and all that are not STOPPED."""

    running: int = 0
    pending: int = 0
    active: int = 0

    def add(self, head: TaskHead, sign: int) -> None:
        self.running += sign * (head.status == LIVE)
        self.pending += sign * (head.status in PENDING_STATES)
        self.active += sign * (head.status != ENDED)


@dataclass(slots=True)
class Used:
    """Of one host, by tasks that are not STOPPED: CPU units and MiB."""

    cpu: int = 0
    memory: int = 0


class TaskIndex:
    def __init__(self) -> None:
        self._heads: dict[str, TaskHead] = {}
        self._clusters: dict[str, dict[str, TaskHead]] = {}
        self._counts: dict[str, Counts] = {}
        self._used: dict[str, Used] = {}
        self._tokens: dict[tuple[str, str], dict[int, str]] = {}
        self._definitions: dict[tuple[str, int], int] = {}
        self._spread: dict[tuple[str, str], dict[tuple[str, str], int]] = {}

    def get(self, task: str) -> TaskHead | None:
        return self._heads.get(task)

    def note(self, task: str, head: TaskHead | None) -> None:
        """The task is now so (None: gone). Older news than the last is dropped."""
        old = self._heads.get(task)
        if head is None:
            if old is not None:
                self._forget(task, old)
            return
        if old is not None:
            if old.version > head.version or old == head:
                return
            self._forget(task, old)
        self._heads[task] = head
        self._clusters.setdefault(head.cluster, {})[task] = head
        self._counts.setdefault(head.cluster, Counts()).add(head, 1)
        if head.token:
            self._tokens.setdefault((head.cluster, head.token), {})[head.token_index] = task
        if head.status != ENDED:
            self._use(head, 1)

    def _forget(self, task: str, head: TaskHead) -> None:
        del self._heads[task]
        members = self._clusters[head.cluster]
        del members[task]
        self._counts[head.cluster].add(head, -1)
        if not members:
            del self._clusters[head.cluster], self._counts[head.cluster]
        if head.token and (tasks := self._tokens.get((head.cluster, head.token))):
            tasks.pop(head.token_index, None)
            if not tasks:
                del self._tokens[head.cluster, head.token]
        if head.status != ENDED:
            self._use(head, -1)

    def _use(self, head: TaskHead, sign: int) -> None:
        used = self._used.setdefault(head.machine, Used())
        used.cpu += sign * head.cpu
        used.memory += sign * head.memory
        _add(self._definitions, (head.family, head.revision), sign)
        if head.desired == LIVE:
            group = (head.cluster, head.group)
            places = self._spread.setdefault(group, {})
            _add(places, (head.zone, head.subnet), sign)
            if not places:
                del self._spread[group]

    def counts(self, cluster: str) -> Counts:
        return self._counts.get(cluster) or Counts()

    def used(self, machine: str) -> Used:
        return self._used.get(machine) or Used()

    def users(self, family: str, revision: int) -> int:
        """How many tasks that are not STOPPED came from this definition."""
        return self._definitions.get((family, revision), 0)

    def spread(self, cluster: str, group: str) -> Mapping[tuple[str, str], int]:
        """How many tasks of the group, meant to run, are in each (zone, subnet)."""
        return self._spread.get((cluster, group), {})

    def with_token(self, cluster: str, token: str) -> dict[int, str]:
        """Tasks made by RunTask with this client token, by their place in its answer."""
        return self._tokens.get((cluster, token), {})

    def of_cluster(self, cluster: str) -> Iterable[tuple[str, TaskHead]]:
        return self._clusters.get(cluster, {}).items()


K = TypeVar("K")


def _add(counts: dict[K, int], key: K, amount: int) -> None:
    """Count, keeping no zeros."""
    total = counts.get(key, 0) + amount
    if total:
        counts[key] = total
    else:
        counts.pop(key, None)


_ORDER = {"ACTIVE": 0, "INACTIVE": 1, "DELETE_IN_PROGRESS": 2}


@dataclass(slots=True)
class _Revisions:
    last: int = 0
    active: int = 0
    """The highest ACTIVE revision, 0 for none."""
    statuses: dict[int, str] = field(default_factory=dict)

    def changed(self, revision: int) -> None:
        """The revision's status is new: find the highest ACTIVE one again, where it may be another."""
        if self.statuses.get(revision) == "ACTIVE":
            self.active = max(self.active, revision)
        elif revision == self.active:
            self.active = max((number for number, status in self.statuses.items() if status == "ACTIVE"), default=0)


class DefinitionIndex:
    """Families, their revisions and these revisions' statuses."""

    def __init__(self) -> None:
        self._families: dict[str, _Revisions] = {}

    def note(self, key: str, head: DefinitionHead | None) -> None:
        family, _, number = key.rpartition("/")
        revision = int(number)
        if head is None:
            known = self._families.get(family)
            if known is not None:
                known.statuses.pop(revision, None)
                known.changed(revision)
            return
        known = self._families.setdefault(family, _Revisions())
        known.last = max(known.last, revision)
        old = known.statuses.get(revision)
        if old is None or _ORDER[head.status] > _ORDER[old]:
            known.statuses[revision] = head.status
            known.changed(revision)

    def last(self, family: str) -> int:
        """The highest revision this process has ever heard of; 0 for none."""
        known = self._families.get(family)
        return 0 if known is None else known.last

    def latest_active(self, family: str) -> int | None:
        known = self._families.get(family)
        return None if known is None else known.active or None

    def families(self) -> Iterator[tuple[str, dict[int, str]]]:
        """Families in the order of their names, with the status of each revision that still exists."""
        for family in sorted(self._families):
            if statuses := self._families[family].statuses:
                yield family, statuses

    def revisions(self, family: str) -> dict[int, str]:
        known = self._families.get(family)
        return {} if known is None else known.statuses
