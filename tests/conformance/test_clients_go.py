"""client-go's shared informers and an operator on controller-runtime. Built on first use: that takes minutes, once."""

from __future__ import annotations

import hashlib
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.etcd import parts_folder
from support.installation import eventually
from support.kube_process import Cluster, Space, config_map, definition, manifest

SOURCES = Path(__file__).with_name("go")
BUILD_SECONDS = 900

pytestmark = pytest.mark.timeout(BUILD_SECONDS + 60)


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of the built programs. Kept from run to run, by what they were built from."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed: its clients are not shown here")
    digest = hashlib.sha256()
    for path in sorted(SOURCES.rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    folder = parts_folder() / "kube-clients" / digest.hexdigest()[:16]
    if not (folder / "done").exists():
        fetched = subprocess.run(["go", "mod", "download"], cwd=SOURCES, capture_output=True, text=True, check=False)
        if fetched.returncode != 0:
            pytest.skip(f"Go's module proxy does not answer: {fetched.stderr.strip()[-300:]}")
        folder.mkdir(parents=True, exist_ok=True)
        command = ["go", "build", "-ldflags=-s -w", "-o", f"{folder}/", "./..."]
        subprocess.run(command, cwd=SOURCES, check=True, timeout=BUILD_SECONDS)
        (folder / "done").touch()
    return folder


class Program:
    """A running program: its lines, as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def take(self, count: int) -> list[str]:
        return [self._lines.get(timeout=30) for _ in range(count)]

    def expect(self, words: str) -> str:
        """The next line that holds them."""
        while words not in (line := self._lines.get(timeout=30)):
            pass
        return line

    def rest(self) -> list[str]:
        """What is left, once it has ended."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(20) == 0
        left = []
        while not self._lines.empty():
            left.append(self._lines.get())
        return left


@contextmanager
def running(cluster: Cluster, program: Path, *arguments: str, stderr: int = subprocess.DEVNULL) -> Iterator[Program]:
    process = subprocess.Popen(
        [str(program), *arguments],
        env=cluster.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    try:
        yield Program(process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def fragile() -> Iterator[Cluster]:
    """A cluster that may be killed."""
    made = Cluster()
    try:
        made.start()
        yield made
        made.forget()
    finally:
        made.discard()


def followed(name: str, **data: str) -> str:
    return manifest(config_map(name, {"followed": "yes"}, **data))


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_informers_go_on_where_they_were(how: str, programs: Path, fragile: Cluster) -> None:
    """Whatever ends the server: no event is lost, and none is told twice."""
    fragile.kubectl("create", "-f", "-", stdin=followed("before"))
    with running(fragile, programs / "follow", "default") as follow:
        assert set(follow.take(2)) == {"ADD before", "SYNCED"}
        fragile.kubectl("apply", "-f", "-", stdin=followed("before", a="1"))
        assert follow.take(1) == ["UPDATE before"]
        fragile.kubectl("create", "-f", "-", stdin=followed("during"))
        if how == "killed":
            fragile.kill()
        else:
            fragile.stop()
        fragile.start()
        fragile.kubectl("delete", "cm", "before")
        fragile.kubectl("apply", "-f", "-", stdin=followed("during", a="2"))
        fragile.kubectl("create", "-f", "-", stdin=followed("after"))
        assert follow.take(4) == ["ADD during", "DELETE before", "UPDATE during", "ADD after"]
        assert follow.rest() == []


def test_an_operator_on_controller_runtime(programs: Path, space: Space) -> None:
    schema = {
        "spec": {"type": "object", "properties": {"power": {"type": "integer"}}},
        "status": {"type": "object", "properties": {"observed": {"type": "integer"}}},
    }
    space.create(definition("tugs", "Tug", "tugs.example.com", schema, subresources={"status": {}}))
    try:
        space.wait("crd/tugs.tugs.example.com", "condition=Established")
        with running(space.cluster, programs / "manage", space.name, stderr=subprocess.STDOUT) as manager:
            tug = {"apiVersion": "tugs.example.com/v1", "kind": "Tug", "metadata": {"name": "a"}}
            space.create({**tug, "spec": {"power": 5}})
            manager.expect("config map a: created")
            space.wait("tug/a", "jsonpath={.status.observed}=1")
            space("patch", "tug", "a", "--type=merge", "-p", '{"spec": {"power": 7}}')
            space.wait("tug/a", "jsonpath={.status.observed}=2")
            assert space.get("cm", "a")["data"] == {"power": "7"}
            space("delete", "cm", "a")
            eventually(lambda: "configmap/a" in space.names("cm"), "what it owns is watched, and made again")
            assert space.get("lease", "tugs")["spec"]["holderIdentity"]
            space("delete", "tug", "a", "--timeout=20s")
            assert space.get("cm", "a-farewell")
            space.wait("cm/a", "delete")
            manager.rest()
            assert space.get("lease", "tugs")["spec"].get("holderIdentity", "") == "", "the lease was given back"
    finally:
        space("delete", "crd", "tugs.tugs.example.com", "--wait=false")
