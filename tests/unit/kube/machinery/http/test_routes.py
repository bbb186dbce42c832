"""URLs taken apart."""

from __future__ import annotations

import pytest

from ropewalk.kube.machinery.http.routes import route

PROXY = "/api/v1/namespaces/proxy-1/services/proxy:80/proxy"


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        (PROXY, ""),
        (f"{PROXY}/", "/"),
        (f"{PROXY}/proxy/a%2Fb/", "/proxy/a%2Fb/"),
        (f"{PROXY}//a", "//a"),
        ("/api/v1/nodes/proxy/proxy/proxy", "/proxy"),
        ("//api/v1/nodes/n/proxy/x", "/x"),
        ("/api/v1/namespaces/a/pods/b/log/more", "/more"),
        ("/api/v1/namespaces/a/pods/b", ""),
        ("/api/v1/namespaces/a/pods/b/", ""),
    ],
)
def test_what_follows_the_subresource(path: str, rest: str) -> None:
    assert route("GET", path, {}).rest == rest


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/api/v1/pods", {}, ("list", "", "", "pods", "", "")),
        ("GET", "/api/v1/pods", {"watch": ["1"]}, ("watch", "", "", "pods", "", "")),
        ("GET", "/apis/apps/v1/namespaces/a/daemonsets/b/scale", {}, ("get", "apps", "a", "daemonsets", "b", "scale")),
        ("PUT", "/api/v1/namespaces/a/finalize", {}, ("update", "", "a", "namespaces", "a", "finalize")),
        ("DELETE", "/api/v1/namespaces/a/pods", {}, ("deletecollection", "", "a", "pods", "", "")),
        ("GET", "/api/v1/watch/namespaces/a/pods/b", {}, ("watch", "", "a", "pods", "b", "")),
        ("GET", "/apis/apps", {}, ("get", "", "", "", "", "")),
        ("GET", "/healthz/ping", {}, ("get", "", "", "", "", "")),
    ],
)
def test_what_is_asked_for(method: str, path: str, query: dict[str, list[str]], expected: tuple[str, ...]) -> None:
    found = route(method, path, query)
    assert (found.verb, found.group, found.namespace, found.resource, found.name, found.subresource) == expected
