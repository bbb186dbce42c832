"""Operations in the dialects of v2 and v3, and the frames of the documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.openapi.operations import ANY, OBJECTS, Operation
from ropewalk.kube.machinery.openapi.parameters import Parameter

_MEANINGS = {200: "OK", 201: "Created", 202: "Accepted"}
_INFO = {"title": "Kubernetes", "version": "unversioned"}
_BEARER = {
    "BearerToken": {
        "description": "Bearer Token authentication",
        "type": "apiKey",
        "name": "authorization",
        "in": "header",
    }
}

Referrer = Callable[[str], Object]
"""The name of a definition → a reference to it."""


def definitions_of(operations: Iterable[Operation]) -> set[str]:
    """Everything that the operations refer to."""
    found: set[str] = set()
    for operation in operations:
        found.update(name for _, name in operation.results if name)
        if operation.body:
            found.add(operation.body)
    return found


def v3_document(operations: Iterable[Operation], schemas: dict[str, Object], refer: Referrer) -> Object:
    paths: dict[str, Object] = {}
    for operation in operations:
        path = paths.setdefault(operation.path, {})
        if operation.shared:
            path.setdefault("parameters", [_v3_parameter(given) for given in operation.shared])
        path[operation.method] = _v3_operation(operation, refer)
    return {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": schemas, "securitySchemes": _BEARER},
    }


def v2_document(operations: Iterable[Operation], schemas: dict[str, Object], refer: Referrer) -> Object:
    paths: dict[str, Object] = {}
    for operation in operations:
        path = paths.setdefault(operation.path, {})
        if operation.shared:
            path.setdefault("parameters", [_v2_parameter(given) for given in operation.shared])
        path[operation.method] = _v2_operation(operation, refer)
    return {
        "swagger": "2.0",
        "info": _INFO,
        "paths": dict(sorted(paths.items())),
        "definitions": schemas,
        "securityDefinitions": _BEARER,
        "security": [{"BearerToken": []}],
    }


def _common(operation: Operation) -> Object:
    shown: Object = {"description": operation.description, "operationId": operation.id, "tags": [operation.tag]}
    if operation.action and operation.gvk:
        gvk = operation.gvk
        shown["x-kubernetes-action"] = operation.action
        shown["x-kubernetes-group-version-kind"] = {"group": gvk.group, "version": gvk.version, "kind": gvk.kind}
    return shown


# --- v3


def _v3_operation(operation: Operation, refer: Referrer) -> Object:
    shown = _common(operation)
    if operation.parameters:
        shown["parameters"] = [_v3_parameter(given) for given in operation.parameters]
    if operation.body:
        consumes = OBJECTS if operation.consumes == (ANY,) else operation.consumes
        content = {media_type: {"schema": refer(operation.body)} for media_type in consumes}
        shown["requestBody"] = {"content": content, **({"required": True} if operation.body_required else {})}
    responses: Object = {}
    for status, definition in operation.results:
        schema = refer(definition) if definition else {"type": "string"}
        content = {media_type: {"schema": schema} for media_type in operation.produces}
        responses[str(status)] = {"description": _MEANINGS[status], "content": content}
    shown["responses"] = {**responses, "401": {"description": "Unauthorized"}}
    return shown


def _v3_parameter(given: Parameter) -> Object:
    return {
        "name": given.name,
        "in": given.place,
        "description": given.description,
        "schema": {"type": given.type, "uniqueItems": True},
        **({"required": True} if given.place == "path" else {}),
    }


# --- v2


def _v2_operation(operation: Operation, refer: Referrer) -> Object:
    shown = _common(operation)
    shown |= {"schemes": ["https"], "consumes": list(operation.consumes), "produces": list(operation.produces)}
    parameters = [_v2_parameter(given) for given in operation.parameters]
    if operation.body:
        required = {"required": True} if operation.body_required else {}
        parameters.insert(0, {"name": "body", "in": "body", **required, "schema": refer(operation.body)})
    if parameters:
        shown["parameters"] = parameters
    responses: Object = {}
    for status, definition in operation.results:
        schema = refer(definition) if definition else {"type": "string"}
        responses[str(status)] = {"description": _MEANINGS[status], "schema": schema}
    shown["responses"] = {**responses, "401": {"description": "Unauthorized"}}
    return shown


def _v2_parameter(given: Parameter) -> Object:
    return {
        "name": given.name,
        "in": given.place,
        "description": given.description,
        "type": given.type,
        "uniqueItems": True,
        **({"required": True} if given.place == "path" else {}),
    }
