"""Whether documents are of EC2's own shapes: the oracle is botocore's model."""

from __future__ import annotations

from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator


@cache
def service() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("ec2", "service-2"))


def input_errors(operation: str, params: dict[str, Any]) -> str:
    shape = service().operation_model(operation).input_shape
    report = ParamValidator().validate(params, shape)
    return report.generate_report() if report.has_errors() else ""


def output_errors(operation: str, document: dict[str, Any]) -> list[str]:
    shape = service().operation_model(operation).output_shape
    if shape is None:
        return [f"{operation} answers nothing"] if document else []
    return list(_errors(shape, document, operation))


UNLISTED = ("available",)
"""The state of an attached internet gateway: what EC2 answers, though its model's enumeration does not list it."""

_SCALARS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "double": float,
    "timestamp": (int, float),
}


def _errors(shape: Shape, value: Any, path: str) -> Any:
    if shape.type_name == "structure":
        if not isinstance(value, dict):
            yield f"{path} is not a structure"
            return
        for name, member in value.items():
            if name not in shape.members:
                yield f"{path}.{name} is unknown"
            else:
                yield from _errors(shape.members[name], member, f"{path}.{name}")
    elif shape.type_name == "list":
        for place, item in enumerate(value):
            yield from _errors(shape.member, item, f"{path}[{place}]")
    elif not isinstance(value, _SCALARS[shape.type_name]) or (isinstance(value, bool) and shape.type_name != "boolean"):
        yield f"{path} is {value!r}, not a {shape.type_name}"
    elif shape.type_name == "string" and getattr(shape, "enum", None) and value not in {*shape.enum, *UNLISTED}:
        yield f"{path} is {value!r}, none of {shape.enum}"
