"""YAML as Kubernetes reads it (sigs.k8s.io/yaml over go-yaml 2): plain scalars mean what they mean there, and what
comes out is JSON.

Built from libyaml's events with a stack of its own, so that neither depth nor aliases can exhaust anything: nesting is
bounded, and so is what aliases may copy. Never constructs anything but JSON.
https://pkg.go.dev/sigs.k8s.io/yaml#YAMLToJSON
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import yaml

from ropewalk.kube.machinery.json_text import quoted
from ropewalk.kube.machinery.objects import Json

_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_WORDS: dict[str, Json] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_NOT_JSON = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_INTEGER = re.compile(r"([-+]?)(?:(0[xX])([0-9a-fA-F]+)|(0[bB])([01]+)|(0[oO]?)([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_CORE = "tag:yaml.org,2002:"
_ALIAS_BUDGET = 100_000
"""How many values aliases may stand for, all together."""


class YamlError(ValueError):
    """Not YAML, or not such YAML as JSON can hold; worded as Kubernetes does."""


@dataclass(slots=True)
class _Frame:
    """One mapping or sequence that is open."""

    value: Json
    anchor: str | None
    key: str | None = None
    """Of a mapping: the key whose value comes next."""
    merging: bool = False
    """The key was `<<`."""
    merged: dict[str, Json] = field(default_factory=dict)
    """What `<<` brought in; the mapping's own keys go before it."""


def load(body: bytes, *, max_depth: int) -> tuple[Json, list[str]]:
    """The first document, None where there is none, and complaints about keys that stand twice."""
    reader = _Reader(max_depth)
    try:
        for event in yaml.parse(body, Loader=_LOADER):
            if isinstance(event, yaml.DocumentEndEvent):
                break
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        raise YamlError(_worded(error)) from None
    except yaml.reader.ReaderError as error:
        raise YamlError(f"yaml: {error.reason}") from None
    complaints = reader.complaints
    return reader.root, ["yaml: unmarshal errors:\n" + "\n".join(complaints)] if complaints else []


class _Reader:
    def __init__(self, max_depth: int) -> None:
        self.root: Json = None
        self.complaints: list[str] = []
        self._max_depth = max_depth
        self._open: list[_Frame] = []
        self._anchors: dict[str, Json] = {}
        self._budget = _ALIAS_BUDGET

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._start(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            frame = self._open.pop()
            for key, value in frame.merged.items():
                frame.value.setdefault(key, value)
            if frame.anchor is not None:
                self._anchors[frame.anchor] = frame.value
            self._place(frame.value, event)
        elif isinstance(event, yaml.AliasEvent):
            self._place(self._aliased(event.anchor or ""), event)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        value = event.value if self._is_text(event) else resolve(event.value)
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        frame = self._open[-1] if self._open else None
        if frame and type(frame.value) is dict and frame.key is None and not frame.merging:
            frame.merging = event.value == "<<" and event.implicit[0]
            if not frame.merging:
                frame.key = self._key(frame, value, event)
        else:
            self._place(value, event)

    @staticmethod
    def _is_text(event: yaml.ScalarEvent) -> bool:
        """Quoted, or said to be a string."""
        if event.tag in (None, "!"):
            return not event.implicit[0]
        if event.tag == _CORE + "str" or not event.tag.startswith(_CORE):
            return True
        if event.tag[len(_CORE) :] in ("bool", "int", "float", "null", "timestamp"):
            return False
        raise YamlError(f"yaml: cannot decode {event.tag.replace(_CORE, '!!')} as JSON")

    def _start(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if len(self._open) >= self._max_depth:
            raise YamlError(f"yaml: exceeded max depth of {self._max_depth}")
        frame = self._open[-1] if self._open else None
        if frame and type(frame.value) is dict and frame.key is None and not frame.merging:
            raise YamlError(f"yaml: invalid map key at line {_line(event)}")
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)
        self._open.append(_Frame({} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor))

    def _place(self, value: Json, event: yaml.Event) -> None:
        if not self._open:
            self.root = value
            return
        frame = self._open[-1]
        if type(frame.value) is list:
            frame.value.append(value)
        elif frame.merging:
            frame.merging = False
            for part in value if type(value) is list else [value]:
                if type(part) is not dict:
                    raise YamlError("yaml: map merge requires map or sequence of maps as the value")
                for key, inner in part.items():
                    frame.merged.setdefault(key, inner)
        elif frame.key is None:  # an alias as a key
            frame.key = self._key(frame, value, event)
        else:
            frame.value[frame.key] = value
            frame.key = None

    def _key(self, frame: _Frame, value: Json, event: yaml.Event) -> str:
        key = _key_text(value)
        if key in frame.value:
            self.complaints.append(f"  line {_line(event)}: key {quoted(key)} already set in map")
        return key

    def _aliased(self, anchor: str) -> Json:
        if any(frame.anchor == anchor for frame in self._open):
            raise YamlError(f"yaml: anchor '{anchor}' value contains itself")
        if anchor not in self._anchors:
            raise YamlError(f"yaml: unknown anchor '{anchor}' referenced")
        return self._copied(self._anchors[anchor], len(self._open))

    def _copied(self, value: Json, depth: int) -> Json:
        """A copy of one's own, paid from the budget."""
        self._budget -= 1
        if self._budget < 0:
            raise YamlError("yaml: document contains excessive aliasing")
        if depth > self._max_depth:
            raise YamlError(f"yaml: exceeded max depth of {self._max_depth}")
        if type(value) is dict:
            return {key: self._copied(part, depth + 1) for key, part in value.items()}
        if type(value) is list:
            return [self._copied(part, depth + 1) for part in value]
        return value


def resolve(text: str) -> Json:
    """What a plain scalar means: go-yaml's mixture of YAML 1.1 and 1.2. Dates stay strings."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NOT_JSON.fullmatch(text):
        raise YamlError(f"json: unsupported value: {text}")
    plain = text.replace("_", "") if text[0] != "." else text
    found = _INTEGER.fullmatch(plain)
    if found and len(plain) < 70:
        sign, hexadecimal, x_digits, _, b_digits, _, o_digits, decimal = found.groups()
        number = int(x_digits, 16) if hexadecimal else int(b_digits, 2) if b_digits else 0
        number = int(o_digits, 8) if o_digits else int(decimal) if decimal else number
        number = -number if sign == "-" else number
        if -(2**63) <= number < 2**64:
            return number
    if not _FLOAT.fullmatch(plain):
        return text
    value = float(plain)
    if math.isinf(value):
        return text
    return int(value) if value.is_integer() and abs(value) < 2**63 else value


def _key_text(value: Json) -> str:
    """JSON has strings for keys only."""
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) in (str, int, float):
        return str(value)
    raise YamlError("yaml: unsupported map key: it is null or no scalar")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _worded(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    line = mark.line if mark else 0
    if line and isinstance(error, yaml.scanner.ScannerError):
        line += 1
    return f"yaml: line {line}: {error.problem}" if line else f"yaml: {error.problem}"
