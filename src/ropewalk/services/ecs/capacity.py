"""Capacity provider strategies: their rules, and which provider each of a number of tasks goes to.

Source: docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CapacityProviderStrategyItem.html. Of the providers only
Fargate's two exist so far. FARGATE_SPOT runs on the same hosts as FARGATE and is never interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ropewalk.services.ecs.faults import invalid
from ropewalk.services.ecs.records import Document, Strategy

FARGATE_PROVIDERS = ("FARGATE", "FARGATE_SPOT")
MOST_ITEMS = 20


def check_providers(providers: Iterable[str]) -> tuple[str, ...]:
    """Raises InvalidParameterException."""
    result = tuple(dict.fromkeys(providers))
    for provider in result:
        if provider not in FARGATE_PROVIDERS:
            raise invalid(
                f"The specified capacity provider '{provider}' was not found. "
                "Ropewalk has FARGATE and FARGATE_SPOT so far."
            )
    return result


def parse(given: Sequence[dict[str, Any]], providers: Sequence[str]) -> tuple[Strategy, ...]:
    """A strategy over `providers`, the cluster's own. Raises InvalidParameterException."""
    if len(given) > MOST_ITEMS:
        raise invalid(f"The capacity provider strategy may hold at most {MOST_ITEMS} capacity providers.")
    items: list[Strategy] = []
    for item in given:
        weight, base, name = item.get("weight") or 0, item.get("base") or 0, item["capacityProvider"].rpartition("/")[2]
        if not 0 <= weight <= 1000:
            raise invalid("The weight of a capacity provider must be between 0 and 1000.")
        if not 0 <= base <= 100_000:
            raise invalid("The base of a capacity provider must be between 0 and 100000.")
        if name not in providers:
            raise invalid(
                "The specified capacity provider strategy cannot contain a capacity provider that is not associated "
                "with the cluster. Associate the capacity provider with the cluster and try again."
            )
        items.append(Strategy(name, weight, base))
    if len({item.provider for item in items}) != len(items):
        raise invalid("A capacity provider may appear only once in a capacity provider strategy.")
    if sum(item.base > 0 for item in items) > 1:
        raise invalid("Only one capacity provider in a capacity provider strategy can have a base defined.")
    if items and not any(item.weight for item in items) and len(items) > 1:
        raise invalid(
            "A capacity provider strategy with several capacity providers needs at least one with a weight above 0."
        )
    return tuple(items)


def document(strategy: Iterable[Strategy]) -> list[Document]:
    return [{"capacityProvider": item.provider, "weight": item.weight, "base": item.base} for item in strategy]


def share(strategy: Sequence[Strategy], count: int) -> list[str]:
    """The provider of each of `count` tasks: bases first, then by weight, ties to the earlier item."""
    result: list[str] = []
    for item in strategy:
        result += [item.provider] * min(item.base, count - len(result))
    given = dict.fromkeys((item.provider for item in strategy), 0)
    weighted = [item for item in strategy if item.weight] or list(strategy[:1])
    while len(result) < count:
        chosen = min(weighted, key=lambda item: (given[item.provider] + 1) / (item.weight or 1))
        given[chosen.provider] += 1
        result.append(chosen.provider)
    return result
