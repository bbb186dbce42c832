from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.machinery import quantities


@pytest.mark.parametrize(
    ("given_text", "printed"),
    [
        ("0", "0"), ("000", "0"), ("1000m", "1"), ("0.5", "500m"), ("1.5Gi", "1536Mi"), ("1024Mi", "1Gi"),
        ("100Ki", "100Ki"), ("1023", "1023"), ("1000", "1k"), ("1e3", "1e3"), ("1e4", "10e3"), ("12E6", "12E6"),
        ("0.1n", "1n"), ("1.500", "1.500"), ("-1000m", "-1"), ("0.5Ki", "512"), ("2048Ei", "9223372036854775807"),
        (".5", "500m"), ("5.", "5."), ("1.5", "1500m"), (" 1 ", "1"),
    ],
)  # fmt: skip
def test_the_canonical_text_is_gos(given_text: str, printed: str) -> None:
    assert quantities.canonical(given_text) == printed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", quantities.MESSAGE),
        ("a", quantities.MESSAGE),
        ("1 Gi", quantities.MESSAGE),
        ("1kk", "unable to parse quantity's suffix"),
        ("1K", "unable to parse quantity's suffix"),
        ("1" * 5000, "unable to parse numeric part of quantity"),
        ("1e99999999999", "unable to parse quantity's suffix"),
    ],
)
def test_what_is_no_quantity(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        quantities.parse(text)
    assert str(caught.value) == message


def test_numbers_of_json_are_quantities() -> None:
    assert quantities.canonical(1500) == "1500"
    assert quantities.canonical(0.5) == "500m"
    assert quantities.parse(1e21) == Decimal(10**21)
    assert quantities.milli(Decimal("0.0005")) == 1


def test_rounding_goes_up() -> None:
    assert (quantities.milli("1n"), quantities.whole("1m"), quantities.whole("1001m")) == (1, 1, 2)
    assert quantities.whole("100E") == 2**63 - 1


def test_sums_keep_the_way_of_writing() -> None:
    assert quantities.add("1Gi", "1024Mi") == "2Gi"
    assert quantities.add("0", "512Mi") == "512Mi"
    assert quantities.subtract("1", "100m") == "900m"
    assert (quantities.compare("1Gi", "1G"), quantities.compare("1", "1000m"), quantities.compare("0", "1n")) == (
        1,
        0,
        -1,
    )


_NUMBERS = st.decimals(min_value=-(10**9), max_value=10**9, places=9, allow_nan=False)


@given(_NUMBERS, st.sampled_from(["", "n", "u", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "e-3"]))
def test_the_canonical_text_is_the_same_amount_and_stays(number: Decimal, suffix: str) -> None:
    text = f"{number:f}{suffix}"
    printed = quantities.canonical(text)
    assert quantities.parse(printed) == quantities.parse(text)
    assert quantities.canonical(printed) == printed


@given(_NUMBERS, _NUMBERS)
def test_adding_is_exact(left: Decimal, right: Decimal) -> None:
    total = quantities.add(f"{left:f}", f"{right:f}")
    assert quantities.parse(total) == left + right
    assert quantities.compare(total, left) == (right > 0) - (right < 0)
