"""URLs and queries taken apart; media types chosen; answers worded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.base.http.messages import Refusal, Response
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.errors import Cause, Details, StatusFault
from ropewalk.kube.machinery.http import answers, negotiation, options, routes
from ropewalk.kube.machinery.http.negotiation import JSON, YAML, Wanted
from ropewalk.kube.machinery.http.pages import Pages
from ropewalk.kube.machinery.requests import ANONYMOUS, Attributes, Call


def told(method: str, target: str) -> dict[str, object]:
    """What of the route is not empty."""
    path, _, query = target.partition("?")
    found = routes.route(method, path, options.parsed(query))
    return {
        name: value for name in found.__slots__ if name != "path" and (value := getattr(found, name)) not in ("", False)
    }


CORE, APPS = {"version": "v1"}, {"group": "apps", "version": "v1"}


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/", {"verb": "get"}),
        ("GET", "/healthz", {"verb": "get"}),
        ("POST", "/healthz", {"verb": "post"}),
        ("GET", "/api", {"verb": "get"}),
        ("GET", "/api/v1", {"verb": "get"}),
        ("GET", "/apis/apps", {"verb": "get"}),
        ("GET", "/apis/apps/v1", {"verb": "get"}),
        ("GET", "/apis/apps/v1/", {"verb": "get"}),
        ("GET", "/openapi/v3/apis/apps/v1", {"verb": "get"}),
        ("GET", "/api/v1/pods", {"verb": "list", "resource": "pods", **CORE}),
        ("HEAD", "/api/v1/pods", {"verb": "list", "resource": "pods", **CORE}),
        ("GET", "/api/v1/pods?watch=true", {"verb": "watch", "resource": "pods", **CORE}),
        ("GET", "/api/v1/pods?watch=1", {"verb": "watch", "resource": "pods", **CORE}),
        ("GET", "/api/v1/pods?watch", {"verb": "watch", "resource": "pods", **CORE}),
        ("GET", "/api/v1/pods?watch=false", {"verb": "list", "resource": "pods", **CORE}),
        ("GET", "/api/v1/pods?watch=0", {"verb": "list", "resource": "pods", **CORE}),
        ("GET", "/api/v1/namespaces", {"verb": "list", "resource": "namespaces", **CORE}),
        (
            "GET",
            "/api/v1/namespaces/n",
            {"verb": "get", "resource": "namespaces", "namespace": "n", "name": "n", **CORE},
        ),
        (
            "PUT",
            "/api/v1/namespaces/n/finalize",
            {
                "verb": "update",
                "resource": "namespaces",
                "namespace": "n",
                "name": "n",
                "subresource": "finalize",
                **CORE,
            },
        ),
        ("GET", "/api/v1/namespaces/n/pods", {"verb": "list", "resource": "pods", "namespace": "n", **CORE}),
        ("POST", "/api/v1/namespaces/n/pods", {"verb": "create", "resource": "pods", "namespace": "n", **CORE}),
        (
            "DELETE",
            "/api/v1/namespaces/n/pods",
            {"verb": "deletecollection", "resource": "pods", "namespace": "n", **CORE},
        ),
        (
            "DELETE",
            "/api/v1/namespaces/n/pods/p",
            {"verb": "delete", "resource": "pods", "namespace": "n", "name": "p", **CORE},
        ),
        (
            "GET",
            "/api/v1/namespaces/n/pods/p?watch=true",
            {"verb": "get", "resource": "pods", "namespace": "n", "name": "p", **CORE},
        ),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/n/deployments/d/scale",
            {
                "verb": "patch",
                "resource": "deployments",
                "namespace": "n",
                "name": "d",
                "subresource": "scale",
                **APPS,
            },
        ),
        (
            "GET",
            "/api/v1/namespaces/n/pods?fieldSelector=metadata.name%3Dp",
            {"verb": "list", "resource": "pods", "namespace": "n", "selected_name": "p", **CORE},
        ),
        (
            "GET",
            "/api/v1/watch/namespaces/n/pods/p",
            {
                "verb": "watch",
                "resource": "pods",
                "namespace": "n",
                "name": "p",
                "legacy_watch": True,
                **CORE,
            },
        ),
        ("GET", "/api/v1/watch/pods", {"verb": "watch", "resource": "pods", "legacy_watch": True, **CORE}),
        (
            "GET",
            "/api/v1/namespaces/n/services/s:80/proxy/a%2Fb/c",
            {
                "verb": "get",
                "resource": "services",
                "namespace": "n",
                "name": "s:80",
                "subresource": "proxy",
                "rest": "/a%2Fb/c",
                **CORE,
            },
        ),
        ("GET", "/api/v1//pods/", {"verb": "list", "resource": "pods", **CORE}),
    ],
)
def test_what_a_url_asks_for(method: str, target: str, expected: dict[str, object]) -> None:
    assert told(method, target) == expected


@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "X"]),
    st.lists(
        st.sampled_from(["api", "apis", "v1", "watch", "namespaces", "n", "pods", "%2F", "", "proxy"]), max_size=9
    ),
)
def test_any_url_is_read(method: str, parts: list[str]) -> None:
    found = routes.route(method, "/" + "/".join(parts), {})
    assert bool(found.resource) is bool(found.version)


# --- queries


@pytest.mark.parametrize(
    ("query", "name", "expected"),
    [
        ("a=true", "a", True),
        ("a=1", "a", True),
        ("a", "a", True),
        ("a=false", "a", False),
        ("a=0", "a", False),
        ("", "a", False),
    ],
)
def test_booleans(query: str, name: str, expected: bool) -> None:
    assert options.is_true(options.parsed(query), name) is expected


@pytest.mark.parametrize(("text", "expected"), [("", None), ("5", 5), ("-5", -5)])
def test_numbers(text: str, expected: int | None) -> None:
    assert options.whole_number({"n": [text]}, "n") == expected


@pytest.mark.parametrize("text", ["x", "1.5", "٣", "--1", "9" * 20, "-"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(StatusFault, match="invalid syntax"):
        options.whole_number({"n": [text]}, "n")


def test_absurdly_many_parameters_are_refused() -> None:
    with pytest.raises(StatusFault, match="too many"):
        options.parsed("&".join(f"a{n}=1" for n in range(2000)))


def call() -> Call:
    return Call(ANONYMOUS, Attributes(ANONYMOUS, "create", "/"), user_agent="kubectl/v1 (linux)")


def test_write_options_go_into_the_call_and_to_admission() -> None:
    made = call()
    query = options.parsed("dryRun=All&fieldManager=me&fieldValidation=Strict")
    document = options.write_options(query, made, "CreateOptions")
    assert (made.dry_run, made.field_manager, made.field_validation) == (True, "me", "Strict")
    assert document == {
        "kind": "CreateOptions",
        "apiVersion": "meta.k8s.io/v1",
        "dryRun": ["All"],
        "fieldManager": "me",
        "fieldValidation": "Strict",
    }
    plain = call()
    options.write_options({}, plain, "CreateOptions")
    assert (plain.dry_run, plain.field_manager, plain.field_validation) == (False, "kubectl", "Warn")


@pytest.mark.parametrize(
    ("query", "patch", "text"),
    [
        ("dryRun=Some", "", 'dryRun: Unsupported value: "Some": supported values: "All"'),
        ("fieldValidation=Never", "", 'fieldValidation: Unsupported value: "Never"'),
        ("fieldManager=" + "x" * 129, "", "fieldManager: Too long: may not be more than 128 bytes"),
        ("fieldManager=a%00b", "", "fieldManager: Invalid value"),
        ("", "apply", "fieldManager: Required value: is required for apply patch"),
        ("force=true", "merge", "force: Forbidden: may not be specified for non-apply patch"),
    ],
)
def test_write_options_that_are_refused(query: str, patch: str, text: str) -> None:
    with pytest.raises(StatusFault) as refused:
        options.write_options(options.parsed(query), call(), "PatchOptions", patch_type=patch)
    assert refused.value.status == 422
    assert text in refused.value.message


@pytest.mark.parametrize(
    ("agent", "manager"),
    [("kubectl/v1.35 (linux)", "kubectl"), ("", "unknown"), ("a\tb/1", "ab"), ("é" * 100, "é" * 64)],
)
def test_a_client_without_a_name_is_known_by_its_agent(agent: str, manager: str) -> None:
    assert options.default_manager(agent) == manager


# --- media types


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", Wanted()),
        ("*/*", Wanted(JSON)),
        ("application/json", Wanted(JSON)),
        ("application/yaml", Wanted(YAML)),
        ("text/html, application/json;q=0.9", Wanted(JSON)),
        ("application/vnd.kubernetes.protobuf, application/json", Wanted(JSON)),
        ("application/vnd.kubernetes.protobuf,*/*", Wanted(JSON)),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Wanted(JSON, "Table", "v1")),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", Wanted(JSON)),
        ("application/json; as=Table; g=meta.k8s.io; v=v1", Wanted(JSON, "Table", "v1")),
        ("application/json;stream=watch", Wanted(JSON)),
    ],
)
def test_what_is_accepted(accept: str, expected: Wanted) -> None:
    assert negotiation.wanted(accept, transforms=True) == expected


@pytest.mark.parametrize(
    "accept", ["text/html", "application/vnd.kubernetes.protobuf", "application/json;as=Chair;v=v1;g=meta.k8s.io"]
)
def test_what_is_not(accept: str) -> None:
    with pytest.raises(StatusFault) as refused:
        negotiation.wanted(accept, transforms=True)
    assert (refused.value.status, refused.value.reason) == (406, "NotAcceptable")


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("", JSON),
        ("application/json; charset=utf-8", JSON),
        ("APPLICATION/YAML", YAML),
        (negotiation.PROTOBUF, negotiation.PROTOBUF),
    ],
)
def test_bodies_of_known_types(content_type: str, expected: str) -> None:
    assert negotiation.body_type(content_type) == expected


@pytest.mark.parametrize("content_type", ["text/plain", "application/cbor", "application/json-patch+json"])
def test_bodies_of_unknown_types(content_type: str) -> None:
    with pytest.raises(StatusFault) as refused:
        negotiation.body_type(content_type)
    assert refused.value.status == 415


def test_custom_resources_have_no_protobuf() -> None:
    with pytest.raises(StatusFault, match="custom resources do not have"):
        negotiation.body_type(negotiation.PROTOBUF, negotiation.CUSTOM_BODIES)


# --- answers


def test_a_fault_as_a_status() -> None:
    fault = errors.not_found("pods", "", "a")
    assert answers.status_of(fault) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'pods "a" not found',
        "reason": "NotFound",
        "details": {"name": "a", "kind": "pods"},
        "code": 404,
    }


def test_causes_and_waits_are_told() -> None:
    details = Details("a", "g", "k", "u", (Cause("R", "m", "f"), Cause("", "n")), 5)
    response = answers.refused(StatusFault("TooManyRequests", "later", status=429, details=details))
    assert (response.status, response.headers["retry-after"]) == (429, "5")
    assert answers.status_of(StatusFault("", "m", status=500, details=details))["details"]["causes"] == [
        {"reason": "R", "message": "m", "field": "f"},
        {"message": "n"},
    ]


def test_a_continue_token_travels_with_its_410() -> None:
    fault = errors.expired("gone")
    fault.continue_token = "token"
    assert answers.status_of(fault)["metadata"] == {"continue": "token"}


@pytest.mark.parametrize("why", list(Refusal))
def test_what_never_reached_a_step_is_a_status_too(why: Refusal) -> None:
    response = answers.refusal(why, None)
    assert response.status == why.value[0]
    assert b'"kind":"Status"' in response.body  # type: ignore[operator]


def test_warnings_are_headers_once_each_and_bounded() -> None:
    response = Response()
    answers.add_warnings(response, ['say "hi"', 'say "hi"', "two\nlines", "back\\slash"])
    assert response.headers["warning"] == '299 - "say \\"hi\\"", 299 - "two lines", 299 - "back\\\\slash"'
    many = Response()
    answers.add_warnings(many, [f"{n} " + "x" * 500 for n in range(100)])
    assert many.headers["warning"].count("299") == 8
    none = Response()
    answers.add_warnings(none, [])
    assert none.headers == {}


def test_yaml_for_people() -> None:
    response = answers.document({"b": 1, "a": [True, "x"]}, media_type=YAML)
    assert (response.headers["content-type"], response.body) == (YAML, b"a:\n- true\n- x\nb: 1\n")


# --- pages


def test_pages_are_found_by_path_with_or_without_its_slash_and_by_their_beginning() -> None:
    async def one(exchange: object) -> Response:
        return Response()

    async def under(exchange: object) -> Response:
        return Response()

    pages = Pages()
    pages.add("/", one)
    pages.add("/apis", one)
    pages.add_under("/apis/", under)
    assert pages.find("/") is pages.find("/apis") is pages.find("/apis/") is one
    assert pages.find("/apis/x") is under
    assert pages.find("/api") is None
    assert pages.paths == ["/", "/apis"]
