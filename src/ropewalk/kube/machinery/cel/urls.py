"""URLs in CEL: taken and refused as Go's net/url takes and refuses them, in its words.
https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-url-library
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import parse_qs, quote, unquote, unquote_to_bytes

from ropewalk.kube.machinery.cel.functions import function, method, opaque, traversal
from ropewalk.kube.machinery.cel.networks import address_problem
from ropewalk.kube.machinery.cel.values import EvaluationError, Opaque
from ropewalk.kube.machinery.json_text import quoted


@opaque("URL")
@dataclass(frozen=True, slots=True)
class Url(Opaque):
    scheme: str = ""
    host: str = ""
    """With its port, if it has one; unescaped."""
    path: str = ""
    """As it was written."""
    query: str = ""
    type_name = "kubernetes.URL"


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NO_HOST = re.compile(r"""[^A-Za-z0-9._~!$&'()*+,;=:<>"\[\]%\x80-\U0010ffff-]""")
_ASCII_ESCAPE = re.compile(r"%(?!25)[0-7]")
_USER = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:%@-]*")
_PORT = re.compile(r"(:[0-9]*)?")


class _Refused(ValueError):
    """Go's words for what is wrong."""


def _parsed(text: str, *, request: bool) -> Url:
    """As of a request: whole, or a path from the root. Otherwise anything that may stand in a page."""
    if _CONTROL.search(text):
        raise _Refused("net/url: invalid control character in URL")
    if not text and request:
        raise _Refused("empty url")
    if text == "*":
        return Url(path="*")
    if text.startswith(":"):
        raise _Refused("missing protocol scheme")
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else ""
    rest, _, query = text[found.end() if found else 0 :].partition("?")
    if not rest.startswith("/"):
        if scheme:
            return Url(scheme, query=query)
        if request:
            raise _Refused("invalid URI for request")
        if ":" in rest.partition("/")[0]:
            raise _Refused("first path segment in URL cannot contain colon")
    host = ""
    if rest.startswith("//") and (scheme or not (request or rest.startswith("///"))):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        host = _host_of(authority)
    _check_escapes(rest)
    return Url(scheme, host, rest, query)


def _host_of(authority: str) -> str:
    user, at, host = authority.rpartition("@")
    bracket = host.rfind("[")
    if bracket > 0:
        raise _Refused("invalid IP-literal")
    if bracket == 0:
        closing = host.rfind("]")
        if closing < 0:
            raise _Refused("missing ']' in host")
        _check_port(host[closing + 1 :])
        _check_literal(host[1:closing])
    else:
        colon = host.rfind(":")
        _check_port(host[colon:] if colon >= 0 else "")
        _check_host(host)
    if at:
        if not _USER.fullmatch(user):
            raise _Refused("net/url: invalid userinfo")
        _check_escapes(user)
    return unquote(host)


def _check_port(port: str) -> None:
    if not _PORT.fullmatch(port):
        raise _Refused(f"invalid port {quoted(port)} after host")


def _check_literal(literal: str) -> None:
    """Of an IPv6 address in brackets."""
    address, _, zone = literal.partition("%25")
    _check_host(address)
    _check_host(zone, any_escape=True)
    plain = unquote(literal)
    try:
        version = ip_address(plain).version
    except ValueError:
        raise _Refused(f"invalid host: {address_problem(plain)}") from None
    if version == 4:
        raise _Refused("invalid IP-literal")


def _check_host(host: str, *, any_escape: bool = False) -> None:
    for place, character in enumerate(host):
        if character == "%":
            if _BAD_ESCAPE.match(host, place) or (not any_escape and _ASCII_ESCAPE.match(host, place)):
                raise _Refused(f"invalid URL escape {quoted(host[place : place + 3])}")
        elif _NO_HOST.match(character):
            raise _Refused(f"invalid character {quoted(character)} in host name")


def _check_escapes(text: str) -> None:
    if bad := _BAD_ESCAPE.search(text):
        raise _Refused(f"invalid URL escape {quoted(text[bad.start() : bad.start() + 3])}")


def request_problem(text: str) -> str:
    """Why it could not be what a request asks for; empty where it could."""
    try:
        _parsed(text, request=True)
    except _Refused as refused:
        return f"parse {quoted(text)}: {refused}"
    return ""


def _url(text: str) -> Url:
    problem = request_problem(text)
    address, _, fragment = text.partition("#")
    told = address
    if not problem:
        try:
            found = _parsed(address, request=False)
            told = text
            _check_escapes(fragment)
        except _Refused as refused:
            problem = f"parse {quoted(told)}: {refused}"
    if problem:
        raise EvaluationError(f"URL parse error during conversion from string: {problem}")
    return found


function("url", "string -> URL", cost=traversal())(_url)


@function("isURL", "string -> bool", cost=traversal())
def is_url(text: str) -> bool:
    return not request_problem(text)


@method("getScheme", "URL -> string")
def url_scheme(url: Url) -> str:
    return url.scheme


@method("getHost", "URL -> string")
def url_host(url: Url) -> str:
    return url.host


@method("getHostname", "URL -> string")
def url_hostname(url: Url) -> str:
    name = url.host.removesuffix(_port(url))
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name


@method("getPort", "URL -> string")
def url_port(url: Url) -> str:
    return _port(url).removeprefix(":")


def _port(url: Url) -> str:
    colon = url.host.rfind(":")
    return url.host[colon:] if colon >= 0 and _PORT.fullmatch(url.host, colon) else ""


@method("getEscapedPath", "URL -> string")
def url_path(url: Url) -> str:
    """As it was written, unless something in it should have been escaped: then all is that could be."""
    return url.path if _ESCAPED_PATH.fullmatch(url.path) else quote(unquote_to_bytes(url.path), safe="$&+,/:;=@~-._")


_ESCAPED_PATH = re.compile(r"[A-Za-z0-9._~/!$&'()*+,;=:@\[\]%-]*")


@method("getQuery", "URL -> map(string,list(string))")
def url_query(url: Url) -> dict[str, list[str]]:
    return parse_qs(url.query, keep_blank_values=True)
