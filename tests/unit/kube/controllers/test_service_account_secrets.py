"""Secrets with a token of a service account: filled once, mended, and removed with their account."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.controllers.service_account_secrets import (
    NAME,
    SECRETS,
    SERVICE_ACCOUNTS,
    TYPE,
    UID,
    ServiceAccountSecrets,
)
from ropewalk.kube.machinery.objects import Object
from support.kube_api import MemoryApi
from support.running import running

CA = b"-----BEGIN CERTIFICATE-----"


class Scene:
    def __init__(self) -> None:
        self.api, self.clock = MemoryApi(), VirtualClock()
        self.made: list[tuple[str, str]] = []

    def controller(self) -> ServiceAccountSecrets:
        return ServiceAccountSecrets(self.api, self._token, CA, self.clock, SeededEntropy(1))

    def _token(self, account: Object, secret: Object) -> str:
        self.made.append((account["metadata"]["name"], secret["metadata"]["name"]))
        return f"token {len(self.made)}"

    def account(self, name: str = "app", uid: str = "u-1") -> None:
        self.api.put(SERVICE_ACCOUNTS, {"metadata": {"namespace": "default", "name": name, "uid": uid}})

    def secret(self, kind: str = TYPE, data: dict[str, str] | None = None, **annotations: str) -> None:
        told = {NAME: "app"} | annotations
        meta: dict[str, Any] = {"namespace": "default", "name": "s", "annotations": told}
        self.api.put(SECRETS, {"metadata": meta, "type": kind, **({"data": data} if data else {})})

    async def left(self) -> Object | None:
        """The secret, once the controller had its time."""
        await self.clock.advance(1)
        return self.api.cache(SECRETS).get("default", "s")

    async def outcome(self) -> Object | None:
        async with running(self.controller()):
            return await self.left()


async def test_a_secret_is_filled_with_a_token_of_its_account() -> None:
    scene = Scene()
    scene.account()
    scene.secret()
    found = await scene.outcome()
    assert found is not None
    assert found["metadata"]["annotations"] == {NAME: "app", UID: "u-1"}
    told = {key: b64decode(value) for key, value in found["data"].items()}
    assert told == {"ca.crt": CA, "namespace": b"default", "token": b"token 1"}
    assert scene.made == [("app", "s")]


async def test_what_is_filled_is_left_alone() -> None:
    scene = Scene()
    scene.account()
    scene.secret()
    filled = await scene.outcome()
    scene.api.log.clear()
    assert await scene.outcome() == filled
    assert not scene.api.log


async def test_another_authority_is_told_and_the_token_stays() -> None:
    scene = Scene()
    scene.account()
    scene.secret(data={"token": b64encode(b"old").decode(), "ca.crt": "eA=="}, **{UID: "u-1"})
    found = await scene.outcome()
    assert found is not None
    assert (b64decode(found["data"]["token"]), b64decode(found["data"]["ca.crt"])) == (b"old", CA)
    assert not scene.made


async def test_a_secret_goes_with_its_account() -> None:
    scene = Scene()
    scene.account()
    scene.secret()
    async with running(scene.controller()):
        assert await scene.left() is not None
        scene.api.drop(SERVICE_ACCOUNTS, "default", "app")
        assert await scene.left() is None


async def test_a_secret_of_an_account_that_is_not_there_or_another_goes() -> None:
    scene = Scene()
    scene.secret()
    assert await scene.outcome() is None
    scene.account(uid="u-2")
    scene.secret(**{UID: "u-1"})
    assert await scene.outcome() is None


async def test_other_secrets_and_those_that_go_are_nobodys_business() -> None:
    scene = Scene()
    scene.secret(kind="Opaque")
    found = await scene.outcome()
    assert found is not None and "data" not in found
    scene.api.put(SECRETS, {**found, "type": TYPE, "metadata": {**found["metadata"], "deletionTimestamp": "now"}})
    found = await scene.outcome()
    assert found is not None and "data" not in found
    assert not scene.api.log
