"""Requests signed once and sent many times, so that a client's own cost is not what is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_TARGETS = {"ecs": "AmazonEC2ContainerServiceV20141113"}


@dataclass(frozen=True, slots=True)
class Signed:
    headers: Mapping[str, str]
    body: bytes

    def wire(self, port: int) -> bytes:
        lines = [f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(self.body)}\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in self.headers.items()]
        return "".join(lines).encode() + b"\r\n" + self.body


def signed_request(port: int, key: Mapping[str, str], service: str, operation: str, body: bytes) -> Signed:
    request = AWSRequest(
        method="POST",
        url=f"http://127.0.0.1:{port}/",
        data=body,
        headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"{_TARGETS[service]}.{operation}"},
    )
    credentials = Credentials(key["access_key_id"], key["secret_access_key"])
    SigV4Auth(credentials, service, "us-east-1").add_auth(request)
    return Signed(dict(request.headers.items()), body)
