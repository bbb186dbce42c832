"""One request on its way through the front, and what the steps have learnt of it so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from ropewalk.base.http.messages import Request
from ropewalk.kube.machinery.http.negotiation import Wanted
from ropewalk.kube.machinery.http.options import Query
from ropewalk.kube.machinery.http.routes import Route
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.requests import Call


@dataclass(slots=True)
class Exchange:
    request: Request
    query: Query
    route: Route
    call: Call
    wanted: Wanted = field(default_factory=Wanted)
    body: Object | None = None
    """The request's object as it was read, for the audit log."""
