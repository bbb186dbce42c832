import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.machinery import selectors
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.selectors import parse_field_selector, parse_label_selector


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        ("b=1,a=2", "a=2,b=1"),
        ("a==b", "a==b"),
        (" a in ( c , b ) ", "a in (b,c)"),
        ("a in ()", "a in ()"),
        ("a in (,b)", "a in (,b)"),
        ("a notin (b),!c,d", "a notin (b),!c,d"),
        ("a>1,b<2", "a>1,b<2"),
        ("in in (in)", "in in (in)"),
        ("a=", "a="),
    ],
)
def test_the_canonical_text(text: str, canonical: str) -> None:
    assert str(parse_label_selector(text)) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,", "found '', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a=(", "unable to parse requirement: found '(', expected: identifier"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        (
            "a>b",
            "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must"
            " be an integer",
        ),
    ],
)
def test_what_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(StatusFault) as caught:
        parse_label_selector(text)
    assert (caught.value.reason, caught.value.message) == ("BadRequest", message)


@pytest.mark.parametrize("text", ["a/b/c=1", "a=b!c", "ä=1", "a in (b_)", "-a"])
def test_keys_and_values_must_be_those_of_labels(text: str) -> None:
    with pytest.raises(StatusFault):
        parse_label_selector(text)


LABELS = {"app": "web", "tier": "", "weight": "10"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True), ("app=web", True), ("app==db", False), ("app!=db", True), ("gone!=x", True), ("gone=", False),
        ("tier=", True), ("app in (db,web)", True), ("app notin (web)", False), ("gone notin (web)", True),
        ("app", True), ("gone", False), ("!gone", True), ("!app", False), ("weight>9", True), ("weight<10", False),
        ("app>1", False), ("gone<1", False), ("app=web,app=db", False), ("app=web,weight>9,!gone", True),
    ],
)  # fmt: skip
def test_matching(text: str, matches: bool) -> None:
    assert parse_label_selector(text).matches(LABELS) is matches


def test_selectors_of_objects() -> None:
    assert not selectors.label_selector_of(None).matches({})
    assert selectors.label_selector_of({}).matches({"a": "b"})
    given_object = {
        "matchLabels": {"b": "1"},
        "matchExpressions": [
            {"key": "a", "operator": "In", "values": ["y", "x"]},
            {"key": "c", "operator": "DoesNotExist"},
        ],
    }
    assert str(selectors.label_selector_of(given_object)) == "a in (x,y),b=1,!c"


@pytest.mark.parametrize(
    "given_object",
    [
        {"matchExpressions": [{"key": "a", "operator": "Near"}]},
        {"matchExpressions": [{"key": "a", "operator": "In"}]},
        {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]},
        {"matchLabels": {"a": "!"}},
        {"matchLabels": {"": "x"}},
    ],
)
def test_invalid_objects_are_refused_by_both_ways(given_object: selectors.Object) -> None:
    with pytest.raises(ValueError):
        selectors.label_selector_of(given_object)
    found = FieldErrors()
    selectors.validate_label_selector(given_object, ROOT / "spec" / "selector", found)
    assert found


@pytest.mark.parametrize(
    ("text", "requirements"),
    [
        ("", ()),
        ("b=1,a!=2", (("a", "!=", "2"), ("b", "=", "1"))),
        ("a==x", (("a", "=", "x"),)),
        (r"a=x\,y\=z\\", (("a", "=", "x,y=z\\"),)),
        ("a=", (("a", "=", ""),)),
    ],
)
def test_field_selectors(text: str, requirements: tuple[tuple[str, str, str], ...]) -> None:
    assert parse_field_selector(text).requirements == requirements


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        (r"a=\x", r"invalid field selector: invalid escape sequence: \x"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_field_selectors_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(StatusFault) as caught:
        parse_field_selector(text)
    assert caught.value.message == message


def test_absent_fields_are_empty() -> None:
    assert parse_field_selector("a=").matches({})
    assert not parse_field_selector("a!=").matches({})
    assert parse_field_selector("a!=x,b=y").matches({"b": "y"})


_WORDS = st.sampled_from(["a", "b", "in", "notin", "=", "==", "!=", "!", ">", "<", "(", ")", ",", "5", "x/y", "-", " "])


@given(st.lists(_WORDS, max_size=9).map(" ".join))
def test_any_text_is_read_or_refused_and_its_canonical_text_is_stable(text: str) -> None:
    try:
        found = parse_label_selector(text)
    except StatusFault as fault:
        assert fault.status == 400
    else:
        assert parse_label_selector(str(found)) == found


@given(st.text(alphabet="a=!,\\z", max_size=12))
def test_any_field_selector_is_read_or_refused(text: str) -> None:
    try:
        found = parse_field_selector(text)
    except StatusFault as fault:
        assert fault.status == 400
    else:
        assert parse_field_selector(str(found)).matches({}) is found.matches({})
