"""CEL rules when a definition is written: their types against the schema's, and what they may cost at most."""

from __future__ import annotations

import pytest
from tests.support.custom_resources import fields

from ropewalk.kube.extension import rules
from ropewalk.kube.extension.rules import Compiled
from ropewalk.kube.machinery.objects import Object

STRING: Object = {"type": "string", "maxLength": 10}
SCHEMA: Object = fields(
    s=STRING,
    long={"type": "string"},
    i={"type": "integer"},
    d={"type": "number"},
    b={"type": "boolean"},
    list={"type": "array", "items": STRING, "maxItems": 5},
    map={"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 5},
    ios={"x-kubernetes-int-or-string": True},
    time={"type": "string", "format": "date-time"},
    open={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    any={"x-kubernetes-preserve-unknown-fields": True},
    inner=fields(x={"type": "integer"}),
)


def compiled(text: str, message: str = "", *, optional: bool = False) -> Compiled:
    root = rules.declaration(SCHEMA, resource=False)
    assert root is not None
    given = {"rule": text, "messageExpression": message, "optionalOldSelf": optional}
    return rules.compile_rule(given, SCHEMA, root)


def first_line(error: str) -> str:
    return error.removeprefix("compilation failed: ERROR: <input>:").partition("\n")[0]


@pytest.mark.parametrize(
    "text",
    [
        "self.s == 'a' && self.i > 1 && self.d < 2.0 && self.b",
        "self.i < 2.0",
        "self.list.all(x, x.startsWith('a')) && self.map.all(k, self.map[k] > 1)",
        "self.map.exists(k, v, k == 'a' && v == 1)",
        "has(self.inner) && has(self.inner.x)",
        "self.?inner.?x.orValue(1) == 1",
        "self.ios == 1 || self.ios == 'a'",
        "type(self.ios) == int ? self.ios > 1 : true",
        "self.time > timestamp('2026-01-01T00:00:00Z') + duration('1h')",
        "self.s.matches('^a+$') && self.s in ['a', 'b']",
        "self.inner == oldSelf.inner",
        "self.list.map(x, size(x)).sum() > 1 && self.list.isSorted()",
        "self.s.find('[0-9]+').lowerAscii() == '' && self.list.join(',') != ''",
        "url(self.s).getHost() == 'a' && quantity('1Gi').isGreaterThan(quantity('1Mi'))",
        "self.list.transformList(i, v, i)[0] == 0",
        "optional.of(self.s).hasValue()",
        "format.dns1123Label().validate(self.s) == optional.none()",
    ],
)
def test_what_compiles(text: str) -> None:
    assert compiled(text).error == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("self.missing == 1", "1:5: undefined field 'missing'"),
        ("self.inner.y == 1", "1:11: undefined field 'y'"),
        ("self.open.y == 1", "1:10: undefined field 'y'"),
        ("self.s == 1", "1:8: found no matching overload for '_==_' applied to '(string, int)'"),
        ("self.i + 'a' == ''", "1:8: found no matching overload for '_+_' applied to '(int, string)'"),
        ("self.list.all(x, x > 1)", "1:20: found no matching overload for '_>_' applied to '(string, int)'"),
        ("self.map['a'].b", "1:14: type 'int' does not support field selection"),
        ("self.s.nothing()", "1:15: undeclared reference to 'nothing' (in container '')"),
        ("nothing(self)", "1:8: undeclared reference to 'nothing' (in container '')"),
        ("cel.bind(n, self.i, n > 1)", "1:1: undeclared reference to 'cel' (in container '')"),
        ("other == 1", "1:1: undeclared reference to 'other' (in container '')"),
        ("self.b ? 1 : 'a'", "1:8: found no matching overload for '_?_:_' applied to '(bool, int, string)'"),
        (
            "self.b &&",
            (
                "1:10: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true',"
                " 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
            ),
        ),
        ("has(self)", "1:5: invalid argument to has() macro"),
        ("self.list.all(1, true)", "1:15: argument must be a simple name"),
        ("self.list.map(1, x) == []", "1:15: argument is not an identifier"),
        ("[1, 'a'] == []", "1:5: expected type 'int' but found 'string'"),
        ("self.s.matches('(')", "1:16: invalid matches argument"),
        ("timestamp('soon') == self.time", "1:11: invalid timestamp argument"),
        (
            "self.time == '2026-01-01T00:00:00Z'",
            "1:11: found no matching overload for '_==_' applied to '(timestamp, string)'",
        ),
    ],
)
def test_what_does_not_compile(text: str, told: str) -> None:
    assert first_line(compiled(text).error) == told


def test_a_rule_says_yes_or_no() -> None:
    assert compiled("self.s").error == "cel expression must evaluate to a bool"


def test_which_rules_read_the_old_value() -> None:
    assert compiled("self == oldSelf").uses_old
    assert not compiled("self.s == 'oldSelf'").uses_old
    assert compiled("oldSelf.hasValue()", optional=True).error == ""
    assert "undeclared reference" not in compiled("oldSelf.hasValue()").error
    assert compiled("oldSelf.hasValue()").error != ""


def test_messages_are_texts() -> None:
    assert compiled("self.b", "'a' + self.s").message is not None
    assert compiled("self.b", "self.i").message_error == "messageExpression must evaluate to a string"
    assert compiled("self.b", "self.y").message_error.startswith(
        "messageExpression compilation failed: ERROR: <input>:1:5"
    )


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("true", 0),
        ("self.b", 2),
        ("self.i > 1", 3),
        ("self.s == 'a'", 3),
        ("self.long == self.long", 314_577),
        ("self.list.all(x, x == 'a')", 28),
        ("self.list.all(x, self.list.all(y, x == y))", 258),
        ("self.map.all(k, self.map[k] > 1)", 43),
        ("self.s.matches('^a+$')", 7),
        ("self.long.contains('a')", 314_575),
        ("self.list.map(x, x + 'a').join(',') == ''", 1_844_674_407_370_955_367),
        ("self.b ? self.long.contains('a') : true", 314_577),
        ("self == oldSelf", 2),
    ],
)
def test_what_a_rule_costs_at_most(text: str, cost: int) -> None:
    assert compiled(text).cost == cost


def test_bounds_make_rules_cheap() -> None:
    rule = "self.all(x, self.all(y, x == y))"

    def cost(schema: Object) -> int:
        root = rules.declaration(schema, resource=False)
        assert root is not None
        return rules.compile_rule({"rule": rule}, schema, root).cost

    unbound = {"type": "array", "items": {"type": "string"}}
    half = {**unbound, "maxItems": 10}
    bound = {**half, "items": STRING}
    assert cost(unbound) > 100 * cost(half) > 10_000 * cost(bound)
