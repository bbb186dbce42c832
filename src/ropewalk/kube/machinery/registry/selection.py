"""Which objects a list or watch is about: labels, fields, a namespace. Pure.

Labels are read from stored bytes; so are name and namespace. Any other field needs the object decoded, once for all
who ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.registry import codec
from ropewalk.kube.machinery.registry.feed import FeedEvent
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.selectors import FieldSelector, LabelSelector

NAME, NAMESPACE = "metadata.name", "metadata.namespace"
_BY_KEY = frozenset((NAME, NAMESPACE))


@dataclass(frozen=True, slots=True)
class Selection:
    served: Served
    labels: LabelSelector | None = None
    fields: FieldSelector | None = None
    """Both None where everything is selected."""

    @property
    def everything(self) -> bool:
        return self.labels is None and self.fields is None

    @property
    def name(self) -> str:
        """The one name that is selected, "" where that is not the question."""
        for field, operator, value in self.fields.requirements if self.fields else ():
            if field == NAME and operator in ("=", "=="):
                return value
        return ""

    def check(self) -> None:
        """Raises BadRequest for a field that this resource cannot be selected by."""
        for field, _, _ in self.fields.requirements if self.fields else ():
            if not self._selectable(field):
                raise errors.bad_request(self.served.strategy.unselectable(field))

    def takes(self, key: str, value: bytes) -> bool:
        """Whether a stored object is selected."""
        if self.labels is not None and not self.labels.matches(codec.peek(value).labels or {}):
            return False
        if self.fields is None:
            return True
        decoded = None if self._by_key_alone else self._shown(self._decoded(value))
        return self.fields.matches(self._values(key, decoded))

    def takes_event(self, event: FeedEvent, *, previous: bool) -> bool:
        """Whether what the event tells of (or what was before it) is selected."""
        value = event.previous if previous else event.value
        if value is None:
            return False
        if self.labels is not None and not self.labels.matches(event.labels(previous=previous)):
            return False
        if self.fields is None:
            return True
        kept = self.served.kept_as
        decoded = (
            None
            if self._by_key_alone
            else self._shown(event.decoded(previous=previous, api_version=kept.api_version, kind=kept.kind))
        )
        return self.fields.matches(self._values(event.key, decoded))

    def takes_object(self, obj: Object) -> bool:
        """Whether a decoded object is selected."""
        metadata = obj["metadata"]
        if self.labels is not None and not self.labels.matches(metadata.get("labels") or {}):
            return False
        if self.fields is None:
            return True
        key = f"{metadata.get('namespace', '')}/{metadata['name']}"
        return self.fields.matches(self._values(key, obj))

    def _selectable(self, field: str) -> bool:
        strategy = self.served.strategy
        if field == NAMESPACE and (self.served.custom or strategy.selectable_fields):  # these say what they know
            return self.served.info.namespaced
        return field in _BY_KEY or field in strategy.selectable_fields

    @property
    def _by_key_alone(self) -> bool:
        return all(field in _BY_KEY for field, _, _ in self.fields.requirements) if self.fields else True

    def _shown(self, obj: Object) -> Object:
        return obj if self.served.shown is None else self.served.shown(obj)

    def _decoded(self, value: bytes) -> Object:
        kept = self.served.kept_as
        return codec.decode(value, 0, kept.api_version, kept.kind)

    def _values(self, key: str, decoded: Object | None) -> Mapping[str, str]:
        """What the selector asks for, and no more."""
        assert self.fields is not None
        values: dict[str, str] = {}
        for field, _, _ in self.fields.requirements:
            if field == NAME:
                values[field] = key.rpartition("/")[2]
            elif field == NAMESPACE:
                values[field] = key.split("/")[-2] if self.served.info.namespaced else ""
            elif decoded is not None:
                values[field] = self.served.strategy.selectable_fields[field](decoded)
        return values
