"""`/metrics`: what the server has answered and holds, in Prometheus' text format. Names are kube-apiserver's.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable

from ropewalk.base.http.messages import Response
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.http.pages import Pages
from ropewalk.kube.machinery.resources import ALL_VERBS

BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 10.0, 30.0, 60.0)
VERBS = frozenset((*ALL_VERBS, "head", "options", "post", "put"))
"""Of resources, and of other URLs. https://kubernetes.io/docs/reference/using-api/api-concepts/#api-verbs"""
Labels = tuple[tuple[str, str], ...]
Gauge = Callable[[], Iterable[tuple[Labels, float]]]


class Metrics:
    """Requests are counted as they are answered; gauges are asked when somebody looks."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, str, str, str, int], int] = {}
        self._durations: dict[str, list[float]] = {}
        self._gauges: dict[str, tuple[str, Gauge]] = {}

    def gauge(self, name: str, help_text: str, read: Gauge) -> None:
        self._gauges[name] = (help_text, read)

    def count(self, exchange: Exchange, status: int, seconds: float) -> None:
        route, info = exchange.route, exchange.call.info
        named = ("", "", "", "")
        if info is not None:  # clients choose URLs: what is not served is counted without its name
            subresource = route.subresource if info.subresource(route.subresource) is not None else ""
            named = (info.group, info.version, info.plural, subresource)
        key = (route.verb if route.verb in VERBS else "other", *named, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        if route.verb != "watch":
            found = self._durations.get(key[0])
            if found is None:
                found = self._durations[key[0]] = [0.0] * (len(BUCKETS) + 2)
            found[bisect_left(BUCKETS, seconds)] += 1
            found[-1] += seconds

    def add_to(self, pages: Pages) -> None:
        async def page(exchange: Exchange) -> Response:
            return Response(200, {"content-type": "text/plain; version=0.0.4; charset=utf-8"}, self.text().encode())

        pages.add("/metrics", page)

    def text(self) -> str:
        lines = [
            *_head("apiserver_request_total", "counter", "Requests answered, by what they asked and how it ended.")
        ]
        for (verb, group, version, resource, subresource, status), count in sorted(self._requests.items()):
            labels = (
                ("code", str(status)),
                ("group", group),
                ("resource", resource),
                ("subresource", subresource),
                ("verb", verb.upper()),
                ("version", version),
            )
            lines.append(_line("apiserver_request_total", labels, count))
        lines += _head(
            "apiserver_request_duration_seconds", "histogram", "From the first step of a request to its answer."
        )
        for verb, counts in sorted(self._durations.items()):
            lines += _histogram("apiserver_request_duration_seconds", (("verb", verb.upper()),), counts)
        for name, (help_text, read) in self._gauges.items():
            lines += _head(name, "gauge", help_text)
            lines += [_line(name, labels, value) for labels, value in read()]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, help_text: str) -> list[str]:
    return [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]


def _histogram(name: str, labels: Labels, counts: list[float]) -> list[str]:
    lines, total = [], 0.0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=False):
        total += count
        lines.append(_line(f"{name}_bucket", (*labels, ("le", bound)), total))
    return [*lines, _line(f"{name}_sum", labels, counts[-1]), _line(f"{name}_count", labels, total)]


def _line(name: str, labels: Labels, value: float) -> str:
    told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    number = f"{value:.9g}"
    return f"{name}{{{told}}} {number}" if told else f"{name} {number}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
