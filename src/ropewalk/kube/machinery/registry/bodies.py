"""A request's object, read strictly, leniently or not at all checked for what it does not know. Pure.

https://kubernetes.io/docs/reference/using-api/api-concepts/#validation-for-unrecognized-or-duplicate-fields
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ropewalk.kube.machinery import decoding, errors, json_text
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.requests import Call
from ropewalk.kube.machinery.resources import GroupVersionKind


def read(served: Served, body: Object, call: Call, duplicates: Sequence[str] = (), text: bytes = b"") -> Object:
    """`body` (owned) as an object of this resource, defaulted, in the version it is kept in. Raises BadRequest.

    `text`: where it was read from JSON. Go's decoder of built-in kinds finds both sorts of complaints in one go, in the
    order of the text; all others look for doubled fields first.
    """
    obj, complaints = served.read_body(body)
    told = [*duplicates, *complaints]
    if text and duplicates and complaints and not served.custom:
        told = json_text.in_order(text, told)
    tell(told, call, served.info.gvk)
    return finished(served, obj)


def tell(complaints: Sequence[str], call: Call, expected: GroupVersionKind) -> None:
    """Warn of what was doubled or unknown in a body, or raise BadRequest, as the request asks for."""
    if complaints and call.field_validation == "Strict":
        raise decoding.strict_error(expected, complaints)
    warn(complaints, call)


def warn(complaints: Sequence[str], call: Call) -> None:
    """A warning for each, where the request asks for it."""
    if complaints and call.field_validation == "Warn":
        call.warnings.extend(line for told in complaints for line in decoding.single_complaints(told))


def read_patched(
    served: Served, body: Object, call: Call, duplicates: Sequence[str], quoted: Callable[[], str]
) -> Object:
    """The outcome of a patch; what is wrong with it is the patch's fault, which `quoted` tells. Raises Invalid."""
    try:
        obj, complaints = served.read_body(body)
    except errors.StatusFault as fault:
        raise _invalid_patch(quoted(), decoding.bare(fault.message, served.info.gvk)) from None
    told = [*duplicates, *complaints]
    if told and call.field_validation == "Strict":
        raise _invalid_patch(quoted(), decoding.strict_text(told))
    warn(told, call)
    return finished(served, obj)


def _invalid_patch(quoted: str, why: str) -> errors.StatusFault:
    found = FieldErrors()
    found.invalid(Path("patch"), quoted, why)
    return found.fault("", "", "")


def finished(served: Served, obj: Object) -> Object:
    obj.setdefault("metadata", {})
    served.strategy.default(obj)
    return obj
