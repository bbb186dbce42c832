"""Who owns whom: a graph of all objects by uid, kept up to date from their metadata. Pure; see `garbage_collector`."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from ropewalk.kube.machinery.api import Metadata, OwnerReference
from ropewalk.kube.machinery.registry.metadata import FOREGROUND, ORPHAN
from ropewalk.kube.machinery.resources import GroupResource


class Node(msgspec.Struct, gc=False):
    """One for every object there is: none that the garbage collector of Python need look at."""

    uid: str
    resource: GroupResource
    namespace: str
    name: str
    owners: tuple[OwnerReference, ...] = ()
    deleting: bool = False
    finalizers: tuple[str, ...] = ()

    @property
    def waits_for_dependents(self) -> bool:
        """It is being deleted in the foreground: after its dependents."""
        return self.deleting and FOREGROUND in self.finalizers

    @property
    def orphans_dependents(self) -> bool:
        return self.deleting and ORPHAN in self.finalizers


@dataclass(slots=True)
class Graph:
    nodes: dict[str, Node] = field(default_factory=dict)
    kinds: dict[GroupResource, str] = field(default_factory=dict)
    """What an owner reference calls an object of the resource, where that is known."""
    _dependents: dict[str, dict[str, None]] = field(default_factory=dict)
    _by_place: dict[tuple[GroupResource, str, str], str] = field(default_factory=dict)

    def dependents(self, uid: str) -> list[Node]:
        return [self.nodes[found] for found in self._dependents.get(uid, ())]

    def blocking(self, uid: str) -> list[Node]:
        """Dependents that must be gone before the owner may go."""
        return [
            node
            for node in self.dependents(uid)
            if any(owner.uid == uid and owner.block_owner_deletion for owner in node.owners)
        ]

    def waits_for_itself(self, uid: str) -> bool:
        """Whether those that it waits for wait, in the end, for it."""
        seen: set[str] = set()
        left = [uid]
        while left:
            for node in self.blocking(left.pop()):
                if node.uid == uid:
                    return True
                if node.waits_for_dependents and node.uid not in seen:
                    seen.add(node.uid)
                    left.append(node.uid)
        return False

    def observe(self, resource: GroupResource, namespace: str, name: str, metadata: Metadata | None) -> set[str]:
        """Take in what an object is now (None: gone); answers the uids whose fate may have changed by it."""
        place = (resource, namespace, name)
        known = self._by_place.get(place)
        affected: set[str] = set()
        if known is not None and (metadata is None or metadata.uid != known):
            affected |= self._remove(place, known)
        if metadata is not None:
            affected |= self._set(place, metadata)
        return affected

    def _remove(self, place: tuple[GroupResource, str, str], uid: str) -> set[str]:
        node = self.nodes.pop(uid)
        del self._by_place[place]
        affected = set(self._dependents.get(uid, ()))
        for owner in node.owners:
            self._unlink(owner.uid, uid)
            if owner.uid in self.nodes and self.nodes[owner.uid].waits_for_dependents:
                affected.add(owner.uid)
        return affected

    def _set(self, place: tuple[GroupResource, str, str], metadata: Metadata) -> set[str]:
        resource, namespace, name = place
        uid = metadata.uid
        before = self.nodes.get(uid)
        node = Node(
            uid,
            resource,
            namespace,
            name,
            metadata.owner_references,
            bool(metadata.deletion_timestamp),
            metadata.finalizers,
        )
        self.nodes[uid] = node
        self._by_place[place] = uid
        affected: set[str] = set()
        if before is None or before.owners != node.owners:
            for owner in before.owners if before is not None else ():
                self._unlink(owner.uid, uid)
            for owner in node.owners:
                self._dependents.setdefault(owner.uid, {})[uid] = None
            if node.owners and self._is_in_question(node):
                affected.add(uid)
            if before is not None:
                affected |= {
                    owner.uid
                    for owner in before.owners
                    if owner.uid in self.nodes and self.nodes[owner.uid].waits_for_dependents
                }
        if node.orphans_dependents or node.waits_for_dependents:
            affected.add(uid)
            if node.waits_for_dependents and (before is None or not before.waits_for_dependents):
                affected |= set(self._dependents.get(uid, ()))
        return affected

    def _is_in_question(self, node: Node) -> bool:
        """Whether one of its owners is not known to be there, or waits for it to go."""
        return any(self._is_doubtful(owner, node) for owner in node.owners)

    def _is_doubtful(self, reference: OwnerReference, node: Node) -> bool:
        owner = self.nodes.get(reference.uid)
        if owner is None or owner.waits_for_dependents:
            return True
        means_it = owner.name == reference.name and self.kinds.get(owner.resource, reference.kind) == reference.kind
        return not means_it or owner.namespace not in ("", node.namespace)

    def _unlink(self, owner: str, uid: str) -> None:
        held = self._dependents.get(owner)
        if held is not None:
            held.pop(uid, None)
            if not held:
                del self._dependents[owner]
