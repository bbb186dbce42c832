"""A busy port is named with its owner."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ropewalk.base.errors import Fault
from ropewalk.base.settings import Settings
from ropewalk.daemon import ports, start


@pytest.fixture
def busy() -> socket.socket:
    opened = socket.socket()
    opened.bind(("127.0.0.1", 0))
    return opened


def test_a_listener_is_named_by_program_and_pid(busy: socket.socket) -> None:
    port = busy.getsockname()[1]
    with busy:
        assert ports.owner(port) is None, "bound is not listening"
        busy.listen()
        name = Path("/proc/self/comm").read_text().strip()
        assert ports.owner(port) == f"{name} (pid {os.getpid()})"
    assert ports.owner(port) is None


def test_a_listener_on_ipv6_counts_too() -> None:
    with socket.socket(socket.AF_INET6) as opened:
        opened.bind(("::1", 0))
        opened.listen()
        assert f"(pid {os.getpid()})" in str(ports.owner(opened.getsockname()[1]))


def test_a_process_that_may_not_be_looked_into_is_another_users(
    busy: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "_processes", lambda: iter([Path("/proc/no-such-process")]))
    with busy:
        busy.listen()
        assert ports.owner(busy.getsockname()[1]) == "another user's process"


def test_up_refuses_a_busy_port_with_its_owner_and_a_way_out(busy: socket.socket, tmp_path: Path) -> None:
    port = busy.getsockname()[1]
    settings = Settings(home=tmp_path, port=port)
    start._require_port(settings)
    with busy:
        busy.listen()
        with pytest.raises(Fault, match=rf"Port {port} is taken by .*\(pid {os.getpid()}\).*--port"):
            start._require_port(settings)
