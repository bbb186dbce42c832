"""MutatingAdmissionWebhook and ValidatingAdmissionWebhook.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass
from typing import ClassVar

import orjson

from ropewalk.base.entropy import Entropy
from ropewalk.kube.admission.chain import Reinvocation
from ropewalk.kube.admission.expressions import ConditionFailed, Scene, meets_conditions
from ropewalk.kube.admission.matching import CONFIGURATIONS, Converter, Matcher, relabelled
from ropewalk.kube.admission.plugin import Lookup, Plugin, forbidden
from ropewalk.kube.admission.review import request_of, review_of
from ropewalk.kube.admission.webhook_client import WebhookClient, WebhookFailure
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.access import Authorizer
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.cel.environment import MATCH_CONDITIONS_BUDGET, Budget
from ropewalk.kube.machinery.errors import Details, StatusFault
from ropewalk.kube.machinery.objects import Json, Object, at, name_of, uid_of
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo

MUTATING = GroupResource("admissionregistration.k8s.io", "mutatingwebhookconfigurations")
VALIDATING = GroupResource("admissionregistration.k8s.io", "validatingwebhookconfigurations")
DEFAULT_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class _Hook:
    """One webhook that is to be called for a request."""

    spec: Object
    key: str
    info: ResourceInfo

    @property
    def name(self) -> str:
        return str(self.spec.get("name", ""))

    @property
    def fails_open(self) -> bool:
        return bool(self.spec.get("failurePolicy", "Fail") == "Ignore")


class _Webhooks(Plugin):
    """What both kinds share. Asked for every request; all that costs where there is no webhook is a look at a cache."""

    configurations: ClassVar[GroupResource]
    subresources: ClassVar[frozenset[str] | None] = None

    def __init__(
        self,
        api: Api,
        authorizer: Authorizer | None,
        client: WebhookClient,
        entropy: Entropy,
        *,
        convert: Converter = relabelled,
    ) -> None:
        self._authorizer = authorizer
        self._client = client
        self._entropy = entropy
        self._convert = convert
        self._matcher = Matcher(api)
        self._configured = Lookup(api, self.configurations)

    def concerns(self, info: ResourceInfo, subresource: str, operation: str) -> tuple[bool, bool]:
        wanted = info.group_resource not in CONFIGURATIONS
        return wanted and self.mutates, wanted and self.validates

    async def _hooks(self) -> list[tuple[Object, str]]:
        found: list[tuple[Object, str]] = []
        for configuration in (await self._configured()).all():
            for index, spec in enumerate(configuration.get("webhooks") or ()):
                found.append((spec, f"{uid_of(configuration)}/{name_of(configuration)}/{index}"))
        return found

    async def _wanted(self, admission: Admission, spec: Object, key: str) -> _Hook | None:
        policy = spec.get("matchPolicy", "Equivalent")
        info = self._matcher.matching_info(admission, spec.get("rules") or (), policy)
        if info is None or not await self._matcher.matches_selectors(admission, spec):
            return None
        conditions = spec.get("matchConditions")
        if conditions:
            scene = Scene(
                admission,
                self._authorizer,
                new=self._as(admission.object, info, admission),
                old=self._as(admission.old, info, admission),
                request=request_of(admission, info),
                namespace=None,
            )
            try:
                if not await meets_conditions(conditions, scene, Budget(MATCH_CONDITIONS_BUDGET)):
                    return None
            except ConditionFailed as error:
                if spec.get("failurePolicy", "Fail") == "Ignore":
                    return None
                raise forbidden(admission, str(error)) from None
        return _Hook(spec, key, info)

    def _as(self, obj: Object | None, info: ResourceInfo, admission: Admission) -> Object | None:
        if obj is None or info == admission.info or admission.subresource:
            return obj
        return self._convert(obj, info.gvk)

    async def _call(self, admission: Admission, hook: _Hook, *, mutating: bool) -> Object | None:
        """The webhook's response, allowed; None where it failed and may. Refuses where it refuses."""
        if admission.dry_run and hook.spec.get("sideEffects") not in ("None", "NoneOnDryRun"):
            raise errors.bad_request(f'admission webhook "{hook.name}" does not support dry run')
        uid = self._entropy.uuid()
        new, old = (self._as(one, hook.info, admission) for one in (admission.object, admission.old))
        try:
            body = orjson.dumps(review_of(admission, hook.info, uid, new, old))
            timeout = float(hook.spec.get("timeoutSeconds", DEFAULT_TIMEOUT))
            try:
                answer = await asyncio.wait_for(
                    self._client.call(hook.spec.get("clientConfig") or {}, body, timeout), timeout + 1
                )
            except TimeoutError:
                raise WebhookFailure("failed to call webhook: context deadline exceeded") from None
            except WebhookFailure as failure:
                raise WebhookFailure(f"failed to call webhook: {failure}") from None
            response = _response(answer, uid, mutating=mutating)
        except WebhookFailure as failure:
            told = f'failed calling webhook "{hook.name}": {failure}'
            if hook.fails_open:
                kind = "mutating" if mutating else "validating"
                admission.annotations[f"failed-open.{kind}.webhook.admission.k8s.io/{hook.name}"] = hook.name
                return None
            raise errors.internal_error(told) from None
        for warning in response.get("warnings") or ():
            admission.warn(str(warning))
        for key, value in (response.get("auditAnnotations") or {}).items():
            admission.annotations[f"{hook.name}/{key}"] = str(value)
        if not response.get("allowed"):
            raise _refusal(hook.name, response.get("status") or {})
        return response


