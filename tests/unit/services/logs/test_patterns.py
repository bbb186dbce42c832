"""Filter patterns: what each form matches, what is no pattern, and that none of them can be made slow."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.services.logs.patterns import BadPattern, compile_pattern
from ropewalk.services.logs.patterns.expressions import BadExpression, compile_expression


def matches(pattern: str, message: str) -> bool:
    compiled = compile_pattern(pattern)
    return compiled is None or compiled(message)


@pytest.mark.parametrize(
    ("pattern", "message", "expected"),
    [
        ("", "anything", True),
        ("  ", "anything", True),
        ("ERROR", "[ERROR 400] BAD REQUEST", True),
        ("ERROR", "error", False),
        ("ERROR ARGUMENTS", "ERROR: too many ARGUMENTS", True),
        ("ERROR ARGUMENTS", "ERROR", False),
        ('"INTERNAL SERVER ERROR"', "[500] INTERNAL SERVER ERROR", True),
        ('"INTERNAL SERVER ERROR"', "INTERNAL ERROR SERVER", False),
        (r'"say \"hi\""', 'they say "hi" twice', True),
        ("ERROR -ARGUMENTS", "ERROR here", True),
        ("ERROR -ARGUMENTS", "ERROR ARGUMENTS", False),
        ("-debug", "info", True),
        ("-debug", "debug", False),
        ("?ERROR ?WARN", "WARN", True),
        ("?ERROR ?WARN", "INFO", False),
        ("?ERROR ARGUMENTS", "ARGUMENTS", True),
        ('ERROR -"bad request"', "ERROR bad request", False),
        ("%AUTHORIZED%", "[ERROR 401] UNAUTHORIZED REQUEST", True),
        ("%^10\\.10\\.0\\.[0-9]+$%", "10.10.0.12", True),
        ("-%5[0-9]{2}%", "status 503", False),
        # fields
        ("[ip, id, user, timestamp, request, status_code, size]",
         '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /x HTTP/1.0" 200 1534', True),
        ("[ip, id, user, timestamp, request = *index*, status_code = 4*, size > 1000]",
         '127.0.0.1 - frank [10/Oct/2000] "GET /index.html HTTP/1.0" 404 1534', True),
        ("[ip, id, user, timestamp, request = *index*, status_code = 4*, size > 2000]",
         '127.0.0.1 - frank [10/Oct/2000] "GET /index.html HTTP/1.0" 404 1534', False),
        ("[..., status = 404, bytes]", "a b c 404 12", True),
        ("[..., status = 404, bytes]", "a b c 200 12", False),
        ("[ip, ...]", "1.2.3.4", True),
        ("[ip = 1.*, ..., last = z]", "1.2 b c z", True),
        ("[...]", "", True),
        ("[w1 = ERROR || w1 = WARN, w2]", "WARN disk", True),
        ("[w1 != ERROR && w1 != WARN, w2]", "WARN disk", False),
        ("[(w1 = a || w1 = b) && w1 != b, w2]", "b x", False),
        ("[w1, w2]", "one two three", False),
        ("[w1, , w3 = c]", "a b c", True),
        ("[a = %^x+$%]", "xxx", True),
        ("[n = 1e3]", "1000", True),
        ("[n != 5]", "5.0", False),
        ("[n >= 5]", "x", False),
        # JSON
        ('{ $.eventType = "UpdateTrail" }', '{"eventType": "UpdateTrail"}', True),
        ('{ $.eventType = "UpdateTrail" }', '{"eventType": "Other"}', False),
        ('{ $.eventType = "UpdateTrail" }', "no JSON", False),
        ('{ $.eventType = "UpdateTrail" }', '{"eventType": "Upd', False),
        ("{ $.ip != 123.123.* }", '{"ip": "10.0.0.1"}', True),
        ("{ $.ip != 123.123.* }", "{}", False),
        ("{ $.n > 4 && $.n <= 5.5 }", '{"n": 5}', True),
        ("{ $.n > 4 }", '{"n": "5"}', False),
        ("{ $.n = 404 }", '{"n": 404}', True),
        ("{ $.n = 404 }", '{"n": 404.0}', True),
        ("{ $.n = 4.04e2 }", '{"n": 404}', True),
        ('{ $.n = "404" }', '{"n": 404}', True),
        ("{ $.a[0].b = x }", '{"a": [{"b": "x"}]}', True),
        ("{ $.a[1].b = x }", '{"a": [{"b": "x"}]}', False),
        ("{ $.a[*].b = x }", '{"a": [{"b": "y"}, {"b": "x"}]}', True),
        ('{ $.["a.b"] = x }', '{"a.b": "x"}', True),
        ("{ $['a b'].c = x }", '{"a b": {"c": "x"}}', True),
        ("{ $.e IS NULL }", '{"e": null}', True),
        ("{ $.e IS NULL }", "{}", False),
        ("{ $.e IS TRUE }", '{"e": true}', True),
        ("{ $.e is false }", '{"e": true}', False),
        ("{ $.e NOT EXISTS }", "{}", True),
        ("{ $.e NOT EXISTS }", '{"e": null}', False),
        ("{ $.e EXISTS }", '{"e": null}', True),
        ("{ $.e = true }", '{"e": true}', True),
        ("{ ($.a = 1 || $.b = 2) && $.c = 3 }", '{"b": 2, "c": 3}', True),
        ("{ $.a = 1 || $.b = 2 && $.c = 3 }", '{"a": 1}', True),
        ("{ $.m = %^(x)% }", "{}", None),
        ('{ $.m = %^er+or$% }', '{"m": "errror"}', True),
        ('{ $.m = "*disk*" }', '{"m": "the disk is full"}', True),
        ("{ $.m = * }", '{"m": "x"}', True),
        ("{ $.m = x }", '{"m": {"deep": 1}}', False),
    ],
)  # fmt: skip
def test_what_matches(pattern: str, message: str, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(BadPattern):
            compile_pattern(pattern)
    else:
        assert matches(pattern, message) is expected


@pytest.mark.parametrize(
    "pattern",
    ["a:b", "-", "?", '"open', "%open", "%(a)%", "%a%%b%%c%", "[a", "[a,...,b,...]", "[a] b", "[a = ]", "[=x]",
     "[a > x]", "{", "{}", "{ $ = 1 }", "{ $.a }", "{ $.a = }", "{ $.a > x }", "{ $.a IS MAYBE }", "{ $.a NOT }",
     "{ $.a[x] = 1 }", "{ $.a = 1 } x", "{ a = 1 }", "{ ($.a = 1 }", "{ $.a > %x% }", "%a{2,1}%", "%[a%", "%[z-a]%",
     "%\\q%", "%" + "a" * 600 + "%", "{" + "(" * 500 + "$.a = 1" + ")" * 500 + "}",
     "[" + "(" * 500 + "a = 1" + ")" * 500 + "]"],
)  # fmt: skip
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(BadPattern, match="Invalid filter pattern"):
        compile_pattern(pattern)


@given(st.text(st.sampled_from('ab01 $.[]{}()"%=<>!&|*,?-ISNULOTEX'), max_size=40), st.text(max_size=30))
def test_any_text_is_a_pattern_or_bad(pattern: str, message: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except BadPattern:
        return
    if compiled is not None:
        compiled(message)


_ATOMS = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", "[a-c]", r"\d", r"\w", r"\.", "-"])
_QUANTIFIERS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,}", "{0,2}"])
_BRANCHES = st.tuples(
    st.sampled_from(["", "", "^"]),
    st.lists(st.tuples(_ATOMS, _QUANTIFIERS).map("".join), max_size=5).map("".join),
    st.sampled_from(["", "", "$"]),
).map("".join)


@given(
    st.lists(_BRANCHES, min_size=1, max_size=3).map("|".join).filter(bool),
    st.text(st.sampled_from("abc1.-"), max_size=12),
)
def test_expressions_agree_with_pythons(expression: str, text: str) -> None:
    expected = re.search(expression.replace("$", r"\Z"), text) is not None
    assert compile_expression(expression).search(text) is expected


def test_no_expression_takes_long() -> None:
    """With backtracking, this would not end in the age of the universe."""
    assert not compile_expression("a*" * 100 + "b").search("a" * 20_000)
    with pytest.raises(BadExpression):
        compile_expression("[ab]{999}" * 20)
