"""Expressions and their values: the standard, the extensions, Kubernetes' own functions; and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.machinery.access import Decision, Verdict
from ropewalk.kube.machinery.cel.authorization import AuthorizerValue, Checks
from ropewalk.kube.machinery.cel.environment import (
    PER_CALL_LIMIT,
    Budget,
    CompileError,
    Environment,
    evaluate,
)
from ropewalk.kube.machinery.cel.evaluator import unescaped
from ropewalk.kube.machinery.cel.values import CostExceeded, EvaluationError, equal
from ropewalk.kube.machinery.requests import Attributes, User

ENVIRONMENT = Environment({"object": "dyn", "n": "int"}, messages=("JSONPatch", "Object"))
OBJECT = {
    "spec": {"replicas": 3, "containers": [{"name": "a", "image": "r/i:1"}, {"name": "b"}]},
    "list": [1, 2, 3],
    "map": {"x": 1, "yy": 2},
    "name": "abc",
    "nothing": None,
}


def value(text: str, **names: Any) -> Any:
    return ENVIRONMENT.compile(text).evaluate({"object": OBJECT, "n": 7, **names})


@pytest.mark.parametrize(
    "text",
    [
        "object.spec.replicas <= 5 && object.spec.replicas > 2.5",
        "has(object.spec.replicas) && !has(object.spec.paused)",
        "object.spec.containers.all(c, c.name != '')",
        "object.spec.containers.exists(c, c.image.startsWith('r/'))",  # the second has no image: unimportant
        "!object.spec.containers.all(c, c.name == 'z' && c.image == 'x')",
        "object.spec.containers.exists_one(c, has(c.image))",
        "object.list.map(x, x * 2) == [2, 4, 6]",
        "object.list.map(x, x > 1, x * 2) == [4, 6]",
        "object.list.filter(x, x > 1) == [2, 3]",
        "object.map.all(k, v, k.size() == v)",
        "object.list.exists(i, v, i == 2 && v == 3)",
        "object.list.transformList(i, v, i > 0, v * 10) == [20, 30]",
        "object.map.transformMap(k, v, v + 1) == {'x': 2, 'yy': 3}",
        "object.map.transformMapEntry(k, v, {v: k}) == {1: 'x', 2: 'yy'}",
        "1 in object.list && 'x' in object.map && !('z' in object.map)",
        "object.?spec.?paused.orValue(false) == false",
        "object.?spec.replicas.orValue(0) == 3 && object.list[?9].hasValue() == false",
        "object.?name.optMap(v, v + '!').orValue('') == 'abc!'",
        "type(n) == int && type(object.name) == string && object.nothing == null",
        "-7 / 2 == -3 && -7 % 2 == -1 && 7u + 1u == 8u",
        "string(1) + string(true) + string(1.5) == '1true1.5' && int('12') == 12",
        "size('héllo') == 5 && size(b'\\xc3\\xa9') == 2",
        "'abc'.matches('^a.c$') && 'abcabc'.find('b.') == 'bc' && 'abcabc'.findAll('b.', 1) == ['bc']",
        "duration('1h30m').getMinutes() == 90 && duration('90s') == duration('1m30s')",
        "timestamp('2024-02-29T01:02:03.5Z').getDayOfMonth() == 28",
        "timestamp('2024-01-01T00:00:00Z').getHours('+09:00') == 9",
        "timestamp('2024-01-01T00:00:00Z') + duration('1s') < timestamp('2024-01-01T00:00:02Z')",
        "'a,b,c'.split(',', 2) == ['a', 'b,c'] && ['a', 'b'].join('-') == 'a-b'",
        "'Abc'.lowerAscii() == 'abc' && '  x '.trim() == 'x' && 'abc'.substring(1, 2) == 'b'",
        "'hello'.replace('l', 'L', 1) == 'heLlo' && 'hello'.indexOf('l') == 2 && 'hello'.lastIndexOf('l') == 3",
        "'%s has %d of %.1f %x'.format([object.name, 3, 1.25, 255]) == 'abc has 3 of 1.2 ff'",
        "[3, 1].min() == 1 && [3, 1].max() == 3 && [1, 2].sum() == 3 && ['a', 'b'].isSorted()",
        "[1, 2, 1].indexOf(1) == 0 && [1, 2, 1].lastIndexOf(1) == 2 && [1, 1].distinct() == [1]",
        "[[1], [2, 3]].flatten() == [1, 2, 3] && [2, 1].sort() == [1, 2] && [1, 2].sortBy(x, -x) == [2, 1]",
        "sets.contains([1, 2], [2]) && sets.equivalent([1, 2], [2, 1, 1]) && !sets.intersects([1], [2])",
        "quantity('1.5Gi').isGreaterThan(quantity('1G')) && quantity('50k').add(20).asInteger() == 50020",
        "isQuantity('10Mi') && !isQuantity('ten') && quantity('-1').sign() == -1",
        "quantity('1000m') == quantity('1') && quantity('2').compareTo(quantity('1')) == 1",
        "url('https://u@h.io:80/a%20b?x=1&x=2').getHost() == 'h.io:80'",
        "url('https://[::1]:80/p').getHostname() == '::1' && url('/only/path').getScheme() == ''",
        "url('https://h/?x=1&x=2').getQuery()['x'] == ['1', '2'] && !isURL('no url') && isURL('https://h')",
        "cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))",
        "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && string(cidr('10.9.0.0/8').masked()) == '10.0.0.0/8'",
        "ip('::1').family() == 6 && ip('127.0.0.1').isLoopback() && !ip.isCanonical('0:0::1')",
        "!isIP('1.2.3') && !isIP('::ffff:1.2.3.4') && isCIDR('::/0') && !isCIDR('10.0.0.0/33')",
        "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('1.0.0-a.2').isLessThan(semver('1.0.0-a.10'))",
        "isSemver('v1.0', true) && !isSemver('v1.0') && semver('v01.2', true).minor() == 2",
        "!format.dns1123Label().validate('ok').hasValue() && format.dns1123Label().validate('No').hasValue()",
        "format.named('uri').value().validate('nope').hasValue() && !format.named('zzz').hasValue()",
        "jsonpatch.escapeKey('a/b~c') == 'a~1b~0c'",
        "n > 5 || 1 / 0 == 1",
        "1 / 0 == 1 || n > 5",
    ],
)
def test_is_true(text: str) -> None:
    assert value(text) is True


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("object.zoo == 1", "no such key: zoo"),
        ("1 / (n - 7) == 1", "division by zero"),
        ("9223372036854775807 + n == 0", "integer overflow"),
        ("object.list[9] == 1", "index out of bounds: 9"),
        ("object.name > 1", "no such overload"),
        ("object.name.matches('(')", "error parsing regexp"),
        ("quantity('ten').sign() == 1", "quantities must match the regular expression"),
        ("object.?zoo.value() == 1", "optional.none() dereference"),
        ("'abc'.substring(2, 9) == ''", "index out of range: 9"),
        ("duration('soon') == duration('1s')", "type conversion error from 'string' to 'google.protobuf.Duration'"),
        ("int(object.name) == 1", "type conversion error from 'string' to 'int'"),
        ("object.zoo == 1 && object.zebra == 2", "no such key: zoo"),
        ("object.spec.containers.all(c, c.image != '')", "no such key: image"),
    ],
)
def test_has_no_value(text: str, problem: str) -> None:
    with pytest.raises(EvaluationError, match=problem.replace("(", r"\(").replace(")", r"\)")):
        value(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "object.x + foo",
            "compilation failed: ERROR: <input>:1:12: undeclared reference to 'foo' (in container '')\n"
            " | object.x + foo\n | ...........^",
        ),
        (
            "[JSONPatch{op: foo}]",
            "compilation failed: ERROR: <input>:1:16: undeclared reference to 'foo' (in container '')\n"
            " | [JSONPatch{op: foo}]\n | ...............^",
        ),
        ("n.foo(", "compilation failed: ERROR: <input>:1:7: Syntax error: mismatched input '<EOF>'"),
        ("n == 'a'", "compilation failed: ERROR: <input>:1:3: found no matching overload for '_==_'"),
        ("quantity(n).sign() == 1", "found no matching overload for 'quantity' applied to '(int)'"),
        ("[Other{a: 1}]", "undeclared reference to 'Other'"),
        ("n", "must evaluate to bool"),
        ("object.flag", "must evaluate to bool"),
    ],
)
def test_does_not_compile(text: str, problem: str) -> None:
    with pytest.raises(CompileError) as error:
        ENVIRONMENT.compile(text, ("bool",))
    assert problem in str(error.value)


def test_messages_keep_their_names() -> None:
    built = value("Object{spec: Object.spec{replicas: 1, ?paused: optional.none()}}")
    assert built == {"spec": {"replicas": 1}}
    assert (built.type_name, built["spec"].type_name) == ("Object", "Object.spec")


@pytest.mark.parametrize(
    "text",
    [
        "lists.range(200).all(a, lists.range(200).all(b, lists.range(200).all(c, a + b + c >= 0)))",
        "lists.range(100000000).size() > 0",
        "object.list.map(a, lists.range(600).map(b, lists.range(600))).size() > 0",
    ],
)
def test_a_hostile_expression_is_stopped(text: str) -> None:
    with pytest.raises(CostExceeded):
        value(text)


def test_a_budget_is_shared_and_spent() -> None:
    program, budget = ENVIRONMENT.compile("lists.range(1000).all(x, x >= 0)"), Budget(20_000)
    program.evaluate({}, budget)
    assert 0 < budget.left < 20_000
    with pytest.raises(CostExceeded):
        for _ in range(20):
            program.evaluate({}, budget)
    assert budget.left == 0
    assert PER_CALL_LIMIT == 1_000_000


def test_variables_of_a_comprehension_end_with_it() -> None:
    assert value("object.list.map(n, n + 1).size() == 3 && n == 7") is True


async def test_an_authorizer_is_asked_once_for_each_question() -> None:
    class Authorizer:
        def __init__(self) -> None:
            self.asked: list[Attributes] = []

        async def authorize(self, attributes: Attributes) -> Decision:
            self.asked.append(attributes)
            return Decision(Verdict.ALLOW if attributes.name == "yes" else Verdict.DENY, "because")

    authorizer = Authorizer()
    checks = Checks(authorizer)
    known = Environment({"authorizer": "Authorizer"})
    asks = "authorizer.group('').resource('pods').namespace('x').name('%s').check('get')"
    program = known.compile(f"{asks % 'yes'}.allowed() && {asks % 'no'}.reason() == 'because'", ("bool",))
    names = {"authorizer": AuthorizerValue(User("u"), checks)}
    assert await evaluate(program, names, None, checks) is True
    assert await evaluate(program, names, None, checks) is True
    assert [(asked.name, asked.namespace, asked.verb) for asked in authorizer.asked] == [
        ("yes", "x", "get"),
        ("no", "x", "get"),
    ]
    program = known.compile("authorizer.serviceAccount('ns', 'sa').path('/healthz').check('get').allowed()")
    assert await evaluate(program, names, None, checks) is False
    assert authorizer.asked[-1].user.name == "system:serviceaccount:ns:sa"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("__if__", "if"),
        ("a__dot__b", "a.b"),
        ("a__dash__b__slash__c", "a-b/c"),
        ("x__underscores__y", "x__y"),
        ("a", "a"),
    ],
)
def test_escaped_names(written: str, meant: str) -> None:
    assert unescaped(written) == meant
    escaping = Environment({"self": "dyn"}, escaped=True)
    assert escaping.compile(f"self.{written} == 1").evaluate({"self": {meant: 1}}) is True


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(_JSON, _JSON)
def test_equality_is_symmetric_and_tells_bools_from_numbers(left: Any, right: Any) -> None:
    assert equal(left, left)
    assert equal(left, right) == equal(right, left)
    assert not equal(True, 1) and not equal(0, False) and equal(1, 1.0)


@given(st.text(max_size=40))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    try:
        ENVIRONMENT.compile(text)
    except CompileError as error:
        assert str(error).startswith("compilation failed: ")
