"""Who is being used and who is being deleted, in this process: nothing is deleted while something is made on it.

Making an interface names its subnet and groups for the few writes it takes; deleting one of them is refused meanwhile,
and what is being deleted cannot be used. In memory and without waiting, because one process owns the slice's writes;
after a crash nobody is in the middle of anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Doomed(Exception):
    """What was to be used is being deleted: treat it as gone."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"{resource} is being deleted")
        self.resource = resource


class InUse(Exception):
    """What was to be deleted is in use or already being deleted."""


class Holds:
    def __init__(self) -> None:
        self._used: Counter[str] = Counter()
        self._doomed: set[str] = set()

    @contextmanager
    def using(self, *resources: str) -> Iterator[None]:
        """Raises `Doomed`."""
        for resource in resources:
            if resource in self._doomed:
                raise Doomed(resource)
        self._used.update(resources)
        try:
            yield
        finally:
            self._used.subtract(resources)
            for resource in resources:
                if not self._used[resource]:
                    del self._used[resource]

    @contextmanager
    def deleting(self, resources: Iterable[str]) -> Iterator[None]:
        """Raises `InUse`."""
        doomed = set(resources)
        if any(self._used[r] for r in doomed) or doomed & self._doomed:
            raise InUse(", ".join(sorted(doomed)))
        self._doomed |= doomed
        try:
            yield
        finally:
            self._doomed -= doomed
