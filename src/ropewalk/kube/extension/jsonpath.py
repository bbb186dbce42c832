"""The JSONPaths that a definition may name: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`. Pure.

Printer columns, selectable fields and the scale subresource use a small part of kubectl's JSONPath: fields, indexes,
`[*]`, and filters that compare for equality. https://kubernetes.io/docs/reference/kubectl/jsonpath/
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ropewalk.kube.machinery.objects import Json

_STEP = re.compile(
    r"""\.(?P<field>(?:\\.|[^.\[\]\\])+)"""
    r"""|\[(?P<index>-?\d+)\]"""
    r"""|\[(?P<all>\*)\]"""
    r"""|\[(?P<quote>['"])(?P<key>.*?)(?P=quote)\]"""
    r"""|\[\?\(\s*@\.?(?P<name>[^=!<>\s]+)\s*(?P<operator>==|!=)\s*(?P<value>"[^"]*"|'[^']*'|[^)\s]+)\s*\)\]"""
)


@dataclass(frozen=True, slots=True)
class _Step:
    kind: str
    """"field", "index", "all" or "filter"."""
    name: str = ""
    index: int = 0
    value: str = ""
    equal: bool = True


@dataclass(frozen=True, slots=True)
class JsonPath:
    text: str
    steps: tuple[_Step, ...]

    def find(self, value: Json) -> list[Json]:
        """Everything at the path; none where it leads nowhere."""
        found = [value]
        for step in self.steps:
            found = [part for one in found for part in _follow(one, step)]
        return found

    @property
    def fields(self) -> tuple[str, ...] | None:
        """The fields it goes through, None where it is more than fields."""
        if any(step.kind != "field" for step in self.steps):
            return None
        return tuple(step.name for step in self.steps)


def parse(text: str) -> JsonPath:
    """Raises `ValueError`."""
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1]
    inner = inner.removeprefix("$")
    steps: list[_Step] = []
    at = 0
    while at < len(inner):
        match = _STEP.match(inner, at)
        if match is None:
            raise ValueError(f"{text!r} is not a JSON path that can be followed (at position {at})")
        steps.append(_step(match))
        at = match.end()
    return JsonPath(text, tuple(steps))


def _step(match: re.Match[str]) -> _Step:
    if (field := match["field"]) is not None:
        return _Step("all") if field == "*" else _Step("field", re.sub(r"\\(.)", r"\1", field))
    if (index := match["index"]) is not None:
        return _Step("index", index=int(index))
    if match["all"] is not None:
        return _Step("all")
    if (key := match["key"]) is not None:
        return _Step("field", key)
    return _Step("filter", match["name"], value=match["value"].strip("\"'"), equal=match["operator"] == "==")


def _follow(value: Json, step: _Step) -> list[Json]:
    if step.kind == "field":
        return [value[step.name]] if type(value) is dict and step.name in value else []
    if step.kind == "all":
        return list(value.values()) if type(value) is dict else value if type(value) is list else []
    if type(value) is not list:
        return []
    if step.kind == "index":
        return [value[step.index]] if -len(value) <= step.index < len(value) else []
    return [item for item in value if _passes(item, step)]


def _passes(item: Json, step: _Step) -> bool:
    for name in step.name.split("."):
        item = item.get(name) if type(item) is dict else None
    if item is None:
        return False
    told = str(item).lower() if type(item) is bool else str(item)
    return (told == step.value) is step.equal
