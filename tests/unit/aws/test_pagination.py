"""Pages: complete, in order, whatever happens between them; foreign tokens refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.aws.pagination import Paging, page
from ropewalk.base.errors import Fault

PAGING = Paging(maximum=50, default=20)


def pages(items: set[str], size: int, question: object = ()) -> list[list[str]]:
    found, token = [], None
    while True:
        params = {"maxResults": size} | ({"nextToken": token} if token else {})
        chunk, token = page(items, params, PAGING, key=str, question=question)
        found.append(chunk)
        if token is None:
            return found


@given(st.sets(st.text(max_size=8), max_size=60), st.integers(1, 50))
def test_pages_together_are_the_list(items: set[str], size: int) -> None:
    found = pages(items, size)
    assert [item for chunk in found for item in chunk] == sorted(items)
    assert all(len(chunk) == size for chunk in found[:-1])


@given(st.sets(st.text(min_size=1, max_size=4), min_size=3, max_size=20), st.data())
def test_what_stays_is_seen_once_though_others_come_and_go(items: set[str], data: st.DataObject) -> None:
    first, token = page(items, {"maxResults": 2}, PAGING, key=str)
    gone = data.draw(st.sets(st.sampled_from(sorted(items))))
    new = data.draw(st.sets(st.text(min_size=5, max_size=6)))
    rest, _ = page((items - gone) | new, {"maxResults": 50, "nextToken": token}, PAGING, key=str)
    seen = [item for item in first + rest if item in items - gone]
    assert sorted(set(first) & gone | set(seen)) == sorted(set(first) | (items - gone))
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("size", [0, -1, 51])
def test_a_limit_out_of_bounds_is_refused(size: int) -> None:
    with pytest.raises(Fault, match="maxResults must be between 1 and 50"):
        page(["a"], {"maxResults": size}, PAGING, key=str)


@pytest.mark.parametrize("token", ["x", "é", "AAAA", "=" * 10, "A" * 5000, "bm90IG91cnMgYXQgYWxsLCByZWFsbHk="])
def test_a_token_that_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(Fault, match="Invalid token in nextToken") as caught:
        page(["a"], {"nextToken": token}, PAGING, key=str)
    assert caught.value.code == "InvalidParameterException"


def test_a_token_of_another_question_is_refused() -> None:
    _, token = page("abc", {"maxResults": 1}, PAGING, key=str, question=["ListTasks", {"cluster": "a"}])
    with pytest.raises(Fault, match="Invalid token"):
        page("abc", {"nextToken": token}, PAGING, key=str, question=["ListTasks", {"cluster": "b"}])


def test_names_and_codes_are_the_services() -> None:
    marker = Paging("Marker", "MaxItems", 1000, 100, code="ValidationError")
    chunk, token = page("abc", {"MaxItems": 2}, marker, key=str)
    assert chunk == ["a", "b"]
    assert page("abc", {"MaxItems": 2, "Marker": token}, marker, key=str) == (["c"], None)
