"""The few programs that a fake container knows: what a command does, worked out beforehand as steps.

`plan` reads a command line as BusyBox's would run it, as far as short scripts go: `sh -c` with `;`, `&&`, `||` and
newlines, `echo`, `printf`, `cat`, `sleep`, `true`, `false`, `exit`, `env`, `printenv`, `hostname`, `stty size`, `>&2`,
variables. Whatever else it meets it does not understand: a container whose command is not understood runs until it is
stopped, as servers do; an exec of such a command fails as for a program that is not there. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Union

SHELLS = ("sh", "ash", "bash", "/bin/sh", "/bin/ash", "/bin/bash")
MAX_STEPS = 256
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+)|\?)")
_TOKEN = re.compile(
    r"[ \t\r]+|(?<![^\s;&|])#[^\n]*|(?P<separator>&&|\|\||;|\n)"
    r"|(?P<word>[12]?>&?|[&|()<]|(?:'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.|[^\s'\"\\;&|<>()])+)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Print:
    text: str
    error: bool = False


@dataclass(frozen=True, slots=True)
class Sleep:
    seconds: float


@dataclass(frozen=True, slots=True)
class CopyInput:
    """`cat`: input to output until the input ends."""


@dataclass(frozen=True, slots=True)
class ShowSize:
    """`stty size`: the terminal's rows and columns."""


Step = Union[Print, Sleep, CopyInput, ShowSize]


@dataclass(frozen=True, slots=True)
class Plan:
    steps: tuple[Step, ...]
    code: int
    understood: bool = True
    exits: bool = False
    """It ended by `exit`: a shell that reads it goes, too."""


class _Unknown(Exception):
    """A word that these few programs do not cover."""


@dataclass(slots=True)
class _Run:
    environment: dict[str, str]
    hostname: str
    steps: list[Step] = field(default_factory=list)
    code: int = 0
    exited: bool = False
    errexit: bool = False

    def add(self, step: Step) -> None:
        if len(self.steps) >= MAX_STEPS:
            raise _Unknown("too long a script")
        self.steps.append(step)


def plan(command: Iterable[str], environment: Mapping[str, str], hostname: str = "") -> Plan:
    words = list(command)
    run = _Run(dict(environment), hostname)
    if not words:
        return Plan((), 127, False)
    try:
        if words[0] in SHELLS and len(words) >= 3 and words[1].lstrip("-+").endswith("c"):
            run.errexit = "e" in words[1]
            _script(run, words[2])
        else:
            _program(run, words)
    except _Unknown:
        return Plan((), 127, False)
    return Plan(tuple(run.steps), run.code, exits=run.exited)


def _script(run: _Run, text: str) -> None:
    statements = _statements(text)
    for at, (separator, words) in enumerate(statements):
        if (separator == "&&" and run.code != 0) or (separator == "||" and run.code == 0):
            continue
        _statement(run, words)
        guarded = at + 1 < len(statements) and statements[at + 1][0] != ";"
        if run.exited or (run.errexit and run.code != 0 and not guarded):
            return


def _statements(text: str) -> list[tuple[str, list[str]]]:
    """(what stands before it, its words), quotes kept for `_expanded`."""
    found: list[tuple[str, list[str]]] = []
    before, words, at = ";", list[str](), 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _Unknown(text[at:])
        at = match.end()
        separator, word = match["separator"], match["word"]
        if separator is None:
            if word is not None:
                words.append(word)
            continue
        if words:
            found.append((before, words))
            words = []
        before = ";" if separator in (";", "\n") else separator
    if words:
        found.append((before, words))
    return found


def _statement(run: _Run, words: list[str]) -> None:
    error, quiet = False, False
    plain: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in (">&", "1>&"):
            error = _known(next(rest, ""), "2")
        elif word in (">", "1>"):
            quiet = _known(next(rest, ""), "/dev/null")
        elif word == "2>":
            _known(next(rest, ""), "/dev/null")
        elif word[0] in "&|()<>" or word == "2>&":
            raise _Unknown(word)
        else:
            plain.append(_expanded(run, word))
    if not plain:
        return
    name, assigns, value = plain[0].partition("=")
    if len(plain) == 1 and assigns and name.isidentifier():
        run.environment[name] = value
        run.code = 0
        return
    first = len(run.steps)
    _program(run, plain)
    for at, step in enumerate(run.steps[first:], first):
        if isinstance(step, Print):
            run.steps[at] = Print("" if quiet else step.text, error or step.error)


def _known(target: str, expected: str) -> bool:
    if target != expected:
        raise _Unknown(target)
    return True


def _expanded(run: _Run, word: str) -> str:
    """Variables, and quotes taken off."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return str(run.code) if name is None else run.environment.get(name, "")

    text = ""
    for part in re.findall(r"'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.|[^'\"\\]+", word, re.DOTALL):
        if "$(" in part or "`" in part:
            raise _Unknown(part)
        if part.startswith("'"):
            text += part[1:-1]
        elif part.startswith('"'):
            text += _VARIABLE.sub(value, part[1:-1]).replace('\\"', '"').replace("\\\\", "\\")
        elif part.startswith("\\"):
            text += part[1:]
        else:
            text += _VARIABLE.sub(value, part)
    return text


def _program(run: _Run, words: list[str]) -> None:
    name, arguments = words[0].rpartition("/")[2], words[1:]
    run.code = 0
    if name == "exec" and arguments:
        _program(run, arguments)
        run.exited = True
    elif name in ("true", ":", "set", "export", "cd"):
        pass
    elif name == "false":
        run.code = 1
    elif name == "exit":
        run.code = _number(arguments[0]) % 256 if arguments else 0
        run.exited = True
    elif name == "echo":
        _echo(run, arguments)
    elif name == "printf" and arguments and "%" not in arguments[0]:
        run.add(Print(_escapes(arguments[0])))
    elif name == "sleep" and arguments:
        run.add(Sleep(_seconds(arguments[0])))
    elif name == "cat" and arguments in ([], ["-"]):
        run.add(CopyInput())
    elif name == "stty" and arguments == ["size"]:
        run.add(ShowSize())
    elif name in ("env", "printenv"):
        _environment(run, arguments)
    elif name == "hostname" and not arguments:
        run.add(Print(run.hostname + "\n"))
    else:
        raise _Unknown(words[0])


def _echo(run: _Run, arguments: list[str]) -> None:
    newline, escapes = "\n", False
    while arguments and re.fullmatch(r"-[neE]+", arguments[0]):
        newline = "" if "n" in arguments[0] else newline
        escapes = escapes or "e" in arguments[0]
        arguments = arguments[1:]
    text = " ".join(arguments)
    run.add(Print((_escapes(text) if escapes else text) + newline))


def _escapes(text: str) -> str:
    return text.replace("\\n", "\n").replace("\\t", "\t")


def _environment(run: _Run, names: list[str]) -> None:
    if not names:
        run.add(Print("".join(f"{name}={value}\n" for name, value in run.environment.items())))
        return
    for name in names:
        if name in run.environment:
            run.add(Print(run.environment[name] + "\n"))
        else:
            run.code = 1


def _number(text: str) -> int:
    if not text.lstrip("-").isdecimal() or len(text) > 9:
        raise _Unknown(text)
    return int(text)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd]?)", text)
    if match is None:
        if text in ("infinity", "inf"):
            return 1e9
        raise _Unknown(text)
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]
