"""What every wire protocol does for the front: a request's document in, a response or an error out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ropewalk.aws.operations import Params
from ropewalk.aws.specs import ErrorSpec, OperationSpec, ServiceSpec
from ropewalk.base.http.messages import Request, Response


@dataclass(slots=True)
class Inbound:
    """A request and what finding its operation has already learnt of it."""

    request: Request
    form: Mapping[str, str] | None = None
    """Query protocols: the parameters, decoded."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """REST protocols: the path's labels, decoded."""


@dataclass(frozen=True, slots=True)
class WireError:
    """An error about to be written: its code as the client shall see it."""

    code: str
    message: str
    status: int
    sender: bool
    """Whose fault it is: the client's, or the service's."""
    members: Mapping[str, Any]
    """Further members of the modelled shape. `Any`: the model's types."""
    spec: ErrorSpec | None
    """The modelled shape, where there is one."""


class WireProtocol(Protocol):
    @property
    def name(self) -> str: ...

    def parse(self, operation: OperationSpec, inbound: Inbound) -> Params:
        """The request's document. Raises `Malformed`; unknown members are left out, as AWS does."""
        ...

    def answer(self, operation: OperationSpec, result: Params, request_id: str) -> Response: ...

    def fault(self, service: ServiceSpec, error: WireError, request_id: str) -> Response: ...
