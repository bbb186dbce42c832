"""What a container of the fake runtime does: how long it runs, how it ends, what its probes say.

Plain data and one small parser; nothing here waits or keeps state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ropewalk.model.workload import Container, Question, Workload
from ropewalk.node.fake_shell import SHELLS, Plan, plan

VARIABLE = "ROPEWALK_SIMULATE"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a command run inside a container."""

    code: int = 0
    seconds: float = 0.0
    output: bytes = b""


def _succeed(command: tuple[str, ...], age: float) -> Outcome:
    return Outcome()


def _answer(question: Question, age: float) -> Outcome:
    return Outcome()


@dataclass(frozen=True, slots=True)
class Behaviour:
    run_for: float | None = None
    """Seconds until it ends by itself; None runs until stopped."""
    exit_code: int = 0
    out_of_memory: bool = False
    stops_after: float | None = 0.0
    """Seconds it takes to heed a stop signal; None ignores it."""
    stop_code: int | None = None
    """Its exit code then; None is 128 + the signal."""
    pull: str = ""
    """"missing" or "broken"."""
    pull_seconds: float = 0.0
    create_fails: str = ""
    start_fails: str = ""
    stop_signal: str = ""
    """The image's STOPSIGNAL."""
    output: tuple[str, ...] = ()
    """Lines it writes to its log when it starts."""
    plan: Plan | None = None
    """What its own command does, step by step; it ends after the last. `run_for` is not asked then."""
    exec: Callable[[tuple[str, ...], float], Outcome] = _succeed
    """(command, seconds since start) → what the command does."""
    ask: Callable[[Question, float], Outcome] = _answer
    """(question, seconds since start) → code 0 answers well; the output says why not."""
    cpu_share: float = 0.01
    memory_bytes: int = 8 << 20
    writable_bytes: int = 0
    """What it keeps on its root file system."""


def from_environment(workload: Workload, container: Container) -> Behaviour:
    """The behaviour that a container's own ROPEWALK_SIMULATE describes; without it, one that runs until stopped.

    Words, separated by spaces: `exit=CODE`, `after=SECONDS`, `oom`, `ignore-term`, `stop-after=SECONDS`,
    `health=CODE` (of every probe), `storage=BYTES` (written to its root), `create=MESSAGE`, `start=MESSAGE`. A word
    that is none of these fails the creation with a message that names it.
    """
    text = next((e.value for e in container.environment if e.name == VARIABLE), "")
    return parse(text) if text else Behaviour()


def from_command(workload: Workload, container: Container) -> Behaviour:
    """What the container's own command does, where it is one of the few that are known (`fake_shell`): such containers
    end by themselves. All else (servers, images without a command) runs until stopped. ROPEWALK_SIMULATE overrides.
    """
    if any(variable.name == VARIABLE for variable in container.environment):
        return from_environment(workload, container)
    words = (*(container.command or ()), *(container.arguments or ()))
    if not words or (len(words) == 1 and words[0] in SHELLS and container.interactive):
        return Behaviour()
    environment = {variable.name: variable.value for variable in container.environment}
    made = plan(words, environment, workload.hostname or workload.name.rpartition("/")[2])
    return Behaviour(plan=made) if made.understood else Behaviour()


def parse(text: str) -> Behaviour:
    values: dict[str, Any] = {}
    for word in text.split():
        name, _, value = word.partition("=")
        try:
            values.update(_word(name, value))
        except (KeyError, ValueError):
            return Behaviour(create_fails=f"{VARIABLE}: {word!r} is not understood")
    if "exit_code" in values or "out_of_memory" in values:
        values.setdefault("run_for", 0.0)
    return Behaviour(**values)


def _word(name: str, value: str) -> dict[str, Any]:
    if name == "oom":
        return {"out_of_memory": True}
    if name == "ignore-term":
        return {"stops_after": None}
    if name == "health":
        code = int(value)
        output = f"health={code}".encode()
        return {"exec": lambda command, age: Outcome(code), "ask": lambda question, age: Outcome(code, output=output)}
    field, convert = {
        "exit": ("exit_code", int),
        "after": ("run_for", float),
        "stop-after": ("stops_after", float),
        "create": ("create_fails", str),
        "start": ("start_fails", str),
        "storage": ("writable_bytes", int),
    }[name]
    return {field: convert(value)}
