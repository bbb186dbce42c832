"""Custom resources between their versions: by changing apiVersion alone, or by asking a webhook.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#webhook-conversion
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import orjson

from ropewalk.base.entropy import Entropy
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.objects import Object, at, copied, metadata


class WebhookClient(Protocol):
    """The admission webhooks' client serves here as well."""

    async def call(self, client_config: Object, body: bytes, timeout: float) -> bytes:
        """Raises `Retryable` or `StatusFault` where there is no answer."""
        ...


TIMEOUT = 30.0


class Converter:
    """Of one definition."""

    def __init__(self, definition: Object, client: WebhookClient | None, entropy: Entropy) -> None:
        conversion = at(definition, "spec", "conversion") or {}
        self._group = definition["spec"]["group"]
        self._name = metadata(definition)["name"]
        self._webhook = conversion.get("webhook") if conversion.get("strategy") == "Webhook" else None
        self._client = client
        self._entropy = entropy

    async def convert(self, objects: Sequence[Object], version: str) -> list[Object]:
        """The objects (owned) in that version, in their order. Raises InternalError where the webhook fails."""
        wanted = f"{self._group}/{version}"
        others = [obj for obj in objects if obj["apiVersion"] != wanted]
        if not others:
            return list(objects)
        if self._webhook is None:
            for obj in others:
                obj["apiVersion"] = wanted
            return list(objects)
        converted = iter(await self._ask(others, wanted))
        return [obj if obj["apiVersion"] == wanted else next(converted) for obj in objects]

    async def _ask(self, objects: list[Object], wanted: str) -> list[Object]:
        assert self._webhook is not None
        uid = self._entropy.uuid()
        review = {
            "kind": "ConversionReview",
            "apiVersion": "apiextensions.k8s.io/v1",
            "request": {"uid": uid, "desiredAPIVersion": wanted, "objects": [copied(obj) for obj in objects]},
        }
        if self._client is None:
            raise self._failed(wanted, "this server calls no webhooks")
        try:
            answer = await self._client.call(self._webhook["clientConfig"], orjson.dumps(review), TIMEOUT)
            response = orjson.loads(answer).get("response") or {}
        except errors.StatusFault as fault:
            raise self._failed(wanted, fault.message) from None
        except (ValueError, AttributeError):
            raise self._failed(wanted, "the answer is no ConversionReview") from None
        return self._checked(objects, response, uid, wanted)

    def _checked(self, objects: list[Object], response: Object, uid: str, wanted: str) -> list[Object]:
        if response.get("uid") != uid:
            raise self._failed(wanted, f"expected response.uid={uid}, got {response.get('uid')}")
        result = response.get("result") or {}
        if result.get("status") != "Success":
            raise self._failed(wanted, result.get("message") or "unknown error")
        converted = response.get("convertedObjects") or []
        if len(converted) != len(objects):
            raise self._failed(wanted, f"expected {len(objects)} converted objects, got {len(converted)}")
        return [self._taken(before, after, wanted) for before, after in zip(objects, converted, strict=True)]

    def _taken(self, before: Object, after: Object, wanted: str) -> Object:
        """A converted object; of its metadata only labels and annotations may have changed."""
        if type(after) is not dict or after.get("apiVersion") != wanted or after.get("kind") != before.get("kind"):
            raise self._failed(wanted, "invalid converted object: wrong apiVersion or kind")
        given = metadata(after)
        if given.get("name") != metadata(before).get("name") or given.get("uid") != metadata(before).get("uid"):
            raise self._failed(wanted, "invalid metadata in converted object: name and uid must not change")
        kept = dict(metadata(before))
        for key in ("labels", "annotations"):
            if key in given:
                kept[key] = given[key]
            else:
                kept.pop(key, None)
        after["metadata"] = kept
        return after

    def _failed(self, wanted: str, why: str) -> errors.StatusFault:
        return errors.internal_error(f"conversion webhook for {self._name} to {wanted} failed: {why}")
