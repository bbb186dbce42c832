"""Custom resources between their versions: by changing apiVersion alone, or by asking a webhook.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#webhook-conversion
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import orjson

from ropewalk.base.entropy import Entropy
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Json, Object, at, copied, metadata
from ropewalk.kube.machinery.patch import go_text

REVIEW_VERSIONS = ("v1", "v1beta1")
TIMEOUT = 30.0


class WebhookClient(Protocol):
    """The admission webhooks' client serves here as well."""

    async def call(self, client_config: Object, body: bytes, timeout: float) -> bytes:
        """Raises an exception whose text says why there is no answer."""
        ...


class _Wrong(Exception):
    """What a webhook answered cannot be used; the text follows "conversion webhook for …"."""


class Converter:
    """Of one definition."""

    def __init__(self, definition: Object, client: WebhookClient | None, entropy: Entropy) -> None:
        spec = definition["spec"]
        conversion = spec.get("conversion") or {}
        self._group = spec["group"]
        self._kind = at(definition, "status", "acceptedNames", "kind") or spec["names"]["kind"]
        self._webhook: Object | None = conversion.get("webhook") if conversion.get("strategy") == "Webhook" else None
        self._versions = frozenset(f"{self._group}/{version['name']}" for version in spec["versions"])
        self._client = client
        self._entropy = entropy

    async def convert(self, objects: Sequence[Object], version: str) -> list[Object]:
        """The objects (owned) in that version, in their order. Raises a fault without a reason where it fails."""
        wanted = f"{self._group}/{version}"
        others = [obj for obj in objects if obj["apiVersion"] != wanted]
        if not others:
            return list(objects)
        for obj in others:
            if obj["apiVersion"] not in self._versions:
                raise _failed(f"request to convert CR from an invalid group/version: {obj['apiVersion']}")
        if self._webhook is None:
            for obj in others:
                obj["apiVersion"] = wanted
            return list(objects)
        try:
            converted = iter(await self._ask(self._webhook, others, wanted))
        except _Wrong as wrong:
            source = f"{others[0]['apiVersion']}, Kind={self._kind}"
            raise _failed(f"conversion webhook for {source} {wrong}") from None
        return [obj if obj["apiVersion"] == wanted else next(converted) for obj in objects]

    async def _ask(self, webhook: Object, objects: list[Object], wanted: str) -> list[Object]:
        spoken = next((one for one in webhook.get("conversionReviewVersions") or () if one in REVIEW_VERSIONS), "v1")
        uid = self._entropy.uuid()
        review = {
            "kind": "ConversionReview",
            "apiVersion": f"apiextensions.k8s.io/{spoken}",
            "request": {"uid": uid, "desiredAPIVersion": wanted, "objects": objects},
        }
        answer = await self._call(webhook["clientConfig"], orjson.dumps(review))
        converted = _converted(answer, uid, spoken)
        if len(converted) != len(objects):
            raise _Wrong(f"returned {len(converted)} objects, expected {len(objects)}")
        found = []
        for place, (before, after) in enumerate(zip(objects, converted, strict=True)):
            where = f"converted object at index {place}" if len(objects) > 1 else "object"
            found.append(_taken(before, after, wanted, where))
        return found

    async def _call(self, config: Object, body: bytes) -> Object:
        if self._client is None:
            raise _Wrong("failed: this server calls no webhooks")
        try:
            answer = orjson.loads(await self._client.call(config, body, TIMEOUT))
        except orjson.JSONDecodeError as error:
            raise _Wrong(f"failed: {error}") from None
        except Exception as error:  # the client belongs to another layer, and so do the names of its failures
            raise _Wrong(f"failed: {error}") from error
        if type(answer) is not dict:
            raise _Wrong("failed: no response provided")
        return answer


def _failed(message: str) -> StatusFault:
    return StatusFault("", message, status=500)


def _converted(answer: Object, uid: str, spoken: str) -> list[Json]:
    if spoken == "v1":
        given = f"{answer.get('apiVersion', '')}, Kind={answer.get('kind', '')}"
        expected = "apiextensions.k8s.io/v1, Kind=ConversionReview"
        if given != expected:
            raise _Wrong(f"failed: expected webhook response of {expected}, got {given}")
    response = answer.get("response")
    if type(response) is not dict:
        raise _Wrong("failed: no response provided")
    if spoken == "v1" and response.get("uid") != uid:
        raise _Wrong(f'failed: expected response.uid="{uid}", got "{response.get("uid", "")}"')
    result = response.get("result") or {}
    if at(result, "status") != "Success":
        told = at(result, "message") or f"response.result.status was '{at(result, 'status') or ''}', not 'Success'"
        raise _Wrong(f"failed: {told}")
    found = response.get("convertedObjects")
    return found if type(found) is list else []


def _taken(before: Object, after: Json, wanted: str, where: str) -> Object:
    """A converted object; of its metadata only labels and annotations may have changed."""
    if type(after) is not dict:
        raise _Wrong(f"returned invalid {where}: Object 'Kind' is missing")
    for name, expected, word in (("apiVersion", wanted, "groupVersion"), ("kind", before.get("kind"), "kind")):
        if after.get(name) != expected:
            told = f"invalid {word} (expected {expected}, received {after.get(name, '')})"
            raise _Wrong(f"returned invalid {where}{' at index 0' if where == 'object' else ''}: {told}")
    given = after.get("metadata")
    for name, word in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        expected, received = metadata(before).get(name, ""), at(given, name) or ""
        if expected != received:
            raise _Wrong(f"returned invalid {where}: must have the same {word}: {expected} != {received}")
    after["metadata"] = _restored(before, given, f"returned invalid metadata in {where}".replace(" in object", ""))
    return after


def _restored(before: Object, given: Json, problem: str) -> Object:
    if given is None:
        raise _Wrong(f"{problem}: missing metadata in converted object")
    if type(given) is not dict:
        raise _Wrong(f"{problem}: invalid metadata of type {go_text.type_name(given)} in converted object")
    kept: Object = copied(metadata(before))
    for key in ("labels", "annotations"):
        if given.get(key) is None:
            kept.pop(key, None)
            continue
        wrong = _map_problem(given[key], kept.get(key) or {}, key)
        if wrong:
            raise _Wrong(f"{problem}: {wrong}")
        kept[key] = given[key]
    return kept


def _map_problem(given: Json, before: Object, key: str) -> str:
    if type(given) is not dict:
        return f"invalid metadata.{key} of type {go_text.type_name(given)} in converted object"
    for name, value in given.items():
        if type(value) is not str:
            kind = go_text.type_name(value)
            return f"metadata.{key}[{name}] must be a string, but is {kind} in converted object"
    if given == before:
        return ""
    errors = FieldErrors()
    if key == "labels":
        names.labels(given, Path("metadata") / "labels", errors)
    else:
        names.annotations(given, Path("metadata") / "annotation", errors)
    told = [f"{cause.field}: {cause.message}" for cause in errors.causes]
    return told[0] if len(told) == 1 else f"[{', '.join(told)}]" if told else ""
