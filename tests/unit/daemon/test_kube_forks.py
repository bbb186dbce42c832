"""The nursery forks whoever asks rightly, outlives what goes wrong, and its children outlive it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ropewalk.base.settings import default_home
from ropewalk.cli import warm
from ropewalk.daemon import kube_forks
from ropewalk.daemon.processes import DetachedProcess, start_time

WITHIN = 20.0
PROGRAM = """
import os, signal, sys
from pathlib import Path
from ropewalk.daemon import kube_forks

kube_forks._PATIENCE = 0.2

def child(home):
    if "broken" in home:
        raise ValueError("this home is broken")
    Path(home, "born").write_text(f"{os.getsid(0)} {signal.getsignal(signal.SIGCHLD)!r}")
    if "brief" not in home:
        signal.pause()

def command(arguments):
    print("out", *arguments, os.environ.get("WORD"), Path.cwd())
    print("err", file=sys.stderr)
    if "broken" in arguments:
        raise ValueError("this command is broken")
    return len(arguments)

kube_forks.Nursery(kube_forks.listen(Path(sys.argv[1])), child, command).run()
"""


def eventually(path: Path) -> str:
    until = time.monotonic() + WITHIN
    while time.monotonic() < until:
        if path.exists() and (text := path.read_text()):
            return text
        os.sched_yield()
    raise AssertionError(f"{path} was not written")


def gone(pid: int) -> bool:
    """Ended, and taken away: not even a zombie is left."""
    until = time.monotonic() + WITHIN
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > until:
            return False
        os.sched_yield()
    return True


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rw-", dir="/tmp") as folder:  # a socket's path is short
        (Path(folder) / "run").mkdir()
        yield Path(folder)


@pytest.fixture
def nursery(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    path = kube_forks.socket_of(home)
    with running(path) as process:
        yield process


@contextmanager
def running(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PYTHONPATH": str(Path(kube_forks.__file__).parents[2])}
    with open(path.with_suffix(".log"), "wb") as log:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)], env=environment, stderr=log)
    try:
        until = time.monotonic() + WITHIN
        while not kube_forks.is_open(path.parents[1]) and time.monotonic() < until:
            assert process.poll() is None
            os.sched_yield()
        yield process
    finally:
        process.kill()
        process.wait()


def cluster(home: Path, name: str) -> tuple[DetachedProcess, Path]:
    folder = home / name
    folder.mkdir()
    return DetachedProcess("kube", folder / "run", folder / "log"), folder


def asked(home: Path, line: bytes) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(WITHIN)
        connection.connect(str(kube_forks.socket_of(home)))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        found: dict[str, object] = json.loads(connection.makefile().readline())
        return found


def test_a_child_is_a_process_like_any_other(home: Path, nursery: subprocess.Popen[bytes]) -> None:
    process, folder = cluster(home, "one")
    assert kube_forks.fork(home, process, folder)
    record = process.record()
    assert record is not None
    session, on_child = eventually(folder / "born").split(" ", 1)
    assert int(session) == record.pid != nursery.pid
    assert "SIG_DFL" in on_child, "it must be able to wait for processes of its own"
    process.stop()
    assert gone(record.pid)


def test_children_outlive_the_nursery(home: Path, nursery: subprocess.Popen[bytes]) -> None:
    process, folder = cluster(home, "one")
    assert kube_forks.fork(home, process, folder)
    eventually(folder / "born")
    nursery.send_signal(signal.SIGTERM)
    nursery.wait(WITHIN)
    assert process.record() is not None
    process.stop()


def test_no_zombie_stays(home: Path, nursery: subprocess.Popen[bytes]) -> None:
    process, folder = cluster(home, "brief")
    assert kube_forks.fork(home, process, folder)
    eventually(folder / "born")
    assert gone(json.loads(process.pid_file.read_bytes())["pid"])


def test_a_child_that_fails_says_why_and_harms_nobody(home: Path, nursery: subprocess.Popen[bytes]) -> None:
    process, folder = cluster(home, "broken")
    assert kube_forks.fork(home, process, folder)
    assert gone(json.loads(process.pid_file.read_bytes())["pid"])
    other, folder = cluster(home, "whole")
    assert kube_forks.fork(home, other, folder)
    eventually(folder / "born")
    other.stop()
    assert "ValueError: this home is broken" in kube_forks.socket_of(home).with_suffix(".log").read_text()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"", "one line of JSON"),
        (b"nonsense\n", "one line of JSON"),
        (b'{"home": 1}\n', "one line of JSON"),
        (b'{"home": "/x", "more": 1}\n', "one line of JSON"),
        (b'{"home": "x"}\n', "absolute path"),
        (b"x" * 10_000, "one line of JSON"),
    ],
)
def test_nonsense_is_refused(home: Path, nursery: subprocess.Popen[bytes], line: bytes, told: str) -> None:
    answer = asked(home, line)
    assert answer["pid"] == 0
    assert told in str(answer["refusal"])
    assert nursery.poll() is None


def test_whoever_says_nothing_holds_up_nobody_for_long(home: Path, nursery: subprocess.Popen[bytes]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.connect(str(kube_forks.socket_of(home)))
        process, folder = cluster(home, "one")
        assert kube_forks.fork(home, process, folder)
        eventually(folder / "born")
        process.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_other_users_are_refused(home: Path, nursery: subprocess.Popen[bytes]) -> None:
    path = kube_forks.socket_of(home)
    assert path.stat().st_mode & 0o777 == 0o600
    for place in (home, home / "run", path):
        place.chmod(0o777)
    program = f"""