def _response(answer: bytes, uid: str, *, mutating: bool) -> Object:
    invalid = "received invalid webhook response: "
    try:
        review = orjson.loads(answer)
    except ValueError as error:
        raise WebhookFailure(f"failed to call webhook: {error}") from None
    kind = (at(review, "apiVersion"), at(review, "kind"))
    if kind != ("admission.k8s.io/v1", "AdmissionReview"):
        group, _, version = str(kind[0] or "").rpartition("/")
        got = f"{group}/{version}, Kind={kind[1] or ''}"
        raise WebhookFailure(
            f"{invalid}expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got {got}"
        )
    response = review.get("response")
    if not isinstance(response, dict):
        raise WebhookFailure(f"{invalid}webhook response was absent")
    if response.get("uid") != uid:
        raise WebhookFailure(f'{invalid}expected response.uid="{uid}", got "{response.get("uid", "")}"')
    patch, kind_of_patch = response.get("patch"), response.get("patchType")
    problem = ""
    if not mutating and (patch or kind_of_patch):
        problem = f"validating webhook may not return response.{'patch' if patch else 'patchType'}"
    elif patch and not kind_of_patch:
        problem = "webhook returned response.patch but not response.patchType"
    elif kind_of_patch and not patch:
        problem = "webhook returned response.patchType but not response.patch"
    elif kind_of_patch and kind_of_patch != "JSONPatch":
        problem = f'webhook returned invalid response.patchType of "{kind_of_patch}"'
    if problem:
        raise WebhookFailure(invalid + problem)
    return response


def _refusal(name: str, status: Object) -> StatusFault:
    told = f'admission webhook "{name}" denied the request'
    code = status.get("code")
    why = status.get("message") or status.get("reason")
    reason = status.get("reason") or ""
    return StatusFault(
        "" if reason == "Success" else str(reason),
        f"{told}: {why}" if why else f"{told} without explanation",
        status=code if isinstance(code, int) and 400 <= code < 600 else 400,
        details=Details(),
    )


class MutatingAdmissionWebhook(_Webhooks):
    name: ClassVar[str] = "MutatingAdmissionWebhook"
    configurations: ClassVar[GroupResource] = MUTATING
    mutates: ClassVar[bool] = True

    async def mutate(self, admission: Admission) -> None:
        await self.mutate_noting(admission, Reinvocation())

    async def mutate_noting(self, admission: Admission, reinvocation: Reinvocation) -> None:
        for spec, key in await self._hooks():
            if admission.reinvocation and key not in reinvocation.required:
                continue
            hook = await self._wanted(admission, spec, key)
            if hook is None:
                continue
            response = await self._call(admission, hook, mutating=True)
            changed = response is not None and self._apply(admission, hook, response)
            if changed:
                reinvocation.object_changed()
            reinvocation.called(key, if_needed=spec.get("reinvocationPolicy") == "IfNeeded")

    def _apply(self, admission: Admission, hook: _Hook, response: Object) -> bool:
        """Whether the patch changed anything."""
        encoded = response.get("patch")
        if not encoded:
            return False
        if admission.object is None:
            raise errors.internal_error(
                f'admission webhook "{hook.name}" attempted to modify the object, which is not supported for this'
                " operation"
            )
        before = self._as(admission.object, hook.info, admission)
        try:
            after = patched(before, orjson.loads(base64.b64decode(encoded, validate=True)))
        except (binascii.Error, ValueError, TypeError) as error:
            if hook.fails_open:
                return False
            told = f'failed calling webhook "{hook.name}": received undecodable patch in webhook response: {error}'
            raise errors.internal_error(told) from None
        if after == before:
            return False
        if not isinstance(after, dict):
            raise errors.internal_error(f'admission webhook "{hook.name}" made the object no object')
        admission.object = after if hook.info == admission.info else self._convert(after, admission.kind)
        return True


def patched(obj: Json, operations: Json) -> Json:
    """The result of a JSON patch; ValueError says what does not fit."""
    import jsonpatch

    try:
        return jsonpatch.apply_patch(obj, operations)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, KeyError, AttributeError) as error:
        raise ValueError(str(error)) from None


class ValidatingAdmissionWebhook(_Webhooks):
    name: ClassVar[str] = "ValidatingAdmissionWebhook"
    configurations: ClassVar[GroupResource] = VALIDATING
    validates: ClassVar[bool] = True

    async def validate(self, admission: Admission) -> None:
        """All at once; the first in order that refuses is told."""
        configured = await self._hooks()
        if not configured:
            return
        hooks = [await self._wanted(admission, spec, key) for spec, key in configured]
        wanted = [hook for hook in hooks if hook is not None]
        if not wanted:
            return
        results = await asyncio.gather(
            *(self._call(admission, hook, mutating=False) for hook in wanted), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
