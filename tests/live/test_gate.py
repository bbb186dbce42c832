"""The gate from outside: browsers kept out, signatures verified, bad input answered in AWS's words."""

from __future__ import annotations

import contextlib
import http.client

import botocore.exceptions
import pytest

from support.installation import Installation


def ask(
    installation: Installation, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=bool(headers and "Host" in headers))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.send(body)  # refused before it was all sent? the answer is what counts
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


FORM = b"Action=CreateUser&UserName=evil&Version=2010-05-08"


def test_a_form_posted_by_another_origin_is_refused(installation: Installation) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://evil.example"}
    assert ask(installation, "POST", "/", FORM, headers)[0] == 403


def test_a_cross_site_fetch_is_refused(installation: Installation) -> None:
    headers = {"Content-Type": "text/plain", "Sec-Fetch-Site": "cross-site"}
    assert ask(installation, "POST", "/", FORM, headers)[0] == 403


def test_a_foreign_host_is_refused(installation: Installation) -> None:
    """DNS rebinding: a name of the attacker's that resolves to 127.0.0.1."""
    assert ask(installation, "POST", "/", FORM, {"Host": f"evil.example:{installation.port}"})[0] == 403


def test_a_wrong_secret_is_refused(installation: Installation) -> None:
    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        installation.client("ecs", secret="x" * 40).list_clusters()
    assert refusal.value.response["Error"]["Code"] in {"InvalidSignatureException", "SignatureDoesNotMatch"}
    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        installation.client("sts", secret="x" * 40).get_caller_identity()
    assert refusal.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


def test_what_is_not_implemented_names_itself(installation: Installation) -> None:
    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        installation.client("ecs").create_service(serviceName="web", taskDefinition="webapp")
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert "CreateService" in str(refusal.value)


def test_a_huge_body_is_refused(installation: Installation) -> None:
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListClusters",
    }
    status, _ = ask(installation, "POST", "/", b"x" * 100_000_000, headers)
    assert status in {400, 413}


def test_a_malformed_body_is_refused(installation: Installation) -> None:
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListClusters",
    }
    status, body = ask(installation, "POST", "/", b'{"clusters": [', headers)
    assert status == 400 and b"__type" in body
