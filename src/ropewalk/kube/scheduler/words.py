"""kube-scheduler's own words for why a pod has no node. Pure; texts as of Kubernetes 1.35."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ropewalk.planning.preempting import Outcome
from ropewalk.planning.sieve import Lack

NO_NODES = "no nodes available to schedule pods"
NEVER = "not eligible due to preemptionPolicy=Never."
UNDER_WAY = "not eligible due to a terminating pod on the nominated node."
LONGEST = 1024
"""Characters of an event's message."""
_CONFLICT = "pod affinity terms conflict"
_NO_VICTIMS = "No preemption victims found for incoming pod"
_HOPELESS = "Preemption is not helpful for scheduling"
_TEXTS = {
    Lack.ONLY: "node(s) didn't satisfy plugin(s) [NodeAffinity]",
    Lack.CPU: "Insufficient cpu",
    Lack.MEMORY: "Insufficient memory",
    Lack.PORTS: "node(s) didn't have free ports for the requested pod ports",
    Lack.FIELD: "node(s) didn't match pod topology spread constraints (missing required label)",
    Lack.UNEVEN: "node(s) didn't match pod topology spread constraints",
    Lack.NEAR: "node(s) didn't match pod affinity rules",
    Lack.APART: "node(s) didn't match pod anti-affinity rules",
    Lack.UNWANTED: "node(s) didn't satisfy existing pods anti-affinity rules",
}

Tally = Mapping[tuple[Lack, str], int]


def reason(lack: Lack, name: str) -> str:
    if lack is Lack.CONSTRAINT:
        return name
    if lack is Lack.FURTHER:
        return "Too many pods" if name == "pods" else f"Insufficient {name}"
    return _TEXTS[lack]


def no_fit(nodes: int, tally: Tally, preemption: str, *, conflict: bool) -> str:
    """`preemption`: what came of trying to preempt, "" where it will make room. `conflict`: affinity names no node."""
    told = _CONFLICT if conflict else _listed({reason(*lack): number for lack, number in tally.items()})
    return _available(nodes, told) + (f" preemption: {preemption}" if preemption else "")


def no_preemption(nodes: int, outcome: Outcome) -> str:
    counts = Counter({_NO_VICTIMS: outcome.no_victims, _HOPELESS: outcome.hopeless})
    for lack, number in outcome.still.items():
        counts[reason(*lack)] += number
    return _available(nodes, _listed({text: number for text, number in counts.items() if number}))


def _available(nodes: int, told: str) -> str:
    return f"0/{nodes} nodes are available:" + (f" {told}." if told else "")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(sorted(f"{number} {text}" for text, number in counts.items()))


def shortened(message: str) -> str:
    """For an event."""
    return message if len(message) <= LONGEST else f"{message[: LONGEST - 4]} ..."
