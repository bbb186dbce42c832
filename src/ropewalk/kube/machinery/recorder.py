"""Events: what happened to an object, told to people as `Event` objects, and never so often that they drown.

As client-go's recorder does it: the same again raises a count; many that differ in their message alone become one,
"(combined from similar events)"; of one object not more than a burst, then one every five minutes. `record` never
blocks and never fails: events are news, never state, and what cannot be written is dropped.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ropewalk.base.clock import Clock
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, metadata
from ropewalk.kube.machinery.resources import GroupResource

log = logger(__name__)

V = TypeVar("V")

EVENTS = GroupResource("", "events")
REMEMBERED = 4096
"""Objects, and events of them, of which something is remembered."""
WAITING = 1000
"""Events that wait to be written; more are dropped."""
BURST, REFILL = 25, 1 / 300
"""Events about one object at once, and further ones a second."""
SIMILAR, SIMILAR_SECONDS = 10, 600.0
"""So many different messages within so long are told apart."""
COMBINED = "(combined from similar events): "


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that was recorded."""

    about: tuple[str, str, str, str, str]
    """API version, kind, namespace, name, uid."""
    revision: str
    component: str
    reason: str
    message: str
    warning: bool


class Recorder:
    """What one component tells."""

    def __init__(self, events: Events, component: str) -> None:
        self._events = events
        self._component = component

    def record(self, obj: Object, reason: str, message: str, *, warning: bool = False) -> None:
        """`obj` may be any object that says its apiVersion and kind."""
        meta = metadata(obj)
        about = (
            obj.get("apiVersion", ""),
            obj.get("kind", ""),
            meta.get("namespace", ""),
            meta["name"],
            meta.get("uid", ""),
        )
        revision = meta.get("resourceVersion", "")
        self._events.take(Happening(about, revision, self._component, reason, message, warning))


class Events:
    """Writes what recorders tell. A `Runnable`; `name` it where there are several."""

    def __init__(self, api: Api, clock: Clock, name: str = "events") -> None:
        self.name = name
        self._api = api
        self._clock = clock
        self._correlator = Correlator()
        self._waiting: deque[Happening] = deque()
        self._news = asyncio.Event()
        self._last = 0

    def recorder(self, component: str) -> Recorder:
        """`component` is told as the source, such as "deployment-controller"."""
        return Recorder(self, component)

    def take(self, happening: Happening) -> None:
        """See `Recorder.record`."""
        if len(self._waiting) < WAITING:
            self._waiting.append(happening)
            self._news.set()

    async def run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                await self._write(self._waiting.popleft())

    async def _write(self, happening: Happening) -> None:
        now = self._clock.wall()
        counted = self._correlator.correlate(happening, now)
        if counted is None:
            return
        try:
            if counted.count > 1 and await self._again(counted, now):
                return
            counted.name = self._name(happening, now)
            await self._api.create(EVENTS, event_object(happening, counted, now))
        except (StatusFault, Retryable) as why:
            log.debug("an event was not written", reason=happening.reason, why=why)

    async def _again(self, counted: Counted, now: float) -> bool:
        """Whether the event was still there to be counted up."""
        patch = {"count": counted.count, "lastTimestamp": times.rfc3339(now), "message": counted.message}
        try:
            await self._api.patch(EVENTS, counted.namespace, counted.name, patch)
        except StatusFault as fault:
            if fault.status != 404:
                raise
            return False
        return True

    def _name(self, happening: Happening, now: float) -> str:
        self._last = max(self._last + 1, int(now * 1e9))
        return f"{happening.about[3]}.{self._last:x}"


@dataclass(slots=True)
class Counted:
    """An event as it stands in the API."""

    namespace: str
    message: str
    first: float
    count: int = 0
    name: str = ""


def event_object(happening: Happening, counted: Counted, now: float) -> Object:
    api_version, kind, namespace, name, uid = happening.about
    about = {"apiVersion": api_version, "kind": kind, "namespace": namespace, "name": name, "uid": uid}
    about["resourceVersion"] = happening.revision
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": counted.name, "namespace": counted.namespace},
        "involvedObject": {key: value for key, value in about.items() if value},
        "reason": happening.reason,
        "message": counted.message,
        "source": {"component": happening.component},
        "firstTimestamp": times.rfc3339(counted.first),
        "lastTimestamp": times.rfc3339(now),
        "count": counted.count,
        "type": "Warning" if happening.warning else "Normal",
        "reportingComponent": happening.component,
        "reportingInstance": "",
    }


class _Remembered(Generic[V]):
    """The last so many used of a map."""

    def __init__(self) -> None:
        self._held: OrderedDict[object, V] = OrderedDict()

    def get(self, key: object) -> V | None:
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def set(self, key: object, value: V) -> None:
        self._held[key] = value
        self._held.move_to_end(key)
        if len(self._held) > REMEMBERED:
            self._held.popitem(last=False)


@dataclass(slots=True)
class _Similar:
    last: float
    messages: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Correlator:
    """What becomes of each happening: a new event, one more of an earlier one, or nothing. Pure but for its memory."""

    def __init__(self) -> None:
        self._similar: _Remembered[_Similar] = _Remembered()
        self._counted: _Remembered[Counted] = _Remembered()
        self._buckets: _Remembered[_Bucket] = _Remembered()

    def correlate(self, happening: Happening, now: float) -> Counted | None:
        """`count` includes this one; at 1 there is no such event yet. None: too many of this object."""
        alike = (happening.component, happening.about, happening.warning, happening.reason)
        message, key = happening.message, (alike, happening.message)
        similar = self._similar.get(alike)
        if similar is None or now - similar.last > SIMILAR_SECONDS:
            similar = _Similar(now)
            self._similar.set(alike, similar)
        similar.last = now
        similar.messages.add(message)
        if len(similar.messages) >= SIMILAR:
            similar.messages.pop()
            message, key = COMBINED + message, (alike, "")
        counted = self._counted.get(key)
        if counted is None:
            counted = Counted(happening.about[2] or "default", message, now)
            self._counted.set(key, counted)
        if not self._is_admitted(happening, now):
            return None
        counted.count += 1
        counted.message = message
        return counted

    def _is_admitted(self, happening: Happening, now: float) -> bool:
        key = (happening.component, happening.about)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = _Bucket(BURST, now)
            self._buckets.set(key, bucket)
        bucket.left = min(float(BURST), bucket.left + (now - bucket.at) * REFILL)
        bucket.at = now
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True
