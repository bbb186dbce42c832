"""A request's object, read strictly, leniently or not at all checked for what it does not know. Pure.

https://kubernetes.io/docs/reference/using-api/api-concepts/#validation-for-unrecognized-or-duplicate-fields
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.requests import Call


def read(served: Served, body: Object, call: Call, duplicates: Sequence[str] = ()) -> Object:
    """`body` (owned) as an object of this resource, defaulted, in the version it is kept in. Raises BadRequest."""
    obj, complaints = served.read_body(body)
    tell([*complaints, *duplicates], call)
    return finished(served, obj)


def tell(complaints: Sequence[str], call: Call) -> None:
    """Warn of what was doubled or unknown, or raise BadRequest, as the request asks for."""
    if complaints and call.field_validation == "Strict":
        raise errors.bad_request(f"strict decoding error: {', '.join(complaints)}")
    if complaints and call.field_validation == "Warn":
        call.warnings.extend(complaints)


def read_patched(served: Served, body: Object, call: Call, duplicates: Sequence[str], patch: str) -> Object:
    """The outcome of a patch; strictness finds fault with the patch. Raises Invalid."""
    obj, complaints = served.read_body(body)
    told = [*complaints, *duplicates]
    if told and call.field_validation == "Strict":
        found = FieldErrors()
        found.invalid(Path("patch"), patch, f"strict decoding error: {', '.join(told)}")
        raise found.fault(served.info.kind, served.info.group, obj.get("metadata", {}).get("name", ""))
    if told and call.field_validation == "Warn":
        call.warnings.extend(told)
    return finished(served, obj)


def finished(served: Served, obj: Object) -> Object:
    obj.setdefault("metadata", {})
    served.strategy.default(obj)
    return obj
