"""Shuffle sharding: which few of a level's queues a flow may use.

Every flow gets a hand of queues, dealt from a hash of its name. Two flows rarely hold the same hand, so one that fills
its queues leaves the others theirs. Pure. https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#queuing
"""

from __future__ import annotations

import hashlib
from bisect import insort


def flow_hash(schema: str, told_apart_by: str) -> int:
    digest = hashlib.sha256(f"{schema}\0{told_apart_by}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "little")


def hand(hashed: int, queues: int, size: int) -> tuple[int, ...]:
    """`size` different numbers below `queues`, as cards drawn without putting back."""
    drawn: list[int] = []
    in_order: list[int] = []
    for already in range(min(size, queues)):
        hashed, card = divmod(hashed, queues - already)
        for other in in_order:
            if card < other:
                break
            card += 1
        drawn.append(card)
        insort(in_order, card)
    return tuple(drawn)
