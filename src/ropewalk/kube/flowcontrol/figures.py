"""What of priority and fairness people and programs look at: metrics and debugging pages. Pure readings.

Names and columns are kube-apiserver's.
https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#metrics
https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#debug-endpoints
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ropewalk.base.http.messages import Response
from ropewalk.kube.flowcontrol.control import PriorityAndFairness
from ropewalk.kube.flowcontrol.levels import Level
from ropewalk.kube.flowcontrol.sharing import Bounds
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.http.metrics import Gauge, Metrics
from ropewalk.kube.machinery.http.pages import Pages

PAGES = "/debug/api_priority_and_fairness"
Reading = Callable[[Level, Bounds], float]

_GAUGES: tuple[tuple[str, str, Reading], ...] = (
    ("nominal_limit_seats", "Seats that a level's shares come to.", lambda level, bounds: bounds.nominal),
    ("lower_limit_seats", "Seats that a level keeps when it lends.", lambda level, bounds: bounds.least),
    ("upper_limit_seats", "Seats that a level has at most when it borrows.", lambda level, bounds: bounds.most),
    (
        "current_limit_seats",
        "Seats that a level has at present.",
        lambda level, bounds: bounds.nominal if bounds.exempt else level.limit,
    ),
    ("current_executing_requests", "Requests that hold a seat.", lambda level, bounds: level.in_use),
    ("current_inqueue_requests", "Requests that wait for a seat.", lambda level, bounds: level.waiting),
    ("rejected_requests", "Requests turned away since the start, for want of room.", lambda level, _: level.refused),
)


def add_metrics(control: PriorityAndFairness, metrics: Metrics) -> None:
    for name, help_text, read in _GAUGES:
        metrics.gauge(f"apiserver_flowcontrol_{name}", help_text, _gauge(control, read))


def _gauge(control: PriorityAndFairness, read: Reading) -> Gauge:
    return lambda: [((("priority_level", level.name),), read(level, bounds)) for level, bounds in control.levels()]


def add_pages(control: PriorityAndFairness, pages: Pages) -> None:
    def page(rows: Callable[[PriorityAndFairness], Iterable[tuple[object, ...]]]) -> None:
        async def answer(exchange: Exchange) -> Response:
            lines = [", ".join(str(cell) for cell in row) for row in rows(control)]
            return Response(200, {"content-type": "text/plain; charset=utf-8"}, ("\n".join(lines) + "\n").encode())

        pages.add(f"{PAGES}/{rows.__name__}", answer)

    page(dump_priority_levels)
    page(dump_queues)


def dump_priority_levels(control: PriorityAndFairness) -> Iterable[tuple[object, ...]]:
    yield "PriorityLevelName", "ActiveQueues", "IsIdle", "WaitingRequests", "ExecutingRequests", "RejectedRequests"
    for level, _ in control.levels():
        active = sum(1 for _ in level.busy_queues())
        yield level.name, active, str(level.is_idle).lower(), level.waiting, level.in_use, level.refused


def dump_queues(control: PriorityAndFairness) -> Iterable[tuple[object, ...]]:
    yield "PriorityLevelName", "Index", "PendingRequests", "ExecutingRequests", "NextDispatchR"
    for level, _ in control.levels():
        for index, queue in level.busy_queues():
            yield level.name, index, len(queue.waiting), queue.executing, f"{queue.start:.6f}ss"
