"""A cluster from the nursery is a cluster: it answers, it goes on without the nursery, it stops when it is told to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from support.installation import eventually, free_port

ROPEWALK = str(Path(sys.executable).parent / "ropewalk")


class Home:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    def ropewalk(self, *arguments: str) -> str:
        environment = {**os.environ, "ROPEWALK_HOME": str(self.folder)}
        done = subprocess.run(
            [ROPEWALK, *arguments], env=environment, capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self) -> int:
        self.ropewalk("kube", "--standalone", "--name", "warm", "--port", str(self.port), "--detach")
        return self.pid("kube/warm/run/kube.pid")

    def pid(self, file: str) -> int:
        return int(json.loads((self.folder / file).read_bytes())["pid"])

    def is_ready(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.folder / "kube" / "warm" / "pki" / "ca.crt"))
        connection = HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def home() -> Iterator[Home]:
    made = Home(Path(tempfile.mkdtemp(prefix="rw-kube-", dir="/tmp")))
    yield made
    made.ropewalk("kube", "nursery", "--stop")
    if (made.folder / "kube" / "warm").exists():
        made.ropewalk("kube", "down", "warm", "--forget")
    shutil.rmtree(made.folder)


def test_a_cluster_from_the_nursery(home: Home) -> None:
    home.ropewalk("kube", "nursery")
    home.ropewalk("kube", "nursery")  # again: it is found
    nursery = home.pid("run/kube-nursery.pid")
    first = home.start()
    assert parent(first) == nursery
    assert os.getsid(first) == first
    assert home.is_ready()
    log = (home.folder / "kube" / "warm" / "log" / "kube.log").read_text()
    assert "leading" in log, "it logs to its own file"

    home.ropewalk("kube", "down", "warm")
    second = home.start()  # restarted from its state
    assert parent(second) == nursery and second != first
    assert home.is_ready()

    os.kill(nursery, signal.SIGKILL)
    eventually(lambda: parent(second) != nursery, "the nursery is dead")
    assert home.is_ready()

    home.ropewalk("kube", "down", "warm")
    third = home.start()  # no nursery, but its socket's file: the usual way
    assert home.is_ready()
    assert third not in (first, second)
