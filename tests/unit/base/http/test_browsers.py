"""Attacks that a web page can make through its visitor's browser, each as a browser would send it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.aws.front import FrontSettings
from ropewalk.base.errors import Fault
from ropewalk.base.http.browsers import HostRules, host_allowed, keep_browsers_out
from ropewalk.base.http.messages import Peer, Request
from unit.aws.fronts import Bench

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
FORM = {"content-type": "application/x-www-form-urlencoded", "user-agent": FIREFOX, "authorization": None}
ACT = "Action=DescribeVpcs&Version=2016-11-15"
PRESIGNED = f"/?{ACT}&X-Amz-Credential=AKID%2F20261123%2Fus-east-1%2Fec2%2Faws4_request"


async def refused(bench: Bench, **request: Any) -> bool:
    """Whether it got 403, ran nothing, and learnt nothing that a page could read."""
    response = await bench.send(**request)
    assert not any(name.startswith("access-control") for name in response.headers)
    return response.status == 403 and bench.slice.seen == [] and bench.gate.asked == []


async def test_a_plain_form_post_from_another_origin() -> None:
    headers = {**FORM, "origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert await refused(Bench(), body=ACT, headers=headers)


async def test_a_form_post_from_a_page_of_the_file_system() -> None:
    assert await refused(Bench(), body=ACT, headers={**FORM, "origin": "null"})


async def test_a_form_post_of_a_page_on_another_local_port() -> None:
    headers = {**FORM, "origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-site"}
    assert await refused(Bench(), body=ACT, headers=headers)


async def test_an_image_whose_address_is_a_presigned_call() -> None:
    headers = {
        "user-agent": FIREFOX,
        "authorization": None,
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "no-cors",
    }
    assert await refused(Bench(), method="GET", target=PRESIGNED, headers=headers)


async def test_a_link_in_a_mail_that_is_a_presigned_call() -> None:
    headers = {"user-agent": FIREFOX, "authorization": None, "sec-fetch-site": "none", "sec-fetch-mode": "navigate"}
    assert await refused(Bench(), method="GET", target=PRESIGNED, headers=headers)


async def test_an_old_browser_that_sends_neither_origin_nor_marks() -> None:
    assert await refused(
        Bench(), method="GET", target=PRESIGNED, headers={"user-agent": FIREFOX, "authorization": None}
    )
    assert await refused(Bench(), body=ACT, headers={**FORM, "user-agent": "old", "referer": "http://evil.example/"})


async def test_a_fetch_with_credentials_and_its_preflight() -> None:
    preflight = {
        "origin": "https://evil.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-amz-target,authorization",
        "authorization": None,
    }
    assert await refused(Bench(), method="OPTIONS", headers=preflight)


async def test_dns_rebinding_shows_the_attackers_name_in_host() -> None:
    for host in ("evil.example:4566", "evil.example", "127.0.0.1.evil.example:4566", "localhost.evil.example", ""):
        headers = {"host": host, "content-type": "application/x-www-form-urlencoded"}
        assert await refused(Bench(), body=ACT, headers=headers, service="ec2"), host


async def test_what_programs_send_passes() -> None:
    for host in ("127.0.0.1:4566", "localhost:4566", "[::1]:4566", "127.1.2.3", "s3.localhost:4566", "LOCALHOST:4566"):
        bench = Bench()
        headers = {"host": host, "content-type": "application/x-www-form-urlencoded", "user-agent": "Boto3/1.44"}
        response = await bench.send(ACT, headers=headers, service="ec2")
        assert response.status == 200, host


async def test_configured_names_ports_and_origins() -> None:
    rules = HostRules(
        frozenset({"ropewalk.lab", "172.31.0.1"}), frozenset({4566, 80}), frozenset({"http://127.0.0.1:4567"})
    )
    bench = Bench(settings=FrontSettings("us-east-1", "123456789012", hosts=rules))
    form = {"content-type": "application/x-www-form-urlencoded"}
    allowed = {**form, "host": "ropewalk.lab:4566", "origin": "http://127.0.0.1:4567", "sec-fetch-site": "same-site"}
    assert (await bench.send(ACT, headers=allowed, service="ec2")).status == 200
    assert host_allowed("172.31.0.1", rules)
    assert not host_allowed("ropewalk.lab:4567", rules)
    assert not host_allowed("127.0.0.1:9999", rules)


@pytest.mark.parametrize(
    "host", ["[::1", "127.0.0.1:", "127.0.0.1:x", "a:1:2", "127.0.0.1:4566@evil", "localhost,evil"]
)
def test_what_is_no_host_is_no_name_of_ours(host: str) -> None:
    assert not host_allowed(host, HostRules())


@given(st.text(max_size=40))
def test_any_text_is_judged_without_failing(host: str) -> None:
    assert host_allowed(host, HostRules()) in (True, False)


@pytest.mark.parametrize(
    ("origin", "rules", "allowed"),
    [
        ("https://127.0.0.1:6443", HostRules(own_origin=True), True),
        ("https://127.0.0.1:6443", HostRules(), False),
        ("https://127.0.0.1:6444", HostRules(own_origin=True), False),
        ("http://127.0.0.1:6443", HostRules(own_origin=True), False),
        ("https://evil.example", HostRules(own_origin=True), False),
        ("null", HostRules(own_origin=True), False),
    ],
)
def test_our_own_origin_where_it_may_call(origin: str, rules: HostRules, allowed: bool) -> None:
    """The official Kubernetes client for Python names it when it opens a WebSocket."""
    headers = {"host": "127.0.0.1:6443", "origin": origin}
    request = Request("GET", "/", "/", "", headers, b"", Peer("127.0.0.1"))
    if allowed:
        keep_browsers_out(request, rules)
        return
    with pytest.raises(Fault, match="other origins"):
        keep_browsers_out(request, rules)


def test_a_rebound_name_is_no_origin_of_ours() -> None:
    headers = {"host": "evil.example:6443", "origin": "https://evil.example:6443"}
    with pytest.raises(Fault, match="not a name of this endpoint"):
        keep_browsers_out(Request("GET", "/", "/", "", headers, b"", Peer("127.0.0.1")), HostRules(own_origin=True))
