"""The garbage collector and the namespace controller, killed and hindered in their work, in virtual time.

Seeded: objects own each other in any graph, are deleted in the background, in the foreground or orphaning what they
own; others change them meanwhile; writes fail, done or undone; the controllers' process dies and another begins. Every
event of the store is judged as it happens:

- what nobody asked to delete goes only once none of its owners is there to stay;
- an owner deleted in the foreground goes after all that blocked it;
- what was orphaned keeps living;

and once the faults cease: everything whose owners are gone is gone, and a deleted namespace is empty and gone.
"""

from __future__ import annotations

import os
from typing import Any

import orjson
import pytest

from ropewalk.store.protocol import Event, EventKind
from support.kube_controlling import World

SEEDS = int(os.environ.get("ROPEWALK_SEEDS", "24"))
KINDS = {"configmaps": "ConfigMap", "secrets": "Secret"}
HOLD = "test.example/hold"


class Owners(World):
    """A graph of objects in one namespace, and the judge of what becomes of it."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.made = 0
        self.state: dict[str, Any] = {}
        """uid → the object as the store's last event tells it."""
        self.asked: dict[str, str] = {}
        """uid → the policy with which somebody asked to delete it."""
        self.judged = 0
        self.collected = 0

    # --- users

    async def create(self) -> None:
        plural = self.random.choice(list(KINDS))
        there = [obj for obj in self.state.values() if not is_going(obj) and obj["metadata"]["uid"] not in self.asked]
        owners = self.random.sample(there, min(len(there), self.random.choice((0, 1, 1, 1, 1, 2))))
        references = [
            {
                "apiVersion": "v1",
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "blockOwnerDeletion": self.random.random() < 0.7,
            }
            for owner in owners
        ]
        about: dict[str, Any] = {"name": f"o-{self.made}", "ownerReferences": references}
        if self.random.random() < 0.2:
            about["finalizers"] = [HOLD]
        self.made += 1
        answer = await self.server.post(f"/api/v1/namespaces/default/{plural}", {"metadata": about})
        assert answer.status == 201, answer.body

    async def own_in_a_circle(self) -> None:
        """Two objects that own each other."""
        there = [obj for obj in self.state.values() if not is_going(obj)]
        if len(there) < 2:
            return
        first, second = self.random.sample(there, 2)
        uids = {first["metadata"]["uid"], second["metadata"]["uid"]}
        if uids & self.asked.keys():
            return
        for one, other in ((first, second), (second, first)):
            reference = {
                "apiVersion": "v1",
                "kind": other["kind"],
                "name": other["metadata"]["name"],
                "uid": other["metadata"]["uid"],
                "blockOwnerDeletion": True,
            }
            kept = [found for found in one["metadata"].get("ownerReferences", ()) if found["uid"] not in uids]
            await self.server.patch(url(one), {"metadata": {"ownerReferences": [*kept, reference]}})

    async def delete(self) -> None:
        there = [obj for uid, obj in self.state.items() if uid not in self.asked and not is_going(obj)]
        if there:
            obj = self.random.choice(there)
            uid = obj["metadata"]["uid"]
            self.asked[uid] = policy = self.random.choice(("Background", "Foreground", "Foreground", "Orphan"))
            answer = await self.server.delete(
                url(obj), {"propagationPolicy": policy, "preconditions": {"uid": uid}, "kind": "DeleteOptions"}
            )
            assert answer.status in (200, 404, 409), answer.body

    async def touch(self) -> None:
        if self.state:
            obj = self.random.choice(list(self.state.values()))
            stamp = {"metadata": {"annotations": {"touched": str(self.random.random())}}}
            answer = await self.server.patch(url(obj), stamp)
            assert answer.status in (200, 404), answer.body

    async def let_go(self, obj: Any) -> None:
        kept = [name for name in obj["metadata"].get("finalizers", ()) if name != HOLD]
        patch = {"metadata": {"finalizers": kept, "resourceVersion": obj["metadata"]["resourceVersion"]}}
        answer = await self.server.patch(url(obj), patch)
        assert answer.status in (200, 404, 409), answer.body

    # --- the judge

    async def judge(self) -> None:
        """Every event since the last time, against the state that it met."""
        while True:
            found = self._next_events()
            if not found:
                return
            for event in found:
                self.judged = int(event.revision)
                self._judge(event)

    def _next_events(self) -> list[Event]:
        read = self.store._keys._events_after("/registry/core/", self.judged, 10_000)[0]
        return [event for event in read if event.key.split("/")[3] in KINDS and "/o-" in event.key]

    def _judge(self, event: Event) -> None:
        obj = orjson.loads(event.value)
        obj["kind"] = KINDS[event.key.split("/")[3]]
        obj["metadata"]["resourceVersion"] = str(event.revision)
        uid = obj["metadata"]["uid"]
        before = self.state.get(uid)
        gone = event.kind is EventKind.DELETE
        if (gone or is_going(obj)) and not (before is not None and is_going(before)) and uid not in self.asked:
            self.collected += 1
            self._judge_unasked(before if before is not None else obj)
        ends_foreground = before is not None and is_foreground(before) and (gone or not is_foreground(obj))
        if ends_foreground and self.asked.get(uid) != "Orphan":
            blocking = [name(other) for other in self.state.values() if is_owned(other, uid, blocking=True)]
            assert not blocking, f"{name(obj)} went before {blocking}"
        if gone:
            self.state.pop(uid, None)
        else:
            self.state[uid] = obj

    def _judge_unasked(self, obj: Any) -> None:
        owners = obj["metadata"].get("ownerReferences", [])
        assert owners, f"{name(obj)} was deleted though nobody asked and nobody owned it"
        for owner in owners:
            there = self.state.get(owner["uid"])
            assert there is None or is_foreground(there), f"{name(obj)} was deleted under its owner {owner['name']}"
            assert self.asked.get(owner["uid"]) != "Orphan", f"{name(obj)} was orphaned, and deleted"

    # --- the run

    async def turn(self) -> None:
        roll = self.random.random()
        if self.made < 8 or (roll < 0.35 and self.made < 40):
            await self.create()
        elif roll < 0.55:
            await self.delete()
        elif roll < 0.7:
            await self.touch()
        elif roll < 0.74:
            await self.own_in_a_circle()
        elif roll < 0.82:
            held = [obj for obj in self.state.values() if HOLD in obj["metadata"].get("finalizers", ())]
            if held:
                await self.let_go(self.random.choice(held))
        elif roll < 0.88:
            await self.restart()
        await self.clock.advance(self.random.choice((0.0, 0.0, 0.1, 1.0)))
        await self.judge()

    async def run(self) -> int:
        await self.up()
        self.hindered.badness = self.random.choice((0.0, 0.05, 0.3))
        for _ in range(60):
            await self.turn()
        self.hindered.badness = 0.0
        for _ in range(12):
            await self.clock.advance(10.0)
            await self.judge()
            for obj in [found for found in self.state.values() if HOLD in found["metadata"].get("finalizers", ())]:
                await self.let_go(obj)
        self.check_settled()
        await self.down()
        return self.collected

    def check_settled(self) -> None:
        for uid, obj in self.state.items():
            assert not is_going(obj), f"{name(obj)} never went"
            assert uid not in self.asked, f"{name(obj)} was never deleted"
            for owner in obj["metadata"].get("ownerReferences", ()):
                assert owner["uid"] in self.state, f"{name(obj)} outlives its owner {owner['name']}"


