"""Our verification against botocore's signing: what botocore signs we accept, and nothing else."""

from __future__ import annotations

import datetime

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.aws import sigv4
from ropewalk.base.errors import Fault
from ropewalk.base.http.messages import Request
from support.signing import HOST, received

NOW = 1_700_000_000.0
KEY, SECRET = "AKIAEXAMPLEKEY000000", "s3cr3t/with+odd=characters"


@pytest.fixture(autouse=True)
def _fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *a, **k: moment)


def sign(
    auth: type[SigV4Auth] = SigV4Auth,
    *,
    service: str = "ecs",
    token: str | None = None,
    method: str = "POST",
    path: str = "/",
    query: str = "",
    headers: dict[str, str] | None = None,
    body: bytes = b"{}",
    **options: object,
) -> Request:
    url = f"http://{HOST}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, headers=headers or {}, data=body)
    auth(Credentials(KEY, SECRET, token), service, "us-east-1", **options).add_auth(request)
    return received(request)


def check(request: Request, secret: str = SECRET, service: str = "ecs", now: float = NOW) -> sigv4.Signature:
    signature = sigv4.read(request, service, now)
    sigv4.Verifier().verify(request, signature, secret)
    return signature


def refusal(request: Request, secret: str = SECRET, service: str = "ecs", now: float = NOW) -> Fault:
    with pytest.raises(Fault) as caught:
        check(request, secret, service, now)
    return caught.value


_SEGMENT = st.lists(st.sampled_from([*"abcXYZ019-_.~+:@=,!$'()*", "%2F", "%20", "%25"]), max_size=12).map("".join)
_NAME = st.text(st.sampled_from("abcdefXYZ0129-_.~"), min_size=1, max_size=8).filter(lambda n: n != "X-Amz-Signature")
_VALUE = st.lists(
    st.sampled_from(["a", "B", "0", "-", "~", "%2F", "%20", "%3D", "%E2%82%AC", ".", "_"]), max_size=8
).map("".join)
_HEADER_NAME = st.from_regex(r"x-(amz|test)-[a-z]{1,8}", fullmatch=True).filter(lambda n: n not in {"x-amz-date"})
_HEADER_VALUE = st.text(st.sampled_from('abc XYZ,;=/\t"0'), max_size=20).map(str.strip)


@settings(max_examples=150, deadline=None)
@given(
    segments=st.lists(_SEGMENT, max_size=4),
    query=st.lists(st.tuples(_NAME, _VALUE), max_size=5),
    headers=st.dictionaries(_HEADER_NAME, _HEADER_VALUE, max_size=4),
    body=st.binary(max_size=64),
    token=st.none() | st.just("A+session/token=="),
)
def test_what_botocore_signs_is_accepted(
    segments: list[str],
    query: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes,
    token: str | None,
) -> None:
    text = "&".join(f"{name}={value}" for name, value in query)
    request = sign(path="/" + "/".join(segments), query=text, headers=headers, body=body, token=token)
    signature = check(request)
    assert (signature.access_key_id, signature.token) == (KEY, token or "")
    assert refusal(request, secret=SECRET + "x").code == "SignatureDoesNotMatch"


@settings(max_examples=80, deadline=None)
@given(query=st.lists(st.tuples(_NAME, _VALUE), max_size=5), token=st.none() | st.just("tok/en="))
def test_presigned_requests_are_accepted(query: list[tuple[str, str]], token: str | None) -> None:
    text = "&".join(f"{name}={value}" for name, value in query)
    request = sign(SigV4QueryAuth, service="sts", method="GET", query=text, body=b"", token=token, expires=60)
    signature = check(request, service="sts")
    assert signature.presigned and signature.token == (token or "")
    assert refusal(request, secret="other", service="sts").code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("path", ["/bucket/key", "/bucket/a//b", "/bucket/./c", "/bucket/with%20space", "/b/%2B+x"])
def test_s3_paths_are_taken_as_sent(path: str) -> None:
    request = sign(S3SigV4Auth, service="s3", method="PUT", path=path, body=b"data")
    assert check(request, service="s3").service == "s3"


@pytest.mark.parametrize("path", ["/", "/a/b", "/a//b/", "/a/./b/../c", "/../x", "/a%20b", "/~u/$x", "/a/..", "/a/."])
def test_the_canonical_path_is_botocores(path: str) -> None:
    expected = SigV4Auth(Credentials(KEY, SECRET), "ecs", "us-east-1")._normalize_url_path(path)
    assert sigv4.canonical_path(path) == expected


