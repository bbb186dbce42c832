"""Refusals as Kubernetes words them: one function a reason, each giving a `StatusFault`.

A `StatusFault` carries all that the wire's `Status` object holds; only `http/answers.py` turns it into one. Texts are
those of apimachinery's `errors` package: clients parse some of them, people read all of them.
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ropewalk.base.errors import Fault


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that was wrong, of `details.causes`."""

    reason: str
    """Such as FieldValueRequired."""
    message: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Details:
    name: str = ""
    group: str = ""
    kind: str = ""
    """The plural resource's name, except for Invalid: there it is the kind."""
    uid: str = ""
    causes: tuple[Cause, ...] = ()
    retry_after_seconds: int = 0


class StatusFault(Fault):
    """The caller's mistake in Kubernetes' terms: `code` is the reason ("NotFound"), `status` the HTTP status."""

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        status: int,
        details: Details | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(reason, message, status=status)
        self.details = details
        self.headers: Mapping[str, str] = headers or {}
        """Further headers of the answer (Retry-After, WWW-Authenticate)."""
        self.continue_token = ""
        """With Expired: from where an inconsistent list may go on."""

    @property
    def reason(self) -> str:
        return self.code


def qualified(plural: str, group: str) -> str:
    """`deployments.apps`, `pods`: as messages name a resource."""
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, group: str, name: str) -> StatusFault:
    return StatusFault(
        "NotFound", f'{qualified(plural, group)} "{name}" not found', status=404, details=Details(name, group, plural)
    )


def path_not_found() -> StatusFault:
    """No such URL."""
    return StatusFault("NotFound", "the server could not find the requested resource", status=404, details=Details())


def already_exists(plural: str, group: str, name: str) -> StatusFault:
    return StatusFault(
        "AlreadyExists",
        f'{qualified(plural, group)} "{name}" already exists',
        status=409,
        details=Details(name, group, plural),
    )


def generate_name_exhausted(plural: str, group: str, name: str) -> StatusFault:
    """Eight tries at `generateName` all met a name that is taken."""
    return StatusFault(
        "AlreadyExists",
        f'{qualified(plural, group)} "{name}" already exists, the server was not able to generate a unique name for'
        " the object",
        status=409,
        details=Details(name, group, plural, retry_after_seconds=1),
    )


def conflict(plural: str, group: str, name: str, why: str) -> StatusFault:
    return StatusFault(
        "Conflict",
        f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}',
        status=409,
        details=Details(name, group, plural),
    )


def unmet_precondition(
    plural: str, group: str, name: str, key: str, what: str, wanted: str, present: str
) -> StatusFault:
    """Conflict: the object under `key` (as kube-apiserver keeps it) is not the one that is meant. `what` is UID or
    ResourceVersion.
    """
    told = f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {present}"
    invalid_object = f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0"
    return conflict(plural, group, name, f"{invalid_object}, AdditionalErrorMsg: {told}")


OBJECT_MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def forbidden(plural: str, group: str, name: str, why: str, *, causes: Sequence[Cause] = ()) -> StatusFault:
    if plural:
        message = (
            f'{qualified(plural, group)} "{name}" is forbidden: {why}'
            if name
            else f"{qualified(plural, group)} is forbidden: {why}"
        )
    else:
        message = f"forbidden: {why}"
    return StatusFault("Forbidden", message, status=403, details=Details(name, group, plural, causes=tuple(causes)))


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> StatusFault:
    """422: `causes` have one entry a field that is wrong. See `fields.FieldErrors.raise_for`."""
    texts = [f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in causes]
    told = texts[0] if len(texts) == 1 else "[" + ", ".join(dict.fromkeys(texts)) + "]"
    return StatusFault(
        "Invalid",
        f'{qualified(kind, group)} "{name}" is invalid: {told}'
        if texts
        else f'{qualified(kind, group)} "{name}" is invalid',
        status=422,
        details=Details(name, group, kind, causes=tuple(causes)),
    )


def bad_request(message: str) -> StatusFault:
    return StatusFault("BadRequest", message, status=400)


def unauthorized() -> StatusFault:
    return StatusFault("Unauthorized", "Unauthorized", status=401)


def unsupported_media_type(given: str, accepted: Sequence[str]) -> StatusFault:
    return StatusFault(
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
        + (f" (it was {given})" if given else ""),
        status=415,
    )


def not_acceptable(accepted: Sequence[str]) -> StatusFault:
    return StatusFault(
        "NotAcceptable", f"only the following media types are accepted: {', '.join(accepted)}", status=406
    )


def expired(message: str) -> StatusFault:
    """410: the history asked for is gone; list again."""
    return StatusFault("Expired", message, status=410)


def too_large_resource_version(asked: int, present: int) -> StatusFault:
    """504: a `NotOlderThan` read of a revision that was not reached yet."""
    return StatusFault(
        "Timeout",
        f"Too large resource version: {asked}, current: {present}",
        status=504,
        details=Details(
            causes=(Cause("ResourceVersionTooLarge", "Too large resource version"),), retry_after_seconds=1
        ),
    )


def timeout(plural: str, group: str, message: str, retry_after: int = 0) -> StatusFault:
    return StatusFault(
        "Timeout", message, status=504, details=Details(group=group, kind=plural, retry_after_seconds=retry_after)
    )


def too_many_requests(message: str, retry_after: int = 1, *, details: Details | None = None) -> StatusFault:
    return StatusFault(
        "TooManyRequests",
        message,
        status=429,
        details=details or Details(retry_after_seconds=retry_after),
        headers={"retry-after": str(retry_after)} if retry_after else {},
    )


def entity_too_large(message: str) -> StatusFault:
    return StatusFault("RequestEntityTooLarge", message, status=413)


def service_unavailable(message: str) -> StatusFault:
    return StatusFault("ServiceUnavailable", message, status=503)


def internal_error(message: str) -> StatusFault:
    """Something outside us failed (a webhook, a backend): never for a bug of ours, which is logged and worded apart."""
    return StatusFault(
        "InternalError",
        f"Internal error occurred: {message}",
        status=500,
        details=Details(causes=(Cause("", message),)),
    )
