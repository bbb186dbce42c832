"""`/healthz`, `/livez`, `/readyz`, `/version` and the index of paths.

https://kubernetes.io/docs/reference/using-api/health-checks/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ropewalk.base.http.messages import Response
from ropewalk.kube.machinery.http import answers
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.http.options import is_true
from ropewalk.kube.machinery.http.pages import Pages
from ropewalk.kube.machinery.objects import Object

MAJOR, MINOR, PATCH = "1", "35", "4"
VERSION = f"v{MAJOR}.{MINOR}.{PATCH}"
"""Of Kubernetes whose behaviour this is."""

Check = Callable[[], str]
"""Why this part is not well; "" where it is."""

_PLAIN = {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}


def version_info(build: str) -> Object:
    """What `kubectl version` shows; `build` is our own version."""
    return {
        "major": MAJOR,
        "minor": MINOR,
        "emulationMajor": MAJOR,
        "emulationMinor": MINOR,
        "minCompatibilityMajor": MAJOR,
        "minCompatibilityMinor": str(int(MINOR) - 1),
        "gitVersion": f"{VERSION}+ropewalk.{build}",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "CPython",
        "platform": "linux/amd64",
    }


class Health:
    """Each probe's checks by name; a check of `readyz` may be one that `livez` does not ask for."""

    def __init__(self, checks: Mapping[str, Check], ready_only: Mapping[str, Check]) -> None:
        self._live = dict(checks)
        self._ready = {**checks, **ready_only}

    def add_to(self, pages: Pages, build: str) -> None:
        info = version_info(build)

        async def version(exchange: Exchange) -> Response:
            return answers.document(info)

        async def index(exchange: Exchange) -> Response:
            return answers.document({"paths": pages.paths})

        pages.add("/version", version)
        pages.add("/", index)
        for path, checks in (("/healthz", self._live), ("/livez", self._live), ("/readyz", self._ready)):
            self._add_probe(pages, path, checks)

    def _add_probe(self, pages: Pages, path: str, checks: Mapping[str, Check]) -> None:
        async def probe(exchange: Exchange) -> Response:
            excluded = exchange.query.get("exclude", [])
            chosen = {name: check for name, check in checks.items() if name not in excluded}
            return _told(path.strip("/"), chosen, verbose=is_true(exchange.query, "verbose"))

        pages.add(path, probe)
        for name, check in checks.items():
            self._add_single(pages, path, name, check)

    def _add_single(self, pages: Pages, path: str, name: str, check: Check) -> None:
        async def probe(exchange: Exchange) -> Response:
            return _told(path.strip("/"), {name: check}, verbose=is_true(exchange.query, "verbose"))

        pages.add(f"{path}/{name}", probe)


def _told(probe: str, checks: Mapping[str, Check], *, verbose: bool) -> Response:
    problems = {name: reason for name, check in checks.items() if (reason := check())}
    if not problems and not verbose:
        return Response(200, dict(_PLAIN), b"ok")
    lines = [f"[-]{name} failed: {problems[name]}" if name in problems else f"[+]{name} ok" for name in checks]
    lines.append(f"{probe} check {'failed' if problems else 'passed'}")
    return Response(500 if problems else 200, dict(_PLAIN), ("\n".join(lines) + "\n").encode())
