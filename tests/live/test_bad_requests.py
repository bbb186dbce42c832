"""Two thousand bad requests over the real listener: no 5xx, no silence to a whole request, and nothing breaks.

Some are not HTTP, some are HTTP gone wrong, some carry a signature that does not fit, and some are signed by the
administrator over a body that means nothing. (The ten thousand of tests/contract know the services better.)
"""

from __future__ import annotations

import json
import random
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.installation import Installation

COUNT = 2000
TARGETS = {
    "ecs": ("AmazonEC2ContainerServiceV20141113", "RunTask RegisterTaskDefinition DescribeTasks CreateCluster Nothing"),
    "logs": ("Logs_20140328", "GetLogEvents PutLogEvents FilterLogEvents CreateLogGroup Nothing"),
}
TYPES = ("application/x-amz-json-1.1", "text/plain", "application/json")
FORMS = {
    "ec2": ("2016-11-15", "RunInstances CreateVpc DescribeSubnets AuthorizeSecurityGroupIngress Nothing"),
    "iam": ("2010-05-08", "CreateRole PutRolePolicy ListUsers SimulateCustomPolicy Nothing"),
    "sts": ("2011-06-15", "AssumeRole GetCallerIdentity Nothing"),
}
SCRAPS = ("", "{", "[]", "null", "\x00", "é" * 50, "-1", "9" * 400, "true", '{"a":{"b":[{}]}}', "1e999", "{}" * 9)
NAMES = ("cluster", "taskDefinition", "count", "containerDefinitions", "logGroupName", "tags", "overrides", "x")
FIELDS = ("CidrBlock", "Filter.1.Name", "Filter.9.Value.1", "GroupId", "RoleName", "PolicyDocument", "RoleArn", "x.y.z")


class Rubbish:
    """Requests from one seed: (bytes, whether they are one whole request that must be answered)."""

    def __init__(self, seed: int, port: int, key: Credentials) -> None:
        self._dice = random.Random(seed)
        self._host = f"127.0.0.1:{port}"
        self._key = key

    def next(self) -> tuple[bytes, bool]:
        kind = self._dice.random()
        if kind < 0.15:
            return self._dice.randbytes(self._dice.randint(1, 400)) + b"\r\n\r\n", False
        whole = self._signed()
        if kind < 0.40:
            return self._broken(whole), False
        if kind < 0.60:
            head, _, body = whole.partition(b"\r\n\r\n")
            return head + b"\r\n\r\n" + bytes(reversed(body)), True
        return whole, True

    def _broken(self, whole: bytes) -> bytes:
        """Some bytes of the head changed, doubled or cut out."""
        head, mark, body = whole.partition(b"\r\n\r\n")
        changed = bytearray(head)
        for _ in range(self._dice.randint(1, 4)):
            at = self._dice.randrange(len(changed))
            piece = self._dice.choice([b"", b"\x00", b"\r\n", b":", b" ", b"%", b"\xff", b"9999", bytes(changed[:40])])
            changed[at : at + self._dice.randint(0, 6)] = piece
        return bytes(changed) + mark + body

    def _signed(self) -> bytes:
        service = self._dice.choice([*TARGETS, *FORMS])
        headers = {"Host": self._host}
        if service in TARGETS:
            prefix, names = TARGETS[service]
            headers["X-Amz-Target"] = f"{prefix}.{self._dice.choice(names.split())}"
            headers["Content-Type"] = self._dice.choice(TYPES)
            body = self._json()
        else:
            version, names = FORMS[service]
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
            body = f"Action={self._dice.choice(names.split())}&Version={version}&{self._form()}".encode()
        request = AWSRequest("POST", f"http://{self._host}/", headers=headers, data=body)
        SigV4Auth(self._key, service, "us-east-1").add_auth(request)
        lines = [f"{name}: {value}" for name, value in request.headers.items()]
        head = "\r\n".join(["POST / HTTP/1.1", *lines, f"Content-Length: {len(body)}"])
        return head.encode() + b"\r\n\r\n" + body

    def _json(self) -> bytes:
        if self._dice.random() < 0.3:
            return self._dice.choice(SCRAPS).encode()
        document = {name: self._value(0) for name in self._dice.sample(NAMES, self._dice.randint(0, 4))}
        text = json.dumps(document).encode()
        return text if self._dice.random() < 0.8 else text[: self._dice.randint(0, len(text))]

    def _value(self, depth: int) -> object:
        if depth < 4 and self._dice.random() < 0.4:
            if self._dice.random() < 0.5:
                return [self._value(depth + 1) for _ in range(self._dice.randint(0, 3))]
            return {name: self._value(depth + 1) for name in self._dice.sample(NAMES, 2)}
        return self._dice.choice([*SCRAPS, None, True, -1, 2**70, 0.5, "default", "webapp:1"])

    def _form(self) -> str:
        pairs = (f"{self._dice.choice(FIELDS)}={self._dice.choice(SCRAPS)}" for _ in range(self._dice.randint(0, 5)))
        return "&".join(pairs)


def answer(port: int, sent: bytes) -> int:
    """The status of the answer; 0 where the connection was closed without one. Our half is closed after the request."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            received = connection.recv(64)
        except (ConnectionResetError, BrokenPipeError):
            return 0
    parts = received.split(b" ", 2)
    return int(parts[1]) if received.startswith(b"HTTP/1.1 ") else 0


@pytest.fixture(scope="module")
def simulated() -> Iterator[Installation]:
    """The same listener and control plane; the machines behind it have no part in this."""
    made = Installation("--simulated")
    try:
        made.up()
        yield made
    finally:
        made.discard()


def test_no_rubbish_is_our_failure(simulated: Installation) -> None:
    variables = simulated.environment
    key = Credentials(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])
    before = simulated.pids()
    rubbish = Rubbish(20261123, simulated.port, key)
    requests = [rubbish.next() for _ in range(COUNT)]
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda request: answer(simulated.port, request[0]), requests))
    failed = [(status, sent) for status, (sent, _) in zip(statuses, requests, strict=True) if status >= 500]
    assert failed == [], failed[:3]
    silent = [sent for status, (sent, whole) in zip(statuses, requests, strict=True) if whole and not status]
    assert silent == [], silent[:3]
    seen = Counter(statuses)
    assert seen[403] > 100 and seen[400] > 400, f"signatures were checked and bodies were read: {seen}"
    assert simulated.pids() == before, "nothing died of it"
    assert simulated.client("ecs").describe_clusters()["failures"] == []
    said = "".join(path.read_text() for path in (simulated.home / "log").glob("*.log"))
    assert "Traceback" not in said, said[-3000:]
