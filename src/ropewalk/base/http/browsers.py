"""Browsers kept out: a web page must not drive this endpoint through its visitor's browser. Pure.

Every page may make "simple" requests to 127.0.0.1 (images, forms, no-cors fetches), and one whose DNS name is re-bound
to a loopback address may even read the answers. Three independent checks, any of which refuses:

- `Host` must be a loopback name, or one configured, with our port: re-binding shows the attacker's own name here;
- `Origin` must be absent, configured, or our own where that is allowed, and so must the cross-site marks that browsers
  add (`Sec-Fetch-Site`);
- a browser's user agent or a `Referer` without an `Authorization` header is a page's request, however old the browser.

No answer ever carries a CORS header, so that nothing can be read across origins either.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

from ropewalk.base.errors import Fault
from ropewalk.base.http.messages import Request

MAX_HOST = 300
"""Longer than any name and port."""


@dataclass(frozen=True, slots=True)
class HostRules:
    """What this endpoint is called."""

    names: frozenset[str] = frozenset()
    """Further host names and addresses, lower case, without port."""
    ports: frozenset[int] = frozenset()
    """Ports a `Host` may name; empty allows any."""
    origins: frozenset[str] = frozenset()
    """Origins that may call: a console served elsewhere. Empty by default."""
    own_origin: bool = False
    """Whether the endpoint's own origin may call, as some WebSocket clients name it that are no browsers."""


def _split_host(host: str) -> tuple[str, int | None] | None:
    """Name and port (None where it is not given), or None where it is not a host."""
    if host.startswith("["):
        name, bracket, rest = host[1:].partition("]")
        if not bracket:
            return None
    else:
        name, colon, digits = host.partition(":")
        rest = colon + digits
    if not rest:
        return name, None
    digits = rest[1:]
    if rest[0] != ":" or not (digits.isascii() and digits.isdigit()) or len(digits) > 5:
        return None
    return name, int(digits)


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_allowed(host: str, rules: HostRules) -> bool:
    return len(host) <= MAX_HOST and _host_allowed(host, rules)


@lru_cache(maxsize=512)
def _host_allowed(host: str, rules: HostRules) -> bool:
    split = _split_host(host.strip().lower())
    if split is None:
        return False
    name, port = split
    if rules.ports and (port if port is not None else 80) not in rules.ports:
        return False
    name = name.removesuffix(".")
    return name in rules.names or _is_loopback(name)


def keep_browsers_out(request: Request, rules: HostRules) -> None:
    """Raises a `Forbidden` fault for what a foreign web page could have caused. Unix sockets are no browser's."""
    headers = request.headers
    if request.peer.address and not host_allowed(headers.get("host", ""), rules):
        raise Fault(
            "Forbidden",
            f"Host {headers.get('host', '')[:100]!r} is not a name of this endpoint; use 127.0.0.1 or localhost, "
            "or configure the name.",
            status=403,
        )
    origin = headers.get("origin")
    if origin is not None:
        if origin not in rules.origins and not (rules.own_origin and origin == f"https://{headers.get('host')}"):
            raise Fault("Forbidden", "Requests from web pages of other origins are refused.", status=403)
        return
    site = headers.get("sec-fetch-site")
    typed_by_hand = site == "none" and request.method in ("GET", "HEAD") and "Action=" not in request.query
    if site is not None and not typed_by_hand:
        raise Fault("Forbidden", "Requests from web pages are refused.", status=403)
    if site is None and "authorization" not in headers:
        agent = headers.get("user-agent", "")
        if "referer" in headers or agent.startswith("Mozilla/"):
            raise Fault("Forbidden", "Requests from browsers must be signed in their headers.", status=403)
