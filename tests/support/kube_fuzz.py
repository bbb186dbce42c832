"""Random requests to a cluster, made by schemathesis from the server's own OpenAPI.

To make up a body costs far more than to send it, so that each is used several times: as it came; at objects that are
there, under a name that will do; as a patch; with one value exchanged for another that nobody expects. The same seed
makes the same requests.
"""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis.core import NotSet

from support.kube_process import Cluster

NAMESPACE, NAME = "fuzz", "a"
"""Where something is, and what it is called."""
EXAMPLES = 3
"""That schemathesis makes of each operation in turn: the first is always the smallest."""
PATCHES = ("application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml")
STRANGE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    -(2**63) - 1,
    1e300,
    0.1,
    "",
    "0",
    "\0",
    "a" * 300,
    "größe 𪰮",
    "2026-13-45T99:99:99Z",
    "1e1000000",
    "$(",
    [],
    [None],
    {},
    {"": None},
    [[]],
    {"a": {"b": {}}},
)
CONNECTIONS = ("exec", "attach", "portforward", "log", "proxy", "proxy/{path}")
REQUEST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Attempt:
    method: str
    template: str
    path: str
    query: dict[str, Any]
    body: Any = None
    media_type: str = ""
    text: str | bytes | None = None
    """A body that is already written."""

    @property
    def stays_open(self) -> bool:
        return (
            str(self.query.get("watch", "")).lower() in ("true", "1")
            or "/watch/" in self.template
            or self.template.endswith(CONNECTIONS)
        )

    def told(self) -> str:
        body = self.text if self.text is not None else json.dumps(self.body)
        return f"{self.method} {self.path} {self.query} {self.media_type} {str(body)[:6000]}"


@dataclass(slots=True)
class Report:
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def sent(self) -> int:
        return self.statuses.total()


class Fuzzer:
    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._server = cluster.server
        self._seed = seed
        self._random = random.Random(seed)
        self._session = requests.Session()
        self._session.trust_env = False  # or REQUESTS_CA_BUNDLE would count for more than the cluster's CA
        keys = cluster.folder / "pki"
        self._session.cert = (str(keys / "admin.crt"), str(keys / "admin.key"))
        self._session.verify = str(keys / "ca.crt")
        self._made = 0

    def run(self, count: int) -> Report:
        report = Report()
        while report.sent < count:
            operations = self._operations()
            self._random.shuffle(operations)
            for operation in operations:
                if report.sent >= count:
                    break
                for case in self._cases(operation):
                    for attempt in self._attempts(operation, case):
                        self._send(attempt, report)
        return report

    def _operations(self) -> list[Any]:
        """Of every group and version, as the server describes itself now."""
        index = self._session.get(f"{self._server}/openapi/v3", timeout=REQUEST_SECONDS).json()
        found: list[Any] = []
        for place in index["paths"].values():
            document = self._session.get(self._server + place["serverRelativeURL"], timeout=REQUEST_SECONDS).json()
            found += [result.ok() for result in schemathesis.openapi.from_dict(document).get_all_operations()]
        return found

    def _cases(self, operation: Any) -> list[Any]:
        made: list[Any] = []

        @seeded(self._random.getrandbits(32))
        @settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(operation.as_strategy())
        def collect(case: Any) -> None:
            made.append(case)

        collect()
        return made

    def _attempts(self, operation: Any, case: Any) -> Iterator[Attempt]:
        ready = case.as_transport_kwargs(base_url=self._server)
        path = ready["url"].removeprefix(self._server)
        method, query, template = ready["method"], ready.get("params") or {}, str(operation.path)
        sent = ready.get("data")
        text = json.dumps(ready["json"]) if "json" in ready else sent
        yield Attempt(method, template, path, query, media_type=case.media_type or "", text=text)
        here = template.format_map(_Known())
        if isinstance(case.body, NotSet) or not isinstance(case.body, dict):
            yield Attempt(method, template, here, query)
            return
        body = self._presentable(operation, case.body)
        media_type = self._random.choice(PATCHES) if method == "PATCH" else "application/json"
        if media_type == PATCHES[-1]:
            query = {"fieldManager": "fuzz", "force": "true", **query}
        yield Attempt(method, template, here, query, body, media_type)
        for _ in range(2):
            yield Attempt(method, template, here, {}, self._spliced(body), media_type)

    def _presentable(self, operation: Any, body: dict[str, Any]) -> dict[str, Any]:
        """Of the right kind, under a name that will do: so that what lies deeper is looked at."""
        kind = operation.definition.raw.get("x-kubernetes-group-version-kind")
        if not kind or operation.method == "delete":
            return body
        metadata = body.get("metadata")
        version = "/".join(part for part in (kind["group"], kind["version"]) if part)
        self._made += 1
        name = NAME if operation.method in ("put", "patch") else f"f-{self._made}"
        kept = metadata if isinstance(metadata, dict) and self._random.random() < 0.5 else {}
        named = {**kept, "name": name} | ({"namespace": NAMESPACE} if "{namespace}" in operation.path else {})
        return {**body, "apiVersion": version, "kind": kind["kind"], "metadata": named}

    def _spliced(self, body: Any) -> Any:
        """One of its values exchanged for a strange one."""
        result = copy.deepcopy(body)
        places = [place for place in _places(result) if place[1] not in ("apiVersion", "kind", "metadata")]
        if places:
            holder, key = self._random.choice(places)
            holder[key] = copy.deepcopy(self._random.choice(STRANGE))
        return result

    def _send(self, attempt: Attempt, report: Report) -> None:
        body = attempt.text if attempt.text is not None else json.dumps(attempt.body)
        has_body = attempt.text is not None or attempt.body is not None
        try:
            with self._session.request(
                attempt.method,
                self._server + attempt.path,
                params=attempt.query,
                data=(body.encode() if isinstance(body, str) else body) if has_body else None,
                headers={"content-type": attempt.media_type} if attempt.media_type else {},
                timeout=REQUEST_SECONDS,
                stream=True,
                allow_redirects=False,
            ) as answer:
                report.statuses[answer.status_code] += 1
                text = "" if attempt.stays_open else answer.text
                if answer.status_code >= 500 and not _is_fair(attempt, answer.status_code):
                    report.faults.append(f"{answer.status_code} {text[:500]}\n  for {attempt.told()}")
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as broken:
            report.statuses[0] += 1
            report.faults.append(f"{broken!r}\n  for {attempt.told()}")


def _is_fair(attempt: Attempt, status: int) -> bool:
    """A proxy may have nobody to ask."""
    return "/proxy" in attempt.template and status in (502, 503)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) within."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, part in items:
        yield value, key
        yield from _places(part)


class _Known(dict[str, str]):
    """Parameters of a path, as something is called that is there."""

    def __missing__(self, name: str) -> str:
        return {"namespace": NAMESPACE, "path": "index.html", "logpath": "x"}.get(name, NAME)