def name(obj: Any) -> str:
    return str(obj["metadata"]["name"])


def url(obj: Any) -> str:
    return f"/api/v1/namespaces/default/{obj['kind'].lower()}s/{name(obj)}"


def is_going(obj: Any) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def is_foreground(obj: Any) -> bool:
    return is_going(obj) and "foregroundDeletion" in obj["metadata"].get("finalizers", ())


def is_owned(obj: Any, uid: str, *, blocking: bool) -> bool:
    return any(
        owner["uid"] == uid and (not blocking or owner.get("blockOwnerDeletion"))
        for owner in obj["metadata"].get("ownerReferences", ())
    )


@pytest.mark.parametrize("block", range(6))
async def test_what_lost_its_owners_goes_and_nothing_else(block: int) -> None:
    collected = 0
    for seed in range(block, SEEDS, 6):
        try:
            collected += await Owners(seed).run()
        except AssertionError as failed:
            raise AssertionError(f"seed {seed}: {failed}") from failed
    assert collected > len(range(block, SEEDS, 6)), "hardly anything was ever collected"


class Namespaces(World):
    """Namespaces with things in them, some held by finalizers, that are deleted while others still write."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.deleted: dict[str, str] = {}
        """Name → uid of the namespace that was deleted."""
        self.made = 0

    async def fill(self, namespace: str) -> None:
        plural = self.random.choice((*KINDS, "pods", "services"))
        about: dict[str, Any] = {"name": f"o-{self.made}"}
        self.made += 1
        if self.random.random() < 0.3:
            about["finalizers"] = [HOLD]
        body: dict[str, Any] = {"metadata": about}
        if plural == "pods":
            body["spec"] = {"nodeName": "n-1", "containers": [{"name": "main", "image": "nginx"}]}
        elif plural == "services":
            body["spec"] = {"ports": [{"port": 80}]}
        answer = await self.server.post(f"/api/v1/namespaces/{namespace}/{plural}", body)
        assert answer.status in (201, 403, 404), answer.body
        assert answer.status == 201 or namespace in self.deleted, answer.body

    async def end_pods(self, namespace: str) -> None:
        """What a kubelet does once a pod has stopped."""
        for pod in (await self.server.get(f"/api/v1/namespaces/{namespace}/pods")).json["items"]:
            if is_going(pod) and pod["metadata"]["deletionGracePeriodSeconds"]:
                path = f"/api/v1/namespaces/{namespace}/pods/{name(pod)}?gracePeriodSeconds=0"
                assert (await self.server.delete(path)).status in (200, 404)

    async def release(self, namespace: str) -> None:
        for plural in (*KINDS, "pods", "services"):
            for obj in (await self.server.get(f"/api/v1/namespaces/{namespace}/{plural}")).json["items"]:
                if is_going(obj) and "finalizers" in obj["metadata"]:
                    path = f"/api/v1/namespaces/{namespace}/{plural}/{name(obj)}"
                    answer = await self.server.patch(path, {"metadata": {"finalizers": None}})
                    assert answer.status in (200, 404), answer.body

    async def turn(self) -> None:
        namespace = f"n-{self.random.randrange(4)}"
        roll = self.random.random()
        if roll < 0.5:
            await self.fill(namespace)
        elif roll < 0.6:
            present = await self.server.get(f"/api/v1/namespaces/{namespace}")
            if present.status == 200 and namespace not in self.deleted:
                self.deleted[namespace] = present.json["metadata"]["uid"]
                assert (await self.server.delete(f"/api/v1/namespaces/{namespace}")).status == 200
        elif roll < 0.7:
            await self.end_pods(namespace)
        elif roll < 0.78:
            await self.release(namespace)
        elif roll < 0.84:
            await self.restart()
        await self.clock.advance(self.random.choice((0.0, 0.1, 1.0)))

    async def run(self) -> None:
        await self.up()
        for number in range(4):
            made = await self.server.post("/api/v1/namespaces", {"metadata": {"name": f"n-{number}"}})
            assert made.status == 201
        self.hindered.badness = self.random.choice((0.0, 0.05, 0.3))
        for _ in range(50):
            await self.turn()
        self.hindered.badness = 0.0
        for _ in range(12):
            await self.clock.advance(20.0)
            for namespace in self.deleted:
                await self.end_pods(namespace)
                await self.release(namespace)
        await self.clock.advance(40.0)
        await self.check_settled()
        await self.down()

    async def check_settled(self) -> None:
        left = {
            found.key.split("/")[4]
            for found in (await self.store.list("/registry/")).entries
            if found.key.count("/") == 5
        }
        for number in range(4):
            namespace = f"n-{number}"
            answer = await self.server.get(f"/api/v1/namespaces/{namespace}")
            if namespace in self.deleted:
                assert answer.status == 404, f"{namespace} never went: {answer.json['status']}"
                assert namespace not in left, f"something is left of {namespace}"
            else:
                assert answer.json["status"]["phase"] == "Active"
                contents = [
                    (await self.server.get(f"/api/v1/namespaces/{namespace}/{path}")).status
                    for path in ("serviceaccounts/default", "configmaps/kube-root-ca.crt")
                ]
                assert contents == [200, 200], f"{namespace} lacks what every namespace has"


@pytest.mark.parametrize("block", range(4))
async def test_a_deleted_namespace_empties_and_goes(block: int) -> None:
    deleted = 0
    for seed in range(block, max(SEEDS // 2, 12), 4):
        simulation = Namespaces(seed)
        try:
            await simulation.run()
        except AssertionError as failed:
            raise AssertionError(f"seed {seed}: {failed}") from failed
        deleted += len(simulation.deleted)
    assert deleted
