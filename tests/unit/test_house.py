"""The house's own rules, read from the code: where time and chance come from, and that no room stands empty."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import ropewalk

SOURCE = Path(ropewalk.__file__).parent

FORBIDDEN = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "monotonic_ns"),
    ("time", "perf_counter"),
    ("time", "sleep"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("random", "*"),
    ("secrets", "*"),
    ("uuid", "uuid1"),
    ("uuid", "uuid4"),
    ("os", "urandom"),
}
"""(module or class, attribute) pairs that only `base` may touch."""

ENTRY_POINTS = {
    "ropewalk",
    "ropewalk.cli.script",
    "ropewalk.daemon.entry",
}
"""What is started by name; commands and processes are found through the tables in `cli.main` and
`daemon.entry`."""

AWAITED = {
    "ropewalk.planning.placement": "tasks on instances that a user runs: RunInstances comes with them",
    "ropewalk.runtime.events": "what happened to an object, for people: ECS service events, Kubernetes Events",
}
"""Parts of the kit that are tested and wait for their first user, and who that will be. Remove a line with its wait."""


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        if "_generated" in path.parts:
            continue
        name = ".".join(("ropewalk", *path.relative_to(SOURCE).with_suffix("").parts))
        yield name.removesuffix(".__init__"), path


def uses(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """Attribute accesses `a.b` and imports `from a import b`, with their line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.value.id, node.attr, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            for alias in node.names:
                yield node.module, alias.name, node.lineno


def test_clock_and_chance_come_only_from_base() -> None:
    found = [
        f"{name}:{line} uses {owner}.{attribute}"
        for name, path in modules()
        if not name.startswith("ropewalk.base.")
        for owner, attribute, line in uses(ast.parse(path.read_text()))
        if (owner, attribute) in FORBIDDEN or (owner, "*") in FORBIDDEN
    ]
    assert found == []


def sleeps(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and (node.func.value.id, node.func.attr) == ("asyncio", "sleep")
            and not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
        ):
            yield node.lineno


def test_only_the_clock_sleeps() -> None:
    found = [
        f"{name}:{line}"
        for name, path in modules()
        if name != "ropewalk.base.clock"
        for line in sleeps(ast.parse(path.read_text()))
    ]
    assert found == []


def imported_by(name: str, path: Path, known: set[str]) -> set[str]:
    """Modules of ours that this one mentions: imports anywhere in it, and strings that name a module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value.split(":")[0]]
        found.update(candidate for candidate in names if candidate in known)
    return found - {name}


def test_no_module_is_dead() -> None:
    known = dict(modules())
    graph = {name: imported_by(name, path, set(known)) for name, path in known.items()}
    reached: set[str] = set()
    todo = [name for name in ENTRY_POINTS if name in known]
    while todo:
        name = todo.pop()
        if name in reached:
            continue
        reached.add(name)
        todo.extend(graph[name])
        if "." in name:
            todo.append(name.rpartition(".")[0])  # importing a module imports its package
    assert sorted(set(known) - reached) == sorted(AWAITED)


def test_every_module_says_what_it_is() -> None:
    silent = [
        name
        for name, path in modules()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []
