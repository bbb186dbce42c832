"""containerd's and CNI's answers in our words, and ours in theirs."""

from __future__ import annotations

import json
import re

import pytest

from ropewalk.model.host import Attached
from ropewalk.model.ids import InterfaceId
from ropewalk.node.cri import adjust, images, lowering, states, statistics
from ropewalk.node.cri._generated import content_pb2 as content
from ropewalk.node.cri._generated import cri_pb2 as cri
from ropewalk.node.cri.cni import Call, CniError, parse_call, result
from ropewalk.node.runtime import ContainerExited, PullProgress, RunState

LABELS = {
    lowering.OWNER: "aws",
    lowering.UID: "w",
    lowering.NAME: "app",
    lowering.ATTEMPT: "1",
    lowering.SANDBOX: "box",
}


def status(**fields: object) -> cri.ContainerStatus:
    return cri.ContainerStatus(id="c", labels=LABELS, created_at=1_500_000_000, **fields)  # type: ignore[arg-type] # test


def test_a_status_is_told_in_seconds_and_states() -> None:
    state = states.container(status(state=cri.CONTAINER_RUNNING, started_at=2_000_000_000), 42, None, False)
    assert (state.sandbox, state.owner, state.uid, state.name, state.attempt) == ("box", "aws", "w", "app", 1)
    assert (state.state, state.pid, state.created_at, state.started_at) == (RunState.RUNNING, 42, 1.5, 2.0)
    lost = states.container(status(state=cri.CONTAINER_UNKNOWN), 42, None, False)
    assert (lost.state, lost.exit_code, lost.pid) == (RunState.UNKNOWN, 255, 0)


def test_an_exit_that_was_seen_is_ahead_of_cri() -> None:
    seen = ContainerExited("c", 137, 9.0, True)
    state = states.container(status(state=cri.CONTAINER_RUNNING), 42, seen, False)
    assert (state.state, state.pid, state.exit_code, state.finished_at) == (RunState.EXITED, 0, 137, 9.0)
    assert state.out_of_memory


def test_out_of_memory_needs_a_kill_that_was_not_ours() -> None:
    def starved(code: int, by_us: bool) -> bool:
        ended = status(state=cri.CONTAINER_EXITED, exit_code=code, reason="OOMKilled")
        return states.container(ended, 0, None, by_us).out_of_memory

    assert starved(137, False)
    assert not starved(137, True)  # a neighbour starved it of memory, we of life
    assert not starved(0, False)


def test_an_image_says_how_it_wants_to_run() -> None:
    spec = {"config": {"Entrypoint": ["/e"], "Cmd": ["c"], "Env": ["A=1"], "User": "7", "StopSignal": "SIGQUIT"}}
    answer = cri.ImageStatusResponse(
        image=cri.Image(id="sha256:config", repo_digests=["docker.io/library/x@sha256:manifest"], size=9),
        info={"info": json.dumps({"imageSpec": spec})},
    )
    info = images.describe("x", answer)
    assert info is not None
    assert (info.digest, info.entrypoint, info.command) == ("sha256:manifest", ("/e",), ("c",))
    assert (info.environment, info.user, info.stop_signal, info.size_bytes) == (("A=1",), "7", "SIGQUIT", 9)
    assert images.describe("x", cri.ImageStatusResponse()) is None
    bare = images.describe("x", cri.ImageStatusResponse(image=cri.Image(id="sha256:config")))
    assert bare is not None and bare.digest == "sha256:config" and bare.command == ()


def test_progress_never_goes_back_when_a_download_ends() -> None:
    tally = images.Tally()

    def blob(name: str, done: int, total: int) -> content.Status:
        return content.Status(ref=name, offset=done, total=total)

    assert tally.update([]) == PullProgress(0, 0)
    assert tally.update([blob("layer-a", 10, 100), blob("manifest-x", 5, 5)]) == PullProgress(10, 100)
    assert tally.update([blob("layer-b", 1, 50)]) == PullProgress(101, 150)
    assert tally.update([]) == PullProgress(150, 150)


@pytest.mark.parametrize("line", [b"", b"a b", b"../x /run/n eth0", b"x run/n eth0", b"\xff /n eth0"])
def test_what_is_no_cni_call_is_refused(line: bytes) -> None:
    with pytest.raises(CniError):
        parse_call(line)


def test_a_cni_call_is_read() -> None:
    assert parse_call(b"abc /run/n eth0") == Call("abc", "/run/n", "eth0")


def test_a_cni_result_always_names_an_address() -> None:
    attached = Attached(InterfaceId("eni-1"), ("10.0.0.5", "10.0.0.6/24"), "10.0.0.1", "02:00")
    made = json.loads(json.dumps(result("/run/n", attached, "eth0")))
    assert [ip["address"] for ip in made["ips"]] == ["10.0.0.5/32", "10.0.0.6/24"]
    assert made["interfaces"] == [{"name": "eth0", "mac": "02:00", "sandbox": "/run/n"}]
    alone = json.loads(json.dumps(result("/run/n", None, "eth0")))
    assert alone["ips"][0]["address"] == "127.0.0.1/32" and "routes" not in alone


def test_the_wrapper_needs_no_package() -> None:
    text = adjust.source("/usr/bin/python3", "/sbin/runc")
    assert text.startswith("#!/usr/bin/python3 -IS\n")
    compile(text, "script", "exec")
    assert set(re.findall(r"^\s*import (.+)$", text, re.MULTILINE)) == {"os, sys", "json"}


def test_interface_bytes_are_read_from_the_kernels_table() -> None:
    text = "Inter-| Receive\n face |bytes\n    lo: 1 0 0 0 0 0 0 0 2 0\n  eth0:  55 1 0 0 0 0 0 0 66 1 0\n"
    assert statistics.interface_bytes(text) == (55, 66)
    assert statistics.interface_bytes(text, "eth9") == (0, 0)


@pytest.mark.parametrize(
    ("text", "number"),
    [("9", 9), ("SIGKILL", 9), ("quit", 3), ("SIGRTMIN+3", 37), ("SIGTERM", 15), ("SIGNONSENSE", 15), ("", 15)],
)
def test_signals_as_images_spell_them(text: str, number: int) -> None:
    assert states.signal_number(text) == number
