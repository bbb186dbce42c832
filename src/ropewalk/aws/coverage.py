"""What is implemented and what is tested, counted from the code itself.

- An operation *exists* if AWS's model names it.
- It is *implemented* if a slice offers it (`Operations.offered`); to offer one that no model names is an error.
- It is *tested* if a Python file under `tests/` calls it in one of the ways tests do: `offered["RunTask"]`, or any
  string that is the operation's name; `.run_task(` (boto3); `run-task` after the service's name (the CLI). The scan is
  of text: it shows what nobody ever called, not how well the rest is tested.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ropewalk.aws.operations import Operations
from ropewalk.aws.specs import service_spec

_QUOTED = re.compile(r"""["']([A-Z][A-Za-z0-9]+)["']""")
_METHOD = re.compile(r"\.([a-z][a-z0-9_]+)\(")
_COMMAND = re.compile(r"""\b([a-z][a-z0-9-]+)["',\s]+([a-z][a-z0-9]*(?:-[a-z0-9]+)+)\b""")
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class OperationCoverage:
    name: str
    implemented: bool
    tested: bool | None
    """None where there are no tests to look at."""


@dataclass(frozen=True, slots=True)
class ServiceCoverage:
    service: str
    operations: tuple[OperationCoverage, ...]

    @property
    def implemented(self) -> int:
        return sum(operation.implemented for operation in self.operations)

    @property
    def tested(self) -> int:
        """Implemented ones that a test calls."""
        return sum(operation.implemented and bool(operation.tested) for operation in self.operations)


class Misnamed(Exception):
    """A slice offers an operation that its service's model does not have."""


@dataclass(frozen=True, slots=True)
class _Mentions:
    quoted: frozenset[str]
    methods: frozenset[str]
    commands: frozenset[tuple[str, str]]

    def has(self, service: str, operation: str) -> bool:
        words = [word.lower() for word in _WORD.split(operation)]
        return (
            operation in self.quoted or "_".join(words) in self.methods or (service, "-".join(words)) in self.commands
        )


def _mentions(texts: Iterable[str]) -> _Mentions:
    quoted: set[str] = set()
    methods: set[str] = set()
    commands: set[tuple[str, str]] = set()
    for text in texts:
        quoted.update(_QUOTED.findall(text))
        methods.update(_METHOD.findall(text))
        commands.update(_COMMAND.findall(text))
    return _Mentions(frozenset(quoted), frozenset(methods), frozenset(commands))


def coverage(offers: Sequence[Operations[Any]], tests: Path | None) -> list[ServiceCoverage]:
    """Per service, in the order given. `tests` is the project's test folder, None outside a checkout.

    `Any`: the slices' types do not matter here. Raises `Misnamed`.
    """
    mentions = None
    if tests is not None and tests.is_dir():
        mentions = _mentions(path.read_text(encoding="utf-8") for path in sorted(tests.rglob("*.py")))
    return [_of_service(operations, mentions) for operations in offers]


def _of_service(operations: Operations[Any], mentions: _Mentions | None) -> ServiceCoverage:
    service, names = operations.service, service_spec(operations.service).operation_names
    if stray := sorted(set(operations.offered) - set(names)):
        raise Misnamed(f"{service} has no operation {', '.join(stray)}")
    return ServiceCoverage(
        service,
        tuple(
            OperationCoverage(
                name, name in operations.offered, mentions.has(service, name) if mentions is not None else None
            )
            for name in names
        ),
    )
