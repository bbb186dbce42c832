"""AWS's own service models, from the data files that botocore ships: what operations exist and how they are spelt.

botocore itself is never imported (it costs 115 ms and 20 MB): the files are gzipped JSON. A service is loaded when its
first request comes (ecs: 12 ms, ec2: 60 ms), its prose dropped at once; an operation's plans are compiled when it is
first called. `Shape` is one use of a modelled shape: the shape's own traits overlaid with those of the reference.
"""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Mapping
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import orjson

Traits = Mapping[str, Any]
"""A node of a model file. `Any`: it is whatever AWS wrote there."""


class UnknownService(Exception):
    """botocore has no model of that name."""


@lru_cache(maxsize=1)
def data_folder() -> Path:
    spec = importlib.util.find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        raise UnknownService("botocore is not installed: its data files are the service models")
    return Path(spec.submodule_search_locations[0]) / "data"


@cache
def service_spec(service: str) -> ServiceSpec:
    """The newest model of a service, by botocore's name for it ("ecs", "elbv2"). Raises `UnknownService`."""
    folder = data_folder() / service
    if not service or "/" in service or not folder.is_dir():
        raise UnknownService(service)
    version = max(entry.name for entry in folder.iterdir() if entry.name[:1].isdigit())
    plain = folder / version / "service-2.json"
    raw = plain.read_bytes() if plain.exists() else gzip.decompress(plain.with_suffix(".json.gz").read_bytes())
    model = orjson.loads(raw)
    _drop_prose(model)
    return ServiceSpec(service, model)


def _drop_prose(model: dict[str, Any]) -> None:
    """Documentation is three quarters of a model; nothing here reads it."""
    model.pop("documentation", None)
    for operation in model["operations"].values():
        operation.pop("documentation", None)
        for error in operation.get("errors", ()):
            error.pop("documentation", None)
    for shape in model["shapes"].values():
        shape.pop("documentation", None)
        for reference in (
            *shape.get("members", {}).values(),
            shape.get("member"),
            shape.get("key"),
            shape.get("value"),
        ):
            if reference is not None:
                reference.pop("documentation", None)


class Shape:
    """One use of a shape. Members are resolved when asked for, so that recursive models end."""

    __slots__ = ("_members", "_shapes", "kind", "name", "traits")

    def __init__(self, shapes: Mapping[str, Traits], reference: Traits) -> None:
        self._shapes = shapes
        self.name: str = reference["shape"]
        own = shapes[self.name]
        self.kind: str = own["type"]
        self.traits: Traits = {**own, **reference} if len(reference) > 1 else own
        self._members: dict[str, Shape] | None = None

    @property
    def members(self) -> dict[str, Shape]:
        """A structure's members by their own names, in the model's order."""
        if self._members is None:
            members = self.traits.get("members", {})
            self._members = {name: Shape(self._shapes, reference) for name, reference in members.items()}
        return self._members

    @property
    def member(self) -> Shape:
        """A list's element."""
        return Shape(self._shapes, self.traits["member"])

    @property
    def key(self) -> Shape:
        return Shape(self._shapes, self.traits["key"])

    @property
    def value(self) -> Shape:
        return Shape(self._shapes, self.traits["value"])

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(self.traits.get("required", ()))

    @property
    def wire_name(self) -> str | None:
        """`locationName`: its name on the wire where that differs from the member's."""
        return self.traits.get("locationName")

    @property
    def location(self) -> str | None:
        return self.traits.get("location")

    @property
    def flattened(self) -> bool:
        return bool(self.traits.get("flattened"))

    @property
    def is_document(self) -> bool:
        return bool(self.traits.get("document"))

    @property
    def identity(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """What distinguishes this use from another of the same shape: the key under which plans are cached."""
        own = self._shapes[self.name]
        return self.name, tuple(
            (key, repr(value)) for key, value in self.traits.items() if key not in own or own[key] is not value
        )


class ErrorSpec:
    """A modelled error: its code on the wire, its status, its members."""

    __slots__ = ("code", "name", "query_sender", "shape", "status")

    def __init__(self, shape: Shape) -> None:
        error: Traits = shape.traits.get("error", {})
        self.shape = shape
        self.name = shape.name
        self.code: str = error.get("code", shape.name)
        self.status: int | None = error.get("httpStatusCode")
        self.query_sender: bool = bool(error.get("senderFault", not shape.traits.get("fault", False)))


class OperationSpec:
    """One operation of a service's model."""

    def __init__(self, service: ServiceSpec, traits: Traits) -> None:
        self.service = service
        self.traits = traits
        self.name: str = traits["name"]
        self.method: str = traits["http"]["method"]
        self.uri: str = traits["http"]["requestUri"]
        self.status: int = traits["http"].get("responseCode", 200)
        self.plans: dict[str, Any] = {}
        """What protocols compiled for this operation, by their own keys. `Any`: each knows its own."""

    @cached_property
    def input(self) -> Shape | None:
        reference = self.traits.get("input")
        return Shape(self.service.shapes, reference) if reference else None

    @cached_property
    def output(self) -> Shape | None:
        reference = self.traits.get("output")
        return Shape(self.service.shapes, reference) if reference else None

    @property
    def result_wrapper(self) -> str:
        """The element around a query protocol's result."""
        output: Traits = self.traits.get("output", {})
        wrapper: str = output.get("resultWrapper", f"{self.name}Result")
        return wrapper

    @property
    def anonymous(self) -> bool:
        """Whether AWS takes it unsigned (AssumeRoleWithWebIdentity)."""
        return self.traits.get("authtype") == "none" or "smithy.api#noAuth" in self.traits.get("auth", ())


class ServiceSpec:
    """One service's model."""

    def __init__(self, service: str, model: Traits) -> None:
        metadata: Traits = model["metadata"]
        self.service = service
        self.metadata = metadata
        self.shapes: Mapping[str, Traits] = model["shapes"]
        self.version: str = metadata["apiVersion"]
        self.protocols: tuple[str, ...] = tuple(metadata.get("protocols") or (metadata["protocol"],))
        self.signing_name: str = metadata.get("signingName") or metadata["endpointPrefix"]
        self.target_prefix: str = metadata.get("targetPrefix", "")
        self.json_version: str = metadata.get("jsonVersion", "1.1")
        self.xml_namespace: str = metadata.get("xmlNamespace", "")
        self.query_compatible = "awsQueryCompatible" in metadata
        self._operations: dict[str, OperationSpec] = {}
        self._traits: Mapping[str, Traits] = model["operations"]
        self.plans: dict[str, Any] = {}

    @property
    def operation_names(self) -> tuple[str, ...]:
        return tuple(self._traits)

    def operation(self, name: str) -> OperationSpec | None:
        """None where the model has no operation of that name."""
        known = self._operations.get(name)
        if known is None and name in self._traits:
            known = self._operations[name] = OperationSpec(self, self._traits[name])
        return known

    @cached_property
    def errors(self) -> dict[str, ErrorSpec]:
        """Modelled errors by shape name and by wire code (a shape's own name wins)."""
        specs = [
            ErrorSpec(Shape(self.shapes, {"shape": name}))
            for name, shape in self.shapes.items()
            if shape.get("exception") or "error" in shape
        ]
        return {spec.code: spec for spec in specs} | {spec.name: spec for spec in specs}
