"""kube-scheduler's words."""

from __future__ import annotations

from collections import Counter

from ropewalk.kube.scheduler import words
from ropewalk.planning.preempting import Outcome
from ropewalk.planning.sieve import Lack


def test_reasons_are_counted_and_sorted_as_texts() -> None:
    tally = {(Lack.APART, ""): 3, (Lack.CPU, ""): 12, (Lack.FURTHER, "pods"): 1, (Lack.FURTHER, "x.io/y"): 2}
    assert words.no_fit(15, tally, "", conflict=False) == (
        "0/15 nodes are available: 1 Too many pods, 12 Insufficient cpu, 2 Insufficient x.io/y, "
        "3 node(s) didn't match pod anti-affinity rules."
    )


def test_why_preemption_does_not_help() -> None:
    outcome = Outcome(None, no_victims=3, still=Counter({(Lack.MEMORY, ""): 1}), hopeless=2)
    why = words.no_preemption(6, outcome)
    assert why == (
        "0/6 nodes are available: 1 Insufficient memory, 2 Preemption is not helpful for scheduling, "
        "3 No preemption victims found for incoming pod."
    )
    message = words.no_fit(6, {(Lack.APART, ""): 6}, why, conflict=False)
    assert message == f"0/6 nodes are available: 6 node(s) didn't match pod anti-affinity rules. preemption: {why}"


def test_terms_that_name_no_node_together() -> None:
    assert words.no_fit(2, {(Lack.ONLY, ""): 2}, "", conflict=True) == (
        "0/2 nodes are available: pod affinity terms conflict."
    )


def test_events_are_cut() -> None:
    assert words.shortened("x" * 1024) == "x" * 1024
    assert words.shortened("x" * 1025) == "x" * 1020 + " ..."


def test_every_reason_has_words() -> None:
    for lack in set(Lack) - {Lack.NOT_READY, Lack.DISTINCT}:
        assert words.reason(lack, "name")
