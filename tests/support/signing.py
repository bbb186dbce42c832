"""Requests as botocore signs them and our server sees them."""

from __future__ import annotations

import datetime
from unittest import mock
from urllib.parse import urlsplit

import botocore.auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ropewalk.base.http.messages import Peer, Request

HOST = "127.0.0.1:4566"


def signed(
    key: str,
    secret: str,
    token: str = "",
    *,
    service: str = "ecs",
    now: float,
    listener: str = "host",
    address: str = "127.0.0.1",
) -> Request:
    """A POST to the endpoint with a small body, signed at `now`."""
    request = AWSRequest(method="POST", url=f"http://{HOST}/", data=b"{}")
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda *args, **options: moment):
        SigV4Auth(Credentials(key, secret, token or None), service, "us-east-1").add_auth(request)
    return received(request, listener, address)


def received(request: AWSRequest, listener: str = "host", address: str = "127.0.0.1") -> Request:
    prepared = request.prepare()
    parts = urlsplit(prepared.url)
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in prepared.headers.items()
    }
    headers.setdefault("host", parts.netloc)
    body = prepared.body or b""
    return Request(
        method=prepared.method,
        target=parts.path + ("?" + parts.query if parts.query else ""),
        path=parts.path or "/",
        query=parts.query,
        headers=headers,
        body=body.encode() if isinstance(body, str) else body,
        peer=Peer(address, 1, listener),
    )
