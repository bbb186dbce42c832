"""JSON read a second time, by hand: to find keys that stand twice, and to say what is wrong in Go's words.

`orjson` is forty times quicker, but keeps only the last of two equal keys and words its errors otherwise. So this
runs only where duplicates are possible (`may_repeat`) or where reading has failed. It never recurses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ropewalk.kube.machinery.objects import Json

_TOKEN = re.compile(
    r'[ \t\r\n]*(?:("(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")'
    r"|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)|(true|false|null)|([{}\[\],:]))"
)
_SPACE = re.compile(r"[ \t\r\n]*")
_BROKEN_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_SPACED_COLONS = (b" :", b"\n:", b"\t:", b"\r:")
_END = "unexpected end of JSON input"
_MOST_DUPLICATES = 100


def may_repeat(body: bytes, kept: bytes) -> bool:
    """Whether some object in `body` may have a key twice; `kept` is the same, read and written again.

    A compact body is the same again; of others the ends of keys are counted in both. Where counting bytes cannot tell
    the end of a key from the inside of a string, the answer is yes.
    """
    if len(body) <= len(kept) + 1 and body.rstrip() == kept:
        return False
    if any(colon in body for colon in _SPACED_COLONS):
        return True
    given, left = _keys(body), _keys(kept)
    return given is None or given != left


def _keys(text: bytes) -> int | None:
    return None if b'\\\\":' in text else text.count(b'":') - text.count(b'\\":')


def duplicates(body: bytes) -> list[str]:
    """`duplicate field "spec.replicas"`, once for each, in the order of the text. The body is valid JSON."""
    scan = _Scan(body.decode(errors="replace"))
    scan.run()
    return scan.duplicates


def in_order(body: bytes, complaints: Sequence[str]) -> list[str]:
    """Complaints about doubled and unknown fields as they come in the text, which is valid JSON."""
    scan = _Places(body.decode(errors="replace"))
    scan.run()
    return sorted(complaints, key=lambda told: scan.places.get(told, len(scan.places)))


def syntax_error(body: bytes) -> str:
    """Why `body` is no JSON, as Go says it."""
    scan = _Scan(body.decode(errors="replace"))
    scan.run()
    return scan.error or "invalid JSON"


class _Frame:
    """One object or array that is open."""

    __slots__ = ("index", "key", "seen")

    def __init__(self, *, is_object: bool) -> None:
        self.seen: set[str] | None = set() if is_object else None
        self.key = ""
        self.index = -1


class _Scan:
    """What is expected next is one of: value, value or ], key, key or }, colon, comma, end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.duplicates: list[str] = []
        self.error = ""
        self.open: list[_Frame] = []
        self.expected = "value"

    def run(self) -> None:
        position = 0
        while not self.error:
            found = _TOKEN.match(self.text, position)
            if found is None:
                self._stopped(position)
                return
            position = found.end()
            self._token(found[0].lstrip(" \t\r\n"))

    def _token(self, token: str) -> None:
        first = token[0]
        if self.expected in ("key", "key or }"):
            if first == '"':
                self._key(json.loads(token))
            elif first == "}" and self.expected == "key or }":
                self._close()
            else:
                self._invalid(first, "looking for beginning of object key string")
        elif self.expected == "colon":
            if first == ":":
                self.expected = "value"
            else:
                self._invalid(first, "after object key")
        elif self.expected == "comma":
            self._after_value(first)
        elif self.expected == "end":
            self._invalid(first, "after top-level value")
        elif first == "]" and self.expected == "value or ]":
            self._close()
        elif first in "}],:":
            self._invalid(first, "looking for beginning of value")
        else:
            self._value(first)

    def _value(self, first: str) -> None:
        if self.open and self.open[-1].seen is None:
            self.open[-1].index += 1
        if first in "{[":
            self.open.append(_Frame(is_object=first == "{"))
            self.expected = "key or }" if first == "{" else "value or ]"
        else:
            self.expected = "comma" if self.open else "end"

    def _after_value(self, first: str) -> None:
        is_object = self.open[-1].seen is not None
        if first == ",":
            self.expected = "key" if is_object else "value"
        elif first == ("}" if is_object else "]"):
            self._close()
        else:
            self._invalid(first, "after object key:value pair" if is_object else "after array element")

    def _key(self, key: str) -> None:
        frame = self.open[-1]
        assert frame.seen is not None
        if key in frame.seen and len(self.duplicates) < _MOST_DUPLICATES:
            complaint = f"duplicate field {quoted(self._path(key))}"
            if complaint not in self.duplicates:
                self.duplicates.append(complaint)
        frame.seen.add(key)
        frame.key = key
        self.expected = "colon"

    def _path(self, key: str) -> str:
        """Of a field of the innermost object."""
        steps = [f".{frame.key}" if frame.seen is not None else f"[{frame.index}]" for frame in self.open[:-1]]
        return ("".join(steps) + f".{key}").removeprefix(".")

    def _close(self) -> None:
        self.open.pop()
        self.expected = "comma" if self.open else "end"

    def _stopped(self, position: int) -> None:
        """No token starts here: the end, or something broken."""
        found = _SPACE.match(self.text, position)
        assert found is not None
        start = found.end()
        rest = self.text[start:]
        if not rest:
            self.error = "" if self.expected == "end" else _END
        elif rest[0] == '"':
            broken = _BROKEN_STRING.match(rest)
            assert broken is not None
            self._broken_string(rest[broken.end() :])
        elif any(word.startswith(rest) for word in ("true", "false", "null")) or rest == "-":
            self.error = _END
        else:
            self._unknown(rest)

    def _broken_string(self, rest: str) -> None:
        if not rest or re.fullmatch(r"\\(u[0-9a-fA-F]{0,3})?", rest):
            self.error = _END
        elif rest[0] != "\\":
            self._invalid(rest[0], "in string literal")
        elif rest[1] == "u":
            bad = next(letter for letter in rest[2:] if letter not in "0123456789abcdefABCDEF")
            self._invalid(bad, "in \\u hexadecimal character escape")
        else:
            self._invalid(rest[1], "in string escape code")

    def _unknown(self, rest: str) -> None:
        if self.expected.startswith("value"):
            for word in ("true", "false", "null"):
                if rest[0] == word[0]:
                    place = next(i for i, letter in enumerate(word) if rest[i : i + 1] != letter)
                    self._invalid(rest[place], f"in literal {word} (expecting '{word[place]}')")
                    return
            if rest[0] == "-":
                self._invalid(rest[1], "in numeric literal")
            else:
                self._invalid(rest[0], "looking for beginning of value")
        else:
            self._token(rest[0])

    def _invalid(self, letter: str, where: str) -> None:
        shown = {"'": "'\\''", '"': "'\"'"}.get(letter) or "'" + quoted(letter)[1:-1] + "'"
        self.error = f"invalid character {shown} {where}"


def quoted(text: str) -> str:
    """As Go's %q writes a string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\x7f")


def depth(value: Json) -> int:
    """How deeply containers nest. Never recurses."""
    level = [value]
    found = 0
    while level:
        below: list[Json] = []
        for part in level:
            if type(part) is dict:
                below += [inner for inner in part.values() if type(inner) is dict or type(inner) is list]
            elif type(part) is list:
                below += [inner for inner in part if type(inner) is dict or type(inner) is list]
        level = below
        found += 1
    return found


class _Places(_Scan):
    """Notes which complaints a field's first and second occurrence would make, in order."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.places: dict[str, int] = {}

    def _key(self, key: str) -> None:
        seen = self.open[-1].seen
        assert seen is not None
        kind = "duplicate" if key in seen else "unknown"
        self.places.setdefault(f"{kind} field {quoted(self._path(key))}", len(self.places))
        super()._key(key)