import os, socket
os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
s.connect({str(path)!r})
s.sendall(b'{{"home": "/tmp"}}\\n')
print(s.makefile().readline())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=WITHIN, check=True)
    assert json.loads(done.stdout)["pid"] == 0
    assert "its own user" in done.stdout


def test_without_a_nursery_nothing_is_forked(home: Path) -> None:
    process, folder = cluster(home, "one")
    assert not kube_forks.fork(home, process, folder)
    kube_forks.socket_of(home).touch()
    assert not kube_forks.fork(home, process, folder), "a file that a dead one left"
    assert process.record() is None


def test_a_socket_that_a_dead_one_left_is_taken_over(home: Path) -> None:
    path = kube_forks.socket_of(home)
    with running(path) as first:
        first.kill()
        first.wait()
    assert path.exists() and not kube_forks.is_open(home)
    with running(path):
        assert kube_forks.is_open(home)


def ordered(home: Path, nursery_home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command as the script runs it, from its first import on."""
    program = "import sys; from ropewalk.cli import warm; sys.exit(warm.run(sys.argv[1:]))"
    source = str(Path(kube_forks.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": source, "ROPEWALK_HOME": str(nursery_home), "WORD": "passed on"}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )


def test_a_command_runs_as_if_here(home: Path, nursery: subprocess.Popen[bytes]) -> None:
    done = ordered(home, home, "a", "b")
    assert (done.returncode, done.stdout, done.stderr) == (2, f"out a b passed on {home}\n", "err\n")
    again = ordered(home, home)
    assert again.returncode == 0, "its environment and folder were its own"


def test_a_command_that_fails_says_so(home: Path, nursery: subprocess.Popen[bytes]) -> None:
    done = ordered(home, home, "broken")
    assert done.returncode == 1
    assert "ValueError: this command is broken" in done.stderr
    assert ordered(home, home, "a").returncode == 1, "the nursery goes on: one argument, status 1"


def test_where_no_nursery_runs_nothing_has_happened(home: Path) -> None:
    done = ordered(home, home, "a")
    assert (done.returncode, done.stdout) == (0, ""), "None: the command is run in the usual way"


def test_a_command_needs_its_files(home: Path, nursery: subprocess.Popen[bytes]) -> None:
    answer = asked(home, b'{"arguments": [], "environment": {}, "folder": "/"}\n')
    assert answer["pid"] == 0 and "one line of JSON" in str(answer["refusal"])


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ("kube --standalone --detach", True),
        ("kube --standalone --port 1 --detach --output json", True),
        ("kube --standalone", False),
        ("kube --standalone --detach --help", False),
        ("kube down", False),
        ("kube nursery", False),
        ("up --simulated --detach", False),
        ("", False),
    ],
)
def test_which_commands_the_nursery_runs(arguments: str, meant: bool) -> None:
    assert warm.is_meant(arguments.split()) is meant


def test_the_socket_is_where_the_nursery_listens(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("ROPEWALK_HOME", str(home))
    assert warm.socket_path() == str(kube_forks.socket_of(default_home()))
    monkeypatch.delenv("ROPEWALK_HOME")
    assert warm.socket_path() == str(kube_forks.socket_of(default_home()))


def test_start_time_tells_the_child_from_its_parent(home: Path, nursery: subprocess.Popen[bytes]) -> None:
    process, folder = cluster(home, "one")
    assert kube_forks.fork(home, process, folder)
    record = process.record()
    assert record is not None and record.start_time == start_time(record.pid)
    assert record.command[-2:] == ("kube", str(folder))
    process.stop()
