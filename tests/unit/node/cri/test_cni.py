"""The plug-in and the agent's end of it: the real script, real FIFOs, no namespace and no network."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from ropewalk.base.clock import SystemClock, VirtualClock
from ropewalk.base.errors import Retryable
from ropewalk.model.host import Attached, Attachment
from ropewalk.model.ids import InterfaceId
from ropewalk.model.workload import InterfaceSpec, NetworkMode, Workload
from ropewalk.node.cri import cni, plugin
from ropewalk.node.cri.cni import CniCalls, CniError, Placed
from support.containers import RecordingNetwork
from support.workloads import workload

INTERFACE = InterfaceSpec("eni-1", "v", "s", "10.9.8.7", "10.9.8.0/24", "10.9.8.1", "02::", "ip-10-9-8-7")


class Scene:
    def __init__(self, folder: Path) -> None:
        self.network = RecordingNetwork()
        self.folder = folder
        self.calls = CniCalls(folder / "it's calls", folder / "state", self.network, SystemClock())
        self.calls.open()
        self.script = folder / "plugin"
        self.script.write_text(plugin.source(str(folder / "it's calls")))
        self.script.chmod(0o755)
        self.raised: list[str] = []

    async def run(self, command: str, uid: str = "w", sandbox: str = "box") -> tuple[int, dict[str, object]]:
        process = await asyncio.create_subprocess_exec(
            str(self.script),
            env={
                "CNI_COMMAND": command,
                "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAME=x;K8S_POD_UID={uid};K8S_POD_NAMESPACE=aws",
                "CNI_CONTAINERID": sandbox,
                "CNI_NETNS": "/run/netns/x",
                "CNI_IFNAME": "eth0",
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 10)
        return process.returncode or 0, json.loads(output or b"{}")


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene(tmp_path)
    monkeypatch.setattr(cni, "raise_loopback", made.raised.append)
    return made


def one(uid: str = "w") -> Workload:
    return workload(uid, network=NetworkMode.INTERFACE, interface=INTERFACE)


async def test_a_sandbox_gets_its_workloads_interface(scene: Scene) -> None:
    async with scene.calls.expecting(one()):
        code, answer = await scene.run("ADD")
    assert code == 0 and answer["ips"][0]["address"] == "10.9.8.7/32"  # type: ignore[index] # JSON
    assert scene.network.attached == [Attachment(InterfaceId("eni-1"), "/run/netns/x", "eth0")]
    assert scene.raised == ["/run/netns/x"]
    assert scene.calls.placed("box") == Placed("w", "/run/netns/x", "eni-1")
    assert os.listdir(scene.folder / "it's calls") == []
    await scene.calls.release("box")
    await scene.calls.release("box")
    assert scene.network.detached == ["eni-1"] and scene.calls.placed("box") is None


async def test_a_workload_without_network_gets_its_loopback_only(scene: Scene) -> None:
    async with scene.calls.expecting(workload("w", network=NetworkMode.NONE)):
        code, answer = await scene.run("ADD")
    assert code == 0 and answer["ips"][0]["address"] == "127.0.0.1/32"  # type: ignore[index] # JSON
    assert scene.raised and not scene.network.attached
    await scene.calls.release("box")
    assert scene.network.detached == []


async def test_nobody_waits_so_add_fails_at_once_and_del_succeeds(scene: Scene) -> None:
    code, answer = await scene.run("ADD")
    assert code == 1 and answer["code"] == 11
    assert await scene.run("DEL") == (0, {})
    async with scene.calls.expecting(one("other")):
        assert (await scene.run("ADD"))[0] == 1
    code, versions = await scene.run("VERSION")
    assert code == 0 and plugin.VERSION in versions["supportedVersions"]  # type: ignore[operator] # JSON


async def test_an_agent_that_goes_away_in_the_middle_fails_the_call(scene: Scene) -> None:
    begun, never = asyncio.Event(), asyncio.Event()

    async def stuck(attachment: Attachment) -> Attached:
        begun.set()
        await never.wait()
        raise AssertionError

    scene.network.attach = stuck  # type: ignore[method-assign] # a scripted network
    async with scene.calls.expecting(one()):
        running = asyncio.create_task(scene.run("ADD"))
        await asyncio.wait_for(begun.wait(), 10)
    assert (await running)[0] == 1


async def test_a_refusal_reaches_containerd_in_its_own_words(scene: Scene) -> None:
    async def refuse(attachment: Attachment) -> Attached:
        raise OSError("no address is left")

    scene.network.attach = refuse  # type: ignore[method-assign] # a scripted network
    async with scene.calls.expecting(one()):
        code, answer = await scene.run("ADD")
    assert code == 1 and answer["msg"] == "no address is left"


async def test_a_fabric_that_does_not_know_it_yet_is_asked_again(scene: Scene) -> None:
    clock = VirtualClock()
    answers: list[Exception | Attached] = [Retryable("not yet", 0.05)] * 3
    asked = 0

    async def attach(attachment: Attachment) -> Attached:
        nonlocal asked
        asked += 1
        if answers:
            raise answers.pop()  # type: ignore[misc] # the list holds exceptions here
        return Attached(attachment.interface, ("10.9.8.7",), "10.9.8.1", "02::")

    scene.network.attach = attach  # type: ignore[method-assign] # a scripted network
    calls = CniCalls(scene.folder / "c", scene.folder / "s", scene.network, clock, patience=1.0)
    attaching = asyncio.create_task(calls._attach(Attachment(InterfaceId("eni-1"), "/n")))
    await clock.advance(0.5)
    assert attaching.done() and asked == 4
    answers.extend([Retryable("never", 0.05)] * 100)
    attaching = asyncio.create_task(calls._attach(Attachment(InterfaceId("eni-1"), "/n")))
    await clock.advance(1.2)
    with pytest.raises(Retryable, match="never"):
        await attaching


async def test_what_is_gone_is_collected_but_nothing_that_lives_or_comes(scene: Scene) -> None:
    for uid, sandbox in (("w", "living"), ("x", "gone"), ("y", "old")):
        async with scene.calls.expecting(one(uid)):
            await scene.run("ADD", uid, sandbox)
    claimed = scene.calls.claimed()
    async with scene.calls.expecting(one("z")):
        await scene.run("ADD", "z", "coming")
        assert "coming" not in scene.calls.claimed()
    await scene.calls.collect(claimed, ["living"])
    assert [scene.calls.placed(name) is not None for name in ("living", "gone", "old", "coming")] == [
        True,
        False,
        False,
        True,
    ]
    assert scene.network.detached == []  # all four name one interface, and the living has it still


async def test_stale_fifos_are_dropped_and_odd_names_refused(scene: Scene) -> None:
    (scene.folder / "it's calls" / "w.request").touch()
    scene.calls.open()
    assert os.listdir(scene.folder / "it's calls") == []
    with pytest.raises(CniError):
        async with scene.calls.expecting(one("../w")):
            pass
