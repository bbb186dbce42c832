"""The AWS front: the path of one request, as a list of named steps.

Knows no service's meaning: it finds the operation in AWS's models, asks who is calling and whether they may, and hands
a checked document to the slice that offers the operation. Every outcome, a bug included, leaves in the words of the
protocol that the client speaks.

Steps stand in the order in which AWS's own front judges: the signature before the body is read, the document before
permissions are asked (which resources a call touches is known only from a document that has been checked). None of them
changes anything; only `dispatch` runs a slice's code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ropewalk.aws.audit import Audited, AuditTrail
from ropewalk.aws.conformance import require_conforming
from ropewalk.aws.faults import wire_error
from ropewalk.aws.operations import Authorizer, Call, Offered, Operations, Params, Principal
from ropewalk.aws.ports import Authenticator
from ropewalk.aws.protocols.protocol import Inbound, WireProtocol
from ropewalk.aws.protocols.values import Malformed
from ropewalk.aws.routing import Located, address_of, guess_wire, locate
from ropewalk.aws.specs import OperationSpec, ServiceSpec, UnknownService, service_spec
from ropewalk.aws.validation import validate
from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Fault, Retryable
from ropewalk.base.http.browsers import HostRules, keep_browsers_out
from ropewalk.base.http.messages import Peer, Refusal, Request, Response
from ropewalk.base.log import logger

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Mount:
    """A slice at the front: `operations` run with `slice`."""

    service: str
    operations: Operations[Any]
    """`Any`: each slice has a type of its own; only its operations look inside."""
    slice: object


@dataclass(frozen=True, slots=True)
class FrontSettings:
    region: str
    account: str
    hosts: HostRules = field(default_factory=HostRules)
    in_flight: int = 4096
    """Requests being answered at once; more are told to come back."""
    check_answers: bool = False
    """Hold every answer of a slice against the model (tests, development); a deviation is a bug."""


@dataclass(slots=True)
class Exchange:
    """One request on its way through the steps, and what each has found."""

    request: Request
    request_id: str
    now: float
    located: Located | None = None
    spec: OperationSpec | None = None
    offered: Offered[Any] | None = None
    mount: Mount | None = None
    principal: Principal | None = None
    call: Call | None = None
    params: Params = field(default_factory=dict)
    result: Params = field(default_factory=dict)
    response: Response | None = None
    outcome: str = "allowed"

    @property
    def wire(self) -> WireProtocol:
        return self.located.wire if self.located is not None else guess_wire(self.request)

    @property
    def service(self) -> ServiceSpec | None:
        return self.spec.service if self.spec is not None else None


Step = Callable[[Exchange], Awaitable[None]]

_REFUSALS = {
    Refusal.MALFORMED: Fault("MalformedRequest", "The request is not well-formed HTTP."),
    Refusal.TIMED_OUT: Fault("TimedOut", "The request did not arrive in time.", status=408),
    Refusal.BODY_TOO_LARGE: Fault("TooLarge", "The request body exceeds the size this service accepts.", status=413),
    Refusal.HEADERS_TOO_LARGE: Fault("HeadersTooLarge", "The request's headers are too large or too many.", status=431),
    Refusal.TOO_MANY_CONNECTIONS: Fault("Busy", "Too many connections; try again soon.", status=503),
}
_ANONYMOUS = "anonymous"
_NOBODY = Peer("")


class Front:
    """`handle` answers an HTTP server's requests, `refuse` words what the server turned away."""

    def __init__(
        self,
        mounts: Sequence[Mount],
        *,
        authenticator: Authenticator,
        authorizer: Authorizer,
        clock: Clock,
        entropy: Entropy,
        settings: FrontSettings,
        audit: AuditTrail | None = None,
    ) -> None:
        """Raises `KeyError` for a mount that `routing.ADDRESSES` does not know: add it there first."""
        self._mounts = {address_of(mount.service).service: mount for mount in mounts}
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._clock = clock
        self._entropy = entropy
        self._settings = settings
        self._in_flight = 0
        self.audit = audit or AuditTrail()
        self.steps: tuple[tuple[str, Step], ...] = (
            ("limits", self._limits),
            ("browsers", self._browsers),
            ("locate", self._locate),
            ("authenticate", self._authenticate),
            ("parse", self._parse),
            ("validate", self._validate),
            ("authorise", self._authorise),
            ("dispatch", self._dispatch),
            ("serialise", self._serialise),
        )

    async def handle(self, request: Request) -> Response:
        started = self._clock.monotonic()
        exchange = Exchange(request, self._entropy.uuid(), self._clock.wall())
        self._in_flight += 1
        try:
            for _, step in self.steps:
                await step(exchange)
        except Exception as error:
            self._fail(exchange, error)
        finally:
            self._in_flight -= 1
        response = exchange.response
        assert response is not None
        self._record(exchange, response.status, self._clock.monotonic() - started)
        return response

    def refuse(self, refusal: Refusal, request: Request | None) -> Response:
        """A server's refusal, as the service that was meant would say it."""
        request = request or Request("", "", "", "", {}, b"", _NOBODY)
        exchange = Exchange(request, self._entropy.uuid(), self._clock.wall())
        self._answer_fault(exchange, _REFUSALS[refusal])
        assert exchange.response is not None
        self._record(exchange, exchange.response.status, 0.0)
        return exchange.response

    # --- the steps

    async def _limits(self, exchange: Exchange) -> None:
        if self._in_flight > self._settings.in_flight:
            raise Retryable("too many requests at once", after=1.0)

    async def _browsers(self, exchange: Exchange) -> None:
        keep_browsers_out(exchange.request, self._settings.hosts)

    async def _locate(self, exchange: Exchange) -> None:
        located = exchange.located = locate(exchange.request)
        address = located.address
        if address is None:
            return
        exchange.spec = service_spec(address.service).operation(located.operation)
        exchange.mount = self._mounts.get(address.service)
        if exchange.mount is not None:
            exchange.offered = exchange.mount.operations.offered.get(located.operation)

    async def _authenticate(self, exchange: Exchange) -> None:
        located = exchange.located
        assert located is not None
        if exchange.spec is not None and exchange.spec.anonymous:
            exchange.principal = Principal("", self._settings.account, _ANONYMOUS, _ANONYMOUS)
            return
        signing_name = located.address.signing_name if located.address is not None else located.scope.service
        exchange.principal = await self._authenticator.authenticate(exchange.request, signing_name, exchange.now)
        self._check_region(located)

    def _check_region(self, located: Located) -> None:
        region, ours = located.scope.region, self._settings.region
        if region == ours or (located.address is not None and located.address.is_global and region == "us-east-1"):
            return
        raise Fault(
            "SignatureDoesNotMatch",
            f"Credential should be scoped to a valid region, not {region!r}: this endpoint serves {ours} "
            f"(set AWS_REGION={ours}).",
            status=403,
        )

    async def _parse(self, exchange: Exchange) -> None:
        located = exchange.located
        assert located is not None
        if located.address is None:
            raise Fault("UnknownOperation", _unknown_service(exchange.request))
        if exchange.spec is None:
            raise Fault("UnknownOperation", _unknown_operation(located))
        if exchange.offered is None:
            raise Fault(
                "NotImplemented",
                f"{located.address.service}:{located.operation} is not implemented by Ropewalk; "
                "`ropewalk coverage` lists what is.",
            )
        inbound = Inbound(exchange.request, located.form, located.labels)
        exchange.params = located.wire.parse(exchange.spec, inbound)

    async def _validate(self, exchange: Exchange) -> None:
        assert exchange.spec is not None
        validate(exchange.spec, exchange.params, exchange.wire)

    async def _authorise(self, exchange: Exchange) -> None:
        offered, principal, request = exchange.offered, exchange.principal, exchange.request
        assert offered is not None and principal is not None and exchange.mount is not None
        call = exchange.call = Call(
            service=exchange.mount.service,
            operation=offered.name,
            request_id=exchange.request_id,
            account=principal.account,
            region=self._settings.region,
            principal=principal,
            now=exchange.now,
            source_ip=request.peer.address,
            host=request.headers.get("host", ""),
            authorizer=self._authorizer,
        )
        if principal.kind == _ANONYMOUS:
            return
        await offered.authorise(exchange.mount.slice, call, exchange.params)

    async def _dispatch(self, exchange: Exchange) -> None:
        assert exchange.offered is not None and exchange.mount is not None and exchange.call is not None
        exchange.result = await exchange.offered.run(exchange.mount.slice, exchange.call, exchange.params)

    async def _serialise(self, exchange: Exchange) -> None:
        assert exchange.spec is not None
        if self._settings.check_answers:
            require_conforming(exchange.spec, exchange.result)
        exchange.response = exchange.wire.answer(exchange.spec, exchange.result, exchange.request_id)

    # --- what goes wrong

    def _fail(self, exchange: Exchange, error: Exception) -> None:
        if isinstance(error, Fault):
            self._answer_fault(exchange, error)
        elif isinstance(error, Malformed):
            where = f" at '{error.path}'" if error.path else ""
            self._answer_fault(exchange, Fault("MalformedBody", f"{error.message}{where}"))
        elif isinstance(error, Retryable):
            self._answer_fault(exchange, Fault("Busy", f"{error.reason}; try again.", status=503))
            assert exchange.response is not None
            exchange.response.headers["retry-after"] = str(max(1, round(error.after)))
        elif isinstance(error, RecursionError) and exchange.call is None:
            self._answer_fault(exchange, Fault("MalformedBody", "the body is nested too deep"))
        else:
            log.bug("request failed", action=_action(exchange), request=exchange.request_id)
            text = f"An internal error occurred; the log has it under request id {exchange.request_id}."
            self._answer_fault(exchange, Fault("Bug", text, status=500))

    def _answer_fault(self, exchange: Exchange, fault: Fault) -> None:
        service = exchange.service
        if service is None:
            service = _service_for_words(exchange)
        error = wire_error(exchange.wire, service, fault)
        exchange.outcome = error.code
        exchange.response = exchange.wire.fault(service, error, exchange.request_id)

    def _record(self, exchange: Exchange, status: int, seconds: float) -> None:
        self.audit.record(
            Audited(
                time=exchange.now,
                request_id=exchange.request_id,
                principal=exchange.principal.arn if exchange.principal is not None else "",
                action=_action(exchange),
                source=exchange.request.peer.address,
                decision=exchange.outcome,
                status=status,
                seconds=seconds,
            )
        )


def _action(exchange: Exchange) -> str:
    if exchange.offered is not None:
        return exchange.offered.action
    located = exchange.located
    if located is None or located.address is None or exchange.spec is None:
        return ""
    return f"{located.address.service}:{located.operation}"


_NO_METADATA = {"apiVersion": "", "protocol": "json", "endpointPrefix": "unknown"}
_NOWHERE = ServiceSpec("unknown", {"metadata": _NO_METADATA, "shapes": {}, "operations": {}})


def _service_for_words(exchange: Exchange) -> ServiceSpec:
    """The model to word an error by: of the service meant, else an empty one."""
    located = exchange.located
    if located is None or located.address is None:
        return _NOWHERE
    try:
        return service_spec(located.address.service)
    except UnknownService:
        return _NOWHERE


def _unknown_service(request: Request) -> str:
    target = request.headers.get("x-amz-target")
    return f"No service is known by the target {target[:200]!r}." if target else "No service is known by this request."


def _unknown_operation(located: Located) -> str:
    if located.form is not None:
        action, version = located.form.get("Action", "")[:200], located.form.get("Version", "")[:40]
        return f"Could not find operation {action} for version {version}"
    return f"Unknown operation {located.operation[:200]}".rstrip()