@pytest.mark.parametrize("change", ["body", "query", "path", "method", "header", "host"])
def test_any_change_on_the_way_is_noticed(change: str) -> None:
    request = sign(headers={"X-Amz-Target": "Ecs.ListClusters"}, query="a=b", path="/x")
    check(request)
    headers = dict(request.headers)
    match change:
        case "body":
            request.body += b" "
        case "query":
            request.query = "a=c"
        case "path":
            request.path = "/y"
        case "method":
            request.method = "PUT"
        case "header":
            headers["x-amz-target"] = "Ecs.DeleteCluster"
        case "host":
            headers["host"] = "evil.example"
    request.headers = headers
    assert refusal(request).code == "SignatureDoesNotMatch"


def test_a_header_that_decides_the_meaning_may_not_be_added_unsigned() -> None:
    request = sign()
    request.headers = {**request.headers, "x-amz-target": "Ecs.DeleteCluster"}
    assert refusal(request).code == "SignatureDoesNotMatch"


def test_an_encoding_that_differs_only_in_spelling_is_accepted() -> None:
    """botocore signs `a=%20`; a client may send the same query spelled `a=+`."""
    request = sign(query="a=%20&B=x")
    request.query = "B=x&a=+"
    check(request)
    request.query = "B=x&a=%2B"
    assert refusal(request).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("skew", [-901.0, 901.0])
def test_clocks_may_differ_by_a_quarter_of_an_hour(skew: float) -> None:
    request = sign()
    check(request, now=NOW + skew / 901 * 899)
    assert refusal(request, now=NOW + skew).message.startswith("Signature ")
    ec2 = sign(service="ec2")
    assert refusal(ec2, service="ec2", now=NOW + skew).code == "RequestExpired"
    s3 = sign(S3SigV4Auth, service="s3")
    assert refusal(s3, service="s3", now=NOW + skew).code == "RequestTimeTooSkewed"


def test_a_presigned_request_lives_as_long_as_it_says() -> None:
    request = sign(SigV4QueryAuth, service="sts", method="GET", body=b"", expires=60)
    check(request, service="sts", now=NOW + 59)
    assert "Signature expired" in refusal(request, service="sts", now=NOW + 61).message
    longer = sign(SigV4QueryAuth, service="sts", method="GET", body=b"", expires=604801)
    assert refusal(longer, service="sts").code == "IncompleteSignature"


def test_a_date_header_will_do() -> None:
    request = sign(headers={"Date": "to be replaced"})
    assert "x-amz-date" not in request.headers
    check(request)


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "MissingAuthenticationToken"),
        ("", "IncompleteSignature"),
        ("AWS4-HMAC-SHA256", "IncompleteSignature"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=0", "IncompleteSignature"),
        ("AWS4-HMAC-SHA256 Credential=/1/2/3/aws4_request, SignedHeaders=host, Signature=0", "IncompleteSignature"),
        ("AWS4-ECDSA-P256-SHA256 Credential=x, SignedHeaders=host, Signature=0", "IncompleteSignature"),
        ("Basic dXNlcjpwYXNz", "IncompleteSignature"),
        (
            "AWS4-HMAC-SHA256 Credential=AK/20231114/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0",
            "SignatureDoesNotMatch",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=AK/20231113/us-east-1/ecs/aws4_request, SignedHeaders=host, Signature=0",
            "SignatureDoesNotMatch",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=AK/20231114/us-east-1/ecs/aws4_request, SignedHeaders=x, Signature=0",
            "SignatureDoesNotMatch",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=AK/20231114/us-east-1/ecs/aws4_request, SignedHeaders=host;no, Signature=é",
            "SignatureDoesNotMatch",
        ),
    ],
)
def test_malformed_authorization(authorization: str | None, code: str) -> None:
    request = sign()
    headers = {k: v for k, v in request.headers.items() if k != "authorization"}
    if authorization is not None:
        headers["authorization"] = authorization
    request.headers = headers
    assert refusal(request).code == code


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=80))
def test_rubbish_is_a_fault_never_a_bug(authorization: str, date: str, query: str) -> None:
    request = sign()
    request.headers = {"authorization": "AWS4-HMAC-SHA256 " + authorization, "date": date, "host": HOST}
    refusal(request)
    request.headers = {"host": HOST}
    request.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&" + query
    refusal(request)


def test_an_unsigned_payload_is_for_s3_alone() -> None:
    unsigned = {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    assert refusal(sign(headers=unsigned)).code == "SignatureDoesNotMatch"
    request = sign(SigV4Auth, service="s3", headers=unsigned, body=b"data")
    check(request, service="s3")


def test_a_declared_hash_must_be_the_bodys() -> None:
    request = sign(headers={"X-Amz-Content-SHA256": "0" * 64})
    assert refusal(request).code == "SignatureDoesNotMatch"


def test_a_rotated_secret_is_not_answered_from_the_cache() -> None:
    verifier = sigv4.Verifier()
    request = sign()
    signature = sigv4.read(request, "ecs", NOW)
    verifier.verify(request, signature, SECRET)
    with pytest.raises(Fault):
        verifier.verify(request, signature, "another secret")
    verifier.verify(request, signature, SECRET)
