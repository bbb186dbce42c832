"""The way of a request through the server, as a list of steps: read, keep browsers out, who, as whom, when, whether,
what.

    read        URL and query taken apart                        routes, options
    browsers    a web page must not act through its visitor      base.http.browsers
    who         the caller is authenticated, or refused          security
    as whom     impersonation                                    security
    when        priority and fairness: its turn                  flowcontrol
    whether     authorization                                    security
    what        the verb                                         reads, writes, pages, connectors

Audit looks on from the first step to the last. A `StatusFault` anywhere becomes its Status; anything else is a bug of
ours, logged, and answered as an internal error that says no more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from ropewalk.base.errors import Fault, Retryable
from ropewalk.base.http.browsers import HostRules, keep_browsers_out
from ropewalk.base.http.messages import Request, Response
from ropewalk.base.log import logger
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.access import Authenticator, Authorizer, Verdict
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.http import answers, negotiation, options, routes
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.http.metrics import Metrics
from ropewalk.kube.machinery.http.pages import Pages
from ropewalk.kube.machinery.http.reads import Reads
from ropewalk.kube.machinery.http.writes import Writes
from ropewalk.kube.machinery.registry.registry import Registry
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.requests import ANONYMOUS, Attributes, Call, User
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.store.protocol import StoreClosed

log = logger(__name__)

LONG_RUNNING = frozenset(("watch", "proxy"))
LONG_SUBRESOURCES = frozenset(("attach", "exec", "proxy", "log", "portforward"))

Connector = Callable[[Served, Exchange], Awaitable[Response]]
"""What answers a subresource that is a connection: exec, attach, portforward, log, proxy."""
Delegate = Callable[[Exchange], Awaitable[Response | None]]
"""Another server's groups (aggregation); None where they are nobody's."""


class Impersonator(Protocol):
    async def __call__(self, request: Request, user: User) -> User:
        """The user to act as. Raises Forbidden."""
        ...


class Turn(Protocol):
    @property
    def headers(self) -> Mapping[str, str]:
        """Which flow schema and level took the request: told with its answer."""
        ...


class FlowControl(Protocol):
    def turn(self, attributes: Attributes, *, long_running: bool) -> AbstractAsyncContextManager[Turn, None]:
        """Entered when the request may go on; left when it is through. Raises TooManyRequests."""
        ...


class Auditor(Protocol):
    def began(self, exchange: Exchange, *, long_running: bool) -> object | None:
        """What `ended` wants back; None where nothing of this request is kept."""
        ...

    def ended(self, record: object, exchange: Exchange, response: Response) -> None: ...


async def _as_oneself(request: Request, user: User) -> User:
    return user


@dataclass(frozen=True, slots=True)
class Steps:
    """What stands around the verbs; by default as little as may be."""

    authenticator: Authenticator
    authorizer: Authorizer
    impersonator: Impersonator = _as_oneself
    flow_control: FlowControl | None = None
    auditor: Auditor | None = None
    hosts: Callable[[], HostRules] = HostRules
    metrics: Metrics = field(default_factory=Metrics)
    connectors: Mapping[tuple[GroupResource, str], Connector] = field(default_factory=dict)
    delegate: Delegate | None = None


class Front:
    """`handle` is given to the HTTP server, with `answers.refusal`."""

    def __init__(self, registry: Registry, reads: Reads, writes: Writes, pages: Pages, steps: Steps) -> None:
        self._registry = registry
        self._reads = reads
        self._writes = writes
        self._pages = pages
        self._steps = steps

    async def handle(self, request: Request) -> Response:
        began = self._registry.clock.monotonic()
        exchange: Exchange | None = None
        record: object | None = None
        try:
            exchange = self._read(request)
            keep_browsers_out(request, self._steps.hosts())
            long_running = _is_long_running(exchange)
            auditor = self._steps.auditor
            try:
                user = await self._steps.authenticator.authenticate(request)
                self._set_user(exchange, ANONYMOUS if user is None else user)
            finally:  # who was turned away is on record as well; who acts as somebody else, as who they are
                if auditor is not None:
                    record = auditor.began(exchange, long_running=long_running)
            if any(name.startswith("impersonate-") for name in request.headers):
                self._set_user(exchange, await self._steps.impersonator(request, exchange.call.user))
            response = await self._admitted(exchange, long_running=long_running)
        except Exception as error:
            response = self._failed(error, request)
        if exchange is not None:
            self._steps.metrics.count(exchange, response.status, self._registry.clock.monotonic() - began)
            answers.add_warnings(response, exchange.call.warnings)
            if record is not None and self._steps.auditor is not None:
                self._steps.auditor.ended(record, exchange, response)
        return response

    def _read(self, request: Request) -> Exchange:
        query = options.parsed(request.query)
        route = routes.route(request.method, request.path, query)
        attributes = Attributes(
            ANONYMOUS,
            route.verb,
            route.path,
            route.group,
            route.version,
            route.resource,
            route.subresource,
            route.namespace,
            route.name or route.selected_name,
            options.first(query, "fieldSelector"),
            options.first(query, "labelSelector"),
        )
        call = Call(ANONYMOUS, attributes, user_agent=request.header("user-agent"), source=request.peer.address)
        return Exchange(request, query, route, call)

    def _set_user(self, exchange: Exchange, user: User) -> None:
        exchange.call.user = user
        exchange.call.attributes = exchange.call.attributes.by(user)

    async def _admitted(self, exchange: Exchange, *, long_running: bool) -> Response:
        flow_control = self._steps.flow_control
        if flow_control is None:
            return await self._authorized(exchange)
        async with flow_control.turn(exchange.call.attributes, long_running=long_running) as turn:
            try:
                response = await self._authorized(exchange)
            except StatusFault as fault:
                response = answers.refused(fault)
            response.headers.update(turn.headers)
            return response

    async def _authorized(self, exchange: Exchange) -> Response:
        attributes = exchange.call.attributes
        decision = await self._steps.authorizer.authorize(attributes)
        if decision.verdict is not Verdict.ALLOW:
            exchange.call.audit["authorization.k8s.io/decision"] = "forbid"
            if attributes.user is ANONYMOUS:
                raise errors.unauthorized()
            raise forbidden(attributes, decision.reason)
        exchange.call.audit["authorization.k8s.io/decision"] = "allow"
        exchange.call.audit["authorization.k8s.io/reason"] = decision.reason
        if not attributes.is_resource:
            return await self._page(exchange)
        return await self._resource(exchange)

    # --- what is no resource

    async def _page(self, exchange: Exchange) -> Response:
        if self._steps.delegate is not None and exchange.route.path.startswith("/apis/"):
            answered = await self._steps.delegate(exchange)
            if answered is not None:
                return answered
        page = self._pages.find(exchange.route.path)
        if page is None:
            raise errors.path_not_found()
        if exchange.request.method not in ("GET", "HEAD"):
            raise _no_such_method()
        return await page(exchange)

    # --- resources

    async def _resource(self, exchange: Exchange) -> Response:
        route = exchange.route
        served = self._registry.find(route.group, route.version, route.resource)
        if served is None:
            answered = None if self._steps.delegate is None else await self._steps.delegate(exchange)
            if answered is None:
                raise errors.path_not_found()
            return answered
        exchange.call.info = served.info
        if served.warning:
            exchange.call.warnings.append(served.warning)
        self._check_place(served, route)
        if route.subresource:
            return await self._subresource(served, exchange)
        if route.verb not in served.info.verbs:
            raise _no_such_method()
        is_kept = served.info.verbs != ("create",)
        exchange.wanted = negotiation.wanted(exchange.request.header("accept"), transforms=is_kept)
        match route.verb:
            case "get":
                return await self._reads.get(served, exchange)
            case "list":
                return await self._reads.list(served, exchange)
            case "watch":
                return await self._reads.watch(served, exchange)
            case "create":
                return await self._writes.create(served, exchange)
            case "update":
                return await self._writes.update(served, exchange)
            case "patch":
                return await self._writes.patch(served, exchange)
            case "delete":
                return await self._writes.delete(served, exchange)
            case "deletecollection":
                return await self._writes.delete_collection(served, exchange)
        raise _no_such_method()

    def _check_place(self, served: Served, route: routes.Route) -> None:
        """Whether the URL has a namespace where the resource has one, and a name where the verb needs one."""
        if served.info.namespaced:
            if not route.namespace:
                if route.name and not route.legacy_watch:
                    raise errors.path_not_found()
                if route.verb in ("create", "deletecollection"):
                    raise _no_such_method()
        elif route.namespace and served.info.plural != "namespaces":
            raise errors.path_not_found()
        if route.verb == "create" and route.name and not route.subresource:
            raise _no_such_method()
        if route.verb in ("update", "patch") and not route.name:
            raise _no_such_method()

    async def _subresource(self, served: Served, exchange: Exchange) -> Response:
        route = exchange.route
        if route.rest not in ("", "/") and route.subresource != "proxy":
            raise errors.path_not_found()
        connector = self._steps.connectors.get((served.info.group_resource, route.subresource))
        if connector is not None:
            return await connector(served, exchange)
        known = served.info.subresource(route.subresource)
        if known is None:
            raise errors.path_not_found()
        if route.verb not in known.verbs:
            raise _no_such_method()
        scale = served.strategy.scale
        is_scale = route.subresource == "scale" and scale is not None
        exchange.wanted = negotiation.wanted(exchange.request.header("accept"), transforms=not is_scale)
        if is_scale and scale is not None:
            if route.verb == "get":
                return await self._writes.get_scale(served, scale, exchange)
            return await self._writes.write_scale(served, scale, exchange)
        match route.verb:
            case "get":
                return await self._reads.get(served, exchange)
            case "update":
                return await self._writes.update(served, exchange)
            case "patch":
                return await self._writes.patch(served, exchange)
            case "create":
                return await self._writes.create_sub(served, exchange)
        raise _no_such_method()

    # --- what went wrong

    def _failed(self, error: Exception, request: Request) -> Response:
        if isinstance(error, StatusFault):
            return answers.refused(error)
        if isinstance(error, Fault):
            return answers.refused(StatusFault(error.code, error.message, status=error.status))
        if isinstance(error, Retryable):
            log.warning("store cannot answer now", path=request.path, reason=error.reason)
            return answers.refused(errors.service_unavailable(f"the store cannot answer now: {error.reason}"))
        if isinstance(error, StoreClosed):
            return answers.refused(errors.service_unavailable("the server is shutting down"))
        log.bug("request failed", method=request.method, path=request.path)
        return answers.refused(answers.bug())


def _is_long_running(exchange: Exchange) -> bool:
    return exchange.route.verb in LONG_RUNNING or exchange.route.subresource in LONG_SUBRESOURCES


def _no_such_method() -> StatusFault:
    return StatusFault(
        "MethodNotAllowed", "the server does not allow this method on the requested resource", status=405
    )


def forbidden(attributes: Attributes, reason: str) -> StatusFault:
    """In the words of kube-apiserver's authorization step."""
    who = f'User "{attributes.user.name}"'
    if not attributes.is_resource:
        why = f'{who} cannot {attributes.verb} path "{attributes.path}"'
    else:
        resource = attributes.resource + (f"/{attributes.subresource}" if attributes.subresource else "")
        where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
        why = f'{who} cannot {attributes.verb} resource "{resource}" in API group "{attributes.group}" {where}'
    if reason:
        why += f": {reason}"
    return errors.forbidden(attributes.resource, attributes.group, attributes.name, why)
