"""Warnings of controllers that report by `events.k8s.io/v1`, which asks for an action and counts the same again as a
series. News, never state: what cannot be written is dropped.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.kube.machinery import names, times
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.resources import GroupResource

log = logger(__name__)

EVENTS = GroupResource("events.k8s.io", "events")
SERIES_SECONDS = 360.0
"""What comes again within so long belongs to the series."""
REMEMBERED = 1024


@dataclass(slots=True)
class _Series:
    namespace: str
    name: str
    count: int
    last: float


class Warnings:
    """Of one controller on one host."""

    def __init__(self, api: Api, controller: str, hostname: str, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._controller = controller
        self._instance = f"{controller}-{hostname}"
        self._clock = clock
        self._entropy = entropy
        self._series: OrderedDict[tuple[str, ...], _Series] = OrderedDict()

    async def warn(self, about: Object, reason: str, action: str, note: str) -> None:
        """`about` says its apiVersion and kind."""
        log.warning("told as an event", controller=self._controller, reason=reason, note=note)
        now = self._clock.wall()
        key = (reason, action, about["kind"], namespace_of(about), name_of(about), uid_of(about))
        series = self._series.pop(key, None)
        try:
            if series is not None and now - series.last < SERIES_SECONDS:
                await self._again(series, now)
            else:
                series = await self._first(about, reason, action, note, now)
        except (StatusFault, Retryable) as why:
            log.debug("an event was not written", reason=reason, why=why)
            return
        self._series[key] = series
        if len(self._series) > REMEMBERED:
            self._series.popitem(last=False)

    async def _first(self, about: Object, reason: str, action: str, note: str, now: float) -> _Series:
        namespace = namespace_of(about) or "default"
        name = f"{name_of(about)}.{int(now * 1e9):x}"
        if names.dns1123_subdomain(name):
            name = self._entropy.uuid()
        regarding = {
            "kind": about["kind"],
            "namespace": namespace_of(about),
            "name": name_of(about),
            "uid": uid_of(about),
            "apiVersion": about["apiVersion"],
            "resourceVersion": about["metadata"].get("resourceVersion", ""),
        }
        event: Object = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": times.rfc3339_micro(now),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "action": action,
            "reason": reason,
            "regarding": {key: value for key, value in regarding.items() if value},
            "note": note,
            "type": "Warning",
        }
        try:
            await self._api.create(EVENTS, event)
        except StatusFault as fault:
            if fault.reason != "AlreadyExists":
                raise
            name = event["metadata"]["name"] = self._entropy.uuid()  # another told of it in the same instant
            await self._api.create(EVENTS, event)
        return _Series(namespace, name, 1, now)

    async def _again(self, series: _Series, now: float) -> None:
        series.count, series.last = series.count + 1, now
        told = {"series": {"count": series.count, "lastObservedTime": times.rfc3339_micro(now)}}
        await self._api.patch(EVENTS, series.namespace, series.name, told)
