"""Where every pod stands, as far as those who keep pods running ask: one book for all controllers of a server.

Made from the pods' stored bytes without decoding them whole, so that a change of a pod that nobody looks after costs a
few microseconds of the loop that answers requests, however many controllers there are. Who needs more of a pod reads it
from the cache. Listeners are told only of what the book can tell apart: a status that is written anew, with nothing in
it that concerns a controller, wakes nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from ropewalk.kube.machinery.api import Api, Metadata, Outline, OwnerReference
from ropewalk.kube.machinery.resources import GroupResource

PODS = GroupResource("", "pods")
FINISHED = ("Succeeded", "Failed")


class _Spec(msgspec.Struct, gc=False):
    node_name: str = msgspec.field(default="", name="nodeName")


class _Condition(msgspec.Struct, gc=False):
    type: str = ""
    status: str = ""
    since: str | None = msgspec.field(default=None, name="lastTransitionTime")


class _Status(msgspec.Struct, gc=False):
    phase: str = ""
    address: str = msgspec.field(default="", name="podIP")
    conditions: list[_Condition] = msgspec.field(default_factory=list)


_SPEC, _STATUS = msgspec.json.Decoder(_Spec), msgspec.json.Decoder(_Status)
NO_ONE = OwnerReference()


class PodSeen(msgspec.Struct, frozen=True, gc=False):
    """One pod, as the book has it."""

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    controller: OwnerReference
    """`NO_ONE` where nobody controls it."""
    is_going: bool
    """Somebody asked to delete it."""
    node: str
    phase: str
    address: str
    is_ready: bool
    ready_since: str
    """When it became ready, "" where it is not."""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def is_finished(self) -> bool:
        return self.phase in FINISHED

    @property
    def is_active(self) -> bool:
        """It counts as a replica."""
        return not self.is_going and self.phase not in FINISHED

    @property
    def is_terminating(self) -> bool:
        return self.is_going and self.phase not in FINISHED


Listener = Callable[[PodSeen | None, PodSeen | None], None]
"""(before, now): None where it was not, or is no more."""


def seen(namespace: str, name: str, outline: Outline, labels: Mapping[str, str]) -> PodSeen:
    """What the book takes of a pod."""
    meta, status = outline.metadata, _STATUS.decode(outline.status)
    ready = next((each for each in status.conditions if each.type == "Ready"), None)
    is_ready = ready is not None and ready.status == "True"
    return PodSeen(
        namespace,
        name,
        meta.uid,
        labels,
        _controller(meta),
        bool(meta.deletion_timestamp),
        _SPEC.decode(outline.spec).node_name,
        status.phase or "Pending",
        status.address,
        is_ready,
        (ready.since or "") if ready is not None and is_ready else "",
    )


def _controller(meta: Metadata) -> OwnerReference:
    for reference in meta.owner_references:
        if reference.controller:
            return reference
    return NO_ONE


class PodBook:
    """See the module. The first `follow` or `complete` begins it."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._pods: dict[str, dict[str, PodSeen]] = {}
        """Namespace → name → pod."""
        self._controlled: dict[str, dict[str, PodSeen]] = {}
        """By the uid of their controllers; those that nobody controls by their namespaces."""
        self._listeners: list[Listener] = []
        self._labels: dict[frozenset[tuple[str, str]], dict[str, str]] = {}
        """Labels that many pods share are kept once."""
        self._following = False

    async def follow(self, listener: Listener) -> None:
        """Tell it every change from now on. Returns once the book is complete: what there is, is not told."""
        self._begin()
        self._listeners.append(listener)
        await self.complete()

    async def complete(self) -> None:
        """Returns once all pods are in it; from then on it is kept."""
        self._begin()
        await self._api.cache(PODS).synced()

    def _begin(self) -> None:
        if not self._following:
            self._following = True
            self._api.cache(PODS).on_outline(self._observe)

    def get(self, namespace: str, name: str) -> PodSeen | None:
        return self._pods.get(namespace, {}).get(name)

    def controlled_by(self, uid: str) -> list[PodSeen]:
        return list(self._controlled.get(uid, {}).values())

    def uncontrolled(self, namespace: str) -> Iterable[PodSeen]:
        return self._controlled.get(_place(namespace), {}).values()

    def all(self) -> Iterable[PodSeen]:
        return (pod for held in self._pods.values() for pod in held.values())

    def of_namespace(self, namespace: str) -> list[PodSeen]:
        return list(self._pods.get(namespace, {}).values())

    def _observe(self, namespace: str, name: str, outline: Outline | None) -> None:
        held = self._pods.get(namespace)
        old = held.get(name) if held is not None else None
        new = None
        if outline is not None:
            labels = outline.metadata.labels
            same = old is not None and old.labels == labels
            new = seen(namespace, name, outline, old.labels if old is not None and same else self._shared(labels))
            if held is None:
                held = self._pods[namespace] = {}
            held[name] = new
        elif old is not None and held is not None:
            del held[name]
            if not held:
                del self._pods[namespace]
        if old == new:
            return
        if old is not None and new is not None and old.uid != new.uid:  # another of the same name
            self._changed(old, None)
            old = None
        self._changed(old, new)

    def _changed(self, old: PodSeen | None, new: PodSeen | None) -> None:
        before, now = _keeper(old), _keeper(new)
        if old is not None and before != now:
            held = self._controlled[before]
            del held[old.uid]
            if not held:
                del self._controlled[before]
        if new is not None:
            self._controlled.setdefault(now, {})[new.uid] = new
        for listener in self._listeners:
            listener(old, new)

    def _shared(self, labels: dict[str, str]) -> Mapping[str, str]:
        key = frozenset(labels.items())
        found = self._labels.get(key)
        if found is None:
            if len(self._labels) > 4096:
                self._labels.clear()
            found = self._labels[key] = labels
        return found


def _keeper(pod: PodSeen | None) -> str:
    """Under what it is kept; "" nowhere."""
    return "" if pod is None else pod.controller.uid or _place(pod.namespace)


def _place(namespace: str) -> str:
    """Where pods of a namespace that nobody controls are kept: no uid looks like it."""
    return f"/{namespace}"
