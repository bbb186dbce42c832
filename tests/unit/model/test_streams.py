"""The framing of streams: whatever the pieces, the frames are the same; whatever the bytes, the end is clean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.model.streams import (
    MAX_PAYLOAD,
    WINDOW_BYTES,
    Exit,
    Frame,
    FrameKind,
    FrameReader,
    Opening,
    StreamBroken,
    Windows,
    encode,
    end_of,
    ended,
    ending,
    pieces,
    record,
    resize,
    size_of,
)

FRAMES = st.lists(st.builds(Frame, st.sampled_from(FrameKind), st.binary(max_size=200)), max_size=20)


@given(FRAMES, st.integers(1, 50))
def test_frames_survive_any_cutting(frames: list[Frame], size: int) -> None:
    data = b"".join(encode(frame) for frame in frames)
    reader = FrameReader()
    found = [frame for at in range(0, len(data), size) for frame in reader.feed(data[at : at + size])]
    assert found == frames


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_random_bytes_are_frames_or_a_clean_break(data: list[bytes]) -> None:
    reader = FrameReader()
    try:
        for piece in data:
            for frame in reader.feed(piece):
                assert len(frame.payload) <= MAX_PAYLOAD
                if frame.kind is FrameKind.RESIZE:
                    size_of(frame)
                elif frame.kind is FrameKind.END:
                    ended(frame)
                elif frame.kind is FrameKind.OPEN:
                    record(frame, Opening)
                elif frame.kind is FrameKind.EXIT:
                    record(frame, Exit)
                elif frame.kind is FrameKind.WINDOW:
                    Windows().granted(frame)
    except StreamBroken:
        pass


@pytest.mark.parametrize("head", [b"\x0b\x00\x00\x00", b"\x03\x01\x00\x01", b"\xff\xff\xff\xff"])
def test_an_impossible_head_breaks_at_once(head: bytes) -> None:
    """Before its payload has come: nobody waits for 16 MiB."""
    with pytest.raises(StreamBroken):
        FrameReader().feed(head)


def test_what_frames_say() -> None:
    assert size_of(resize(132, 43)) == (132, 43)
    assert size_of(resize(-1, 1 << 20)) == (0, 0xFFFF)
    assert ended(end_of(FrameKind.STDIN)) is FrameKind.STDIN
    assert record(ending(Exit(3, "why")), Exit) == Exit(3, "why")
    assert [len(p.payload) for p in pieces(FrameKind.PORT, b"x" * (MAX_PAYLOAD + 1))] == [MAX_PAYLOAD, 1]
    with pytest.raises(ValueError, match="at most"):
        encode(Frame(FrameKind.PORT, b"x" * (MAX_PAYLOAD + 1)))
    with pytest.raises(StreamBroken):
        record(Frame(FrameKind.OPEN, b'{"kind":"exec","workload":"w","unheard":1}'), Opening)


@given(st.lists(st.integers(1, WINDOW_BYTES), max_size=50))
def test_credit_is_neither_made_nor_lost(sizes: list[int]) -> None:
    """Sender and receiver agree about what may be under way, whatever is taken when."""
    sender, receiver = Windows(), Windows()
    taken = 0
    for size in sizes:
        part = min(size, sender.may_send)
        sender.sent(part)
        receiver.received(part)
        grant = receiver.taken(part)
        taken += part
        if grant is not None:
            sender.granted(grant)
        assert 0 < sender.may_send <= WINDOW_BYTES
    assert taken == sum(sizes) or any(size > WINDOW_BYTES // 2 for size in sizes)


def test_who_exceeds_the_window_or_grants_too_much_is_broken_off() -> None:
    windows = Windows()
    windows.received(WINDOW_BYTES)
    with pytest.raises(StreamBroken, match="beyond"):
        windows.received(1)
    with pytest.raises(StreamBroken, match="more than was sent"):
        Windows().granted(Frame(FrameKind.WINDOW, b"\0\0\0\1"))
