"""JSON merge patch (RFC 7386): what is named changes, null deletes, lists are replaced whole.
https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
"""

from __future__ import annotations

from ropewalk.kube.machinery.errors import bad_request
from ropewalk.kube.machinery.objects import Json, Object

_JSON_NAMES = {str: "string", bool: "bool", int: "number", float: "number", list: "array"}


def apply_merge_patch(document: Object, patch: Json) -> Object:
    """The patched document. Neither argument is changed; the result shares their parts."""
    if type(patch) is not dict:
        raise bad_request(
            f"error decoding patch: json: cannot unmarshal {_JSON_NAMES.get(type(patch), 'null')} into Go value of"
            " type map[string]interface {}"
        )
    return _merged(document, patch)


def _merged(target: Json, patch: Object) -> Object:
    result: Object = dict(target) if type(target) is dict else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif type(value) is dict:
            result[key] = _merged(result.get(key), value)
        else:
            result[key] = value
    return result
