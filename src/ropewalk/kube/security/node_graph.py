"""What each node has to do with: its pods, and through them secrets, config maps, claims, volumes, accounts.

Follows the caches of pods, persistent volumes, volume attachments and resource slices, once somebody has asked: a
cluster whose nodes never call pays nothing. Between a pod and what it mentions lie counters by node, so that a question
is one look-up (two, for what hangs on a volume).
"""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.kube.machinery.api import Api, ObjectChange
from ropewalk.kube.machinery.objects import Object, at, name_of, namespace_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.security.pod_references import references, volume_secrets

PODS = GroupResource("", "pods")
VOLUMES = GroupResource("", "persistentvolumes")
ATTACHMENTS = GroupResource("storage.k8s.io", "volumeattachments")
SLICES = GroupResource("resource.k8s.io", "resourceslices")

Place = tuple[str, str, str]
"""(plural resource, namespace, name)."""


@dataclass(frozen=True, slots=True)
class _Pod:
    node: str
    mentions: frozenset[Place]


@dataclass(frozen=True, slots=True)
class _Volume:
    claim: Place
    secrets: frozenset[Place]


class NodeGraph:
    def __init__(self, api: Api) -> None:
        self._api = api
        self._is_following = False
        self._pods: dict[tuple[str, str], _Pod] = {}
        self._nodes_of: dict[Place, dict[str, int]] = {}
        """What is mentioned by how many pods of which nodes."""
        self._volumes: dict[str, _Volume] = {}
        self._volumes_of: dict[Place, set[str]] = {}
        """Secrets that volumes need."""
        self._named: dict[str, dict[str, str]] = {"volumeattachments": {}, "resourceslices": {}}
        """Objects with the name of a node in them."""

    async def follow(self) -> None:
        """Begin; returns once all there is has been read."""
        if not self._is_following:
            self._is_following = True
            self._api.cache(PODS).on_change(self._pod_changed)
            self._api.cache(VOLUMES).on_change(self._volume_changed)
            self._api.cache(ATTACHMENTS).on_change(self._attachment_changed)
            self._api.cache(SLICES).on_change(self._slice_changed)
        for resource in (PODS, VOLUMES, ATTACHMENTS, SLICES):
            cache = self._api.cache(resource)
            if not cache.is_synced:
                await cache.synced()

    def relates(self, node: str, resource: str, namespace: str, name: str) -> bool:
        """Whether the object has to do with the node."""
        if resource == "pods":
            pod = self._pods.get((namespace, name))
            return pod is not None and pod.node == node
        if resource in self._named:
            return self._named[resource].get(name) == node
        if resource == "persistentvolumes":
            return self._volume_relates(node, name)
        place = resource, namespace, name
        if node in self._nodes_of.get(place, ()):
            return True
        return any(self._volume_relates(node, volume) for volume in self._volumes_of.get(place, ()))

    def _volume_relates(self, node: str, name: str) -> bool:
        volume = self._volumes.get(name)
        return volume is not None and node in self._nodes_of.get(volume.claim, ())

    # --- following

    def _pod_changed(self, change: ObjectChange) -> None:
        key = namespace_of(change.present), name_of(change.present)
        fresh = None if change.new is None else _pod(change.new)
        held = self._pods.get(key)
        if held == fresh:
            return
        if held is not None:
            del self._pods[key]
            for place in held.mentions:
                counts = self._nodes_of[place]
                counts[held.node] -= 1
                if not counts[held.node]:
                    del counts[held.node]
                if not counts:
                    del self._nodes_of[place]
        if fresh is not None:
            self._pods[key] = fresh
            for place in fresh.mentions:
                counts = self._nodes_of.setdefault(place, {})
                counts[fresh.node] = counts.get(fresh.node, 0) + 1

    def _volume_changed(self, change: ObjectChange) -> None:
        name = name_of(change.present)
        held = self._volumes.pop(name, None)
        if held is not None:
            for place in held.secrets:
                self._volumes_of[place].discard(name)
                if not self._volumes_of[place]:
                    del self._volumes_of[place]
        claim = None if change.new is None else at(change.new, "spec", "claimRef")
        if change.new is None or claim is None:
            return
        fresh = _Volume(
            ("persistentvolumeclaims", claim.get("namespace", ""), claim.get("name", "")),
            frozenset(("secrets", namespace, secret) for namespace, secret in volume_secrets(change.new)),
        )
        self._volumes[name] = fresh
        for place in fresh.secrets:
            self._volumes_of.setdefault(place, set()).add(name)

    def _attachment_changed(self, change: ObjectChange) -> None:
        self._name("volumeattachments", change)

    def _slice_changed(self, change: ObjectChange) -> None:
        self._name("resourceslices", change)

    def _name(self, resource: str, change: ObjectChange) -> None:
        name = name_of(change.present)
        node = None if change.new is None else at(change.new, "spec", "nodeName")
        if node:
            self._named[resource][name] = node
        else:
            self._named[resource].pop(name, None)


def _pod(pod: Object) -> _Pod | None:
    """None for a pod that has no node yet."""
    node = at(pod, "spec", "nodeName")
    if not node:
        return None
    namespace = namespace_of(pod)
    return _Pod(node, frozenset((resource, namespace, name) for resource, name in references(pod)))
