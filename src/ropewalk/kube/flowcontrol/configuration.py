"""The objects of the group flowcontrol.apiserver.k8s.io as the server uses them. Pure.

An object that a newer or older server wrote and this one cannot use is left out; what must exist and does not is
taken as kube-apiserver's own (`kinds.flowcontrol.bootstrap`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ropewalk.kube.flowcontrol.matching import FlowSchema, flow_schema, in_order
from ropewalk.kube.flowcontrol.sharing import Shares
from ropewalk.kube.kinds.flowcontrol.bootstrap import MANDATORY_LEVELS, MANDATORY_SCHEMAS
from ropewalk.kube.machinery.objects import Object, at, name_of, uid_of

CATCH_ALL = "catch-all"


@dataclass(frozen=True, slots=True)
class LevelSetting:
    uid: str
    shares: Shares
    queues: int = 0
    """0: there is no waiting."""
    hand_size: int = 0
    queue_limit: int = 0


@dataclass(frozen=True, slots=True)
class Configuration:
    levels: Mapping[str, LevelSetting]
    schemas: tuple[FlowSchema, ...]
    """In the order in which they are tried; the last is the one for all that no other takes."""


def read(levels: Iterable[Object], schemas: Iterable[Object]) -> Configuration:
    settings: dict[str, LevelSetting] = {}
    for obj in (*MANDATORY_LEVELS, *levels):
        setting = level_setting(obj)
        if setting is not None:
            settings[name_of(obj)] = setting
    found: dict[str, FlowSchema] = {}
    for obj in (*MANDATORY_SCHEMAS, *schemas):
        schema = flow_schema(obj)
        if schema.level in settings:
            found[schema.name] = schema
    last = found.pop(CATCH_ALL)
    return Configuration(settings, (*in_order(list(found.values())), last))


def level_setting(obj: Object) -> LevelSetting | None:
    """None where it says nothing that could be done."""
    spec = obj.get("spec") or {}
    exempt, limited = spec.get("exempt"), spec.get("limited")
    match spec.get("type"):
        case "Exempt" if name_of(obj) == "exempt":
            told = exempt or {}
            shares = Shares(told.get("nominalConcurrencyShares", 0), told.get("lendablePercent", 0), exempt=True)
            return LevelSetting(uid_of(obj), shares)
        case "Limited" if limited is not None and name_of(obj) != "exempt":
            shares = Shares(
                limited.get("nominalConcurrencyShares", 30),
                limited.get("lendablePercent", 0),
                limited.get("borrowingLimitPercent"),
            )
            queuing = at(limited, "limitResponse", "queuing")
            if queuing is None:
                return LevelSetting(uid_of(obj), shares)
            return LevelSetting(
                uid_of(obj),
                shares,
                queuing.get("queues", 64),
                queuing.get("handSize", 8),
                queuing.get("queueLengthLimit", 50),
            )
    return None
