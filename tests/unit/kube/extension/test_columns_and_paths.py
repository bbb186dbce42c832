"""What `kubectl get` shows of custom resources: JSONPaths, and cells by their columns' types."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.extension import columns, jsonpath
from ropewalk.kube.machinery.objects import Object

DATA: Object = {
    "a": 1,
    "b": {"c": [10, 20, 30], "d.e": "dotted"},
    "list": [{"t": "A", "n": 1}, {"t": "B", "n": 2}, {"n": 3}],
    "none": None,
    "text": "x",
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".a", [1]),
        ("{.a}", [1]),
        ("$.a", [1]),
        (".b.c", [[10, 20, 30]]),
        (".b.c[0]", [10]),
        (".b.c[-1]", [30]),
        (".b.c[0:2]", [10, 20]),
        (".b.c[::2]", [10, 30]),
        (".b.c[0,2]", [10, 30]),
        (".b.c[*]", [10, 20, 30]),
        (".b['d.e']", ["dotted"]),
        (r".b.d\.e", ["dotted"]),
        (".b.*", [[10, 20, 30], "dotted"]),
        (".list[*].t", ["A", "B"]),
        ('.list[?(@.t=="B")].n', [2]),
        (".list[?(@.t=='A')].n", [1]),
        (".list[?(@.n>1)].n", [2, 3]),
        (".list[?(@.n != 2)].n", [1, 3]),
        (".list[?(@.t)].n", [1, 2]),
        ("..n", [1, 2, 3]),
        (".missing.more", []),
        (".none.more", []),
        (".a.b", []),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    assert jsonpath.parse(path).find(DATA) == found


@pytest.mark.parametrize("path", [".b.c[9]", ".b[0]", ".text[0:1]", ".list[?(@.n>'x')].n"])
def test_paths_that_do_not_fit_the_object(path: str) -> None:
    with pytest.raises(jsonpath.NotFollowed):
        jsonpath.parse(path).find(DATA)


@pytest.mark.parametrize("path", [".a[", ".a[x]", ".a[]", ".a[?(x==1)]", ".a b", ".a.{", ".a[::0]"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        jsonpath.parse(path)


# --- columns

NOW = 1_800_000_000.0


def cell(kind: str, value: Any, path: str = ".v") -> Any:
    _, column = columns.of_version([{"name": "V", "type": kind, "jsonPath": path}])
    return column.cell({"metadata": {"name": "one"}, "v": value}, NOW)


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("string", "x", "x"),
        ("string", 3, "3"),
        ("string", True, "true"),
        ("string", [1, {"a": "b"}], '[1,{"a":"b"}]'),
        ("integer", 3, 3),
        ("integer", 3.7, 3),
        ("integer", "3", None),
        ("number", 3.5, 3.5),
        ("number", 3, 3),
        ("number", True, None),
        ("boolean", False, False),
        ("boolean", "false", None),
        ("date", "2027-01-15T07:00:00Z", "60m"),
        ("date", "soon", "<invalid>"),
        ("date", 3, None),
    ],
)
def test_cells(kind: str, value: Any, shown: Any) -> None:
    assert cell(kind, value) == shown


def test_a_cell_of_what_is_not_there_is_empty() -> None:
    assert cell("string", "x", ".w") is None
    assert cell("string", [], ".v[*]") is None
    assert cell("string", "x", ".v[0]") is None


def test_a_cell_shows_the_first_of_what_is_found() -> None:
    conditions = [{"type": "Ready", "status": "True"}, {"type": "Ready", "status": "False"}]
    assert cell("string", conditions, '.v[?(@.type=="Ready")].status') == "True"


def test_without_columns_the_age_is_shown() -> None:
    assert [column.name for column in columns.of_version(None)] == ["Name", "Age"]
    obj = {"metadata": {"name": "one", "creationTimestamp": "2027-01-15T07:59:00Z"}}
    assert [column.cell(obj, NOW) for column in columns.of_version([])] == ["one", "60s"]


def test_with_columns_the_age_is_not_shown_unless_asked_for() -> None:
    given = {"name": "V", "type": "string", "jsonPath": ".v", "description": "d", "priority": 1, "format": "byte"}
    name, column = columns.of_version([given])
    assert (name.name, column.name, column.description, column.priority, column.format) == ("Name", "V", "d", 1, "byte")


def test_from_the_first_column_without_a_path_nothing_more_is_shown() -> None:
    given = [
        {"name": name, "type": "string", "jsonPath": path} for name, path in (("A", ".a"), ("B", ".b["), ("C", ".c"))
    ]
    assert [column.name for column in columns.of_version(given)] == ["Name", "A"]
