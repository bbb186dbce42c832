"""Warnings become one header, whatever their text holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ropewalk.base.http.messages import Response
from ropewalk.base.http.wire import response_head
from ropewalk.kube.machinery.http.answers import add_warnings


def header(*texts: str) -> str:
    """As a client reads it that takes headers for UTF-8."""
    response = Response(200, {}, b"")
    add_warnings(response, texts)
    head = response_head(200, response.headers, "").decode()
    return head.partition("warning: ")[2].partition("\r\n")[0]


def test_each_text_once_and_quoted() -> None:
    assert header("a", 'say "b\\c"', "a") == r'299 - "a", 299 - "say \"b\\c\""'
    assert header() == ""


def test_text_of_any_script() -> None:
    assert header('unknown field "größe 𪰮"') == r'299 - "unknown field \"größe 𪰮\""'


@given(st.lists(st.text(st.characters(codec=None, categories=None)), max_size=4))
def test_no_text_breaks_the_head(texts: list[str]) -> None:
    assert "\n" not in header(*texts)
