"""What the resolver answers by itself, what it forwards, and what it refuses."""

from __future__ import annotations

from dnslib import QTYPE, RR, A, DNSHeader, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.base.clock import VirtualClock
from ropewalk.network.resolver import TTL, Forwarder, Resolver, Zone

NAMES = {"ip-10-0-0-5.ec2.internal": ("10.0.0.5",), "db.corp.example": ("10.0.0.6", "10.0.0.7")}
NXDOMAIN, SERVFAIL, NOTIMP = 3, 2, 4


def resolver(
    forwarder: Forwarder | None = None, region: str = "us-east-1", names: dict[str, tuple[str, ...]] | None = None
) -> Resolver:
    zone = Zone(region, lambda: ("10.0.0.0/16",), lambda: NAMES if names is None else names)
    return Resolver(zone, forwarder or Forwarder((), VirtualClock()), ())


async def ask(subject: Resolver, name: str, kind: str = "A", stream: bool = False) -> DNSRecord:
    query = DNSRecord.question(name, kind)
    answer = await subject.answer(bytes(query.pack()), stream=stream)
    assert answer is not None
    parsed = DNSRecord.parse(answer)
    assert parsed.header.id == query.header.id
    assert parsed.header.qr == 1
    assert str(parsed.q.qname) == str(query.q.qname)
    return parsed


async def test_own_names_answer_with_every_address() -> None:
    answer = await ask(resolver(), "DB.corp.example.")
    assert [str(r.rdata) for r in answer.rr] == ["10.0.0.6", "10.0.0.7"]
    assert {r.ttl for r in answer.rr} == {TTL}
    assert answer.header.aa == 1


async def test_an_own_name_has_no_other_records() -> None:
    """No error and no answer: a client that asks for IPv6 first goes on to IPv4."""
    answer = await ask(resolver(), "ip-10-0-0-5.ec2.internal", "AAAA")
    assert (answer.header.rcode, answer.rr) == (0, [])


async def test_addresses_have_their_names_back() -> None:
    answer = await ask(resolver(), "5.0.0.10.in-addr.arpa", "PTR")
    assert [str(r.rdata) for r in answer.rr] == ["ip-10-0-0-5.ec2.internal."]
    assert (await ask(resolver(), "9.0.0.10.in-addr.arpa", "PTR")).header.rcode == NXDOMAIN
    assert (await ask(resolver(), "9.0.0.11.in-addr.arpa", "PTR")).header.rcode == SERVFAIL, "not ours to deny"
    assert (await ask(resolver(), "x.10.in-addr.arpa", "PTR")).header.rcode == SERVFAIL


async def test_the_regions_own_zone_is_never_asked_elsewhere() -> None:
    assert (await ask(resolver(), "nobody.ec2.internal")).header.rcode == NXDOMAIN
    assert (await ask(resolver(region="eu-west-1"), "nobody.eu-west-1.compute.internal")).header.rcode == NXDOMAIN
    assert (await ask(resolver(region="eu-west-1"), "nobody.ec2.internal")).header.rcode == SERVFAIL


async def test_without_an_upstream_others_fail_at_once() -> None:
    assert (await ask(resolver(), "example.com")).header.rcode == SERVFAIL


async def test_an_answer_too_long_for_a_datagram_says_so_and_fits_a_stream() -> None:
    names = {"many.ec2.internal": tuple(f"10.0.1.{n}" for n in range(100))}
    short = await ask(resolver(names=names), "many.ec2.internal")
    assert short.header.tc == 1
    assert len((await ask(resolver(names=names), "many.ec2.internal", stream=True)).rr) == 100


async def test_other_operations_are_not_implemented() -> None:
    query = DNSRecord(DNSHeader(opcode=4, id=9), q=DNSRecord.question("a.ec2.internal").q)
    answer = await resolver().answer(bytes(query.pack()))
    assert answer is not None
    assert DNSRecord.parse(answer).header.rcode == NOTIMP


@given(st.binary(max_size=100))
async def test_whatever_arrives_is_answered_or_dropped(wire: bytes) -> None:
    answer = await resolver().answer(wire)
    assert answer is None or answer[:2] == wire[:2]


async def test_an_answer_is_no_question() -> None:
    reply = DNSRecord.question("a.ec2.internal").reply()
    assert await resolver().answer(bytes(reply.pack())) is None


class Upstream(Forwarder):
    """A forwarder whose name server is a function."""

    def __init__(self, clock: VirtualClock, ttl: int = 30) -> None:
        super().__init__((("upstream", 53),), clock)
        self.asked = 0
        self._ttl = ttl

    async def _exchange(self, address: str, port: int, query: bytes, stream: bool) -> bytes:
        self.asked += 1
        parsed = DNSRecord.parse(query)
        reply = parsed.reply()
        reply.add_answer(RR(parsed.q.qname, QTYPE.A, ttl=self._ttl, rdata=A("203.0.113.5")))
        return bytes(reply.pack())


async def test_forwarded_answers_are_remembered_as_long_as_they_say() -> None:
    clock = VirtualClock()
    upstream = Upstream(clock)
    subject = resolver(upstream)
    for _ in range(3):
        answer = await ask(subject, "example.com")
        assert [str(r.rdata) for r in answer.rr] == ["203.0.113.5"]
    assert upstream.asked == 1
    await clock.advance(29)
    await ask(subject, "EXAMPLE.com")
    assert upstream.asked == 1
    await clock.advance(2)
    await ask(subject, "example.com")
    assert upstream.asked == 2


async def test_what_must_not_be_remembered_is_asked_again() -> None:
    upstream = Upstream(VirtualClock(), ttl=0)
    subject = resolver(upstream)
    await ask(subject, "example.com")
    await ask(subject, "example.com")
    assert upstream.asked == 2


async def test_the_memory_is_bounded() -> None:
    upstream = Upstream(VirtualClock())
    subject = resolver(upstream)
    for n in range(2100):
        await ask(subject, f"n{n}.example.com")
    await ask(subject, "n0.example.com")
    assert upstream.asked == 2101, "the oldest made room"
    await ask(subject, "n2099.example.com")
    assert upstream.asked == 2101
