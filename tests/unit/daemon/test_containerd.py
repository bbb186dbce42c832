"""containerd's and the registry's files are pure functions of where they lie and what they mirror."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

from ropewalk.base.clock import VirtualClock
from ropewalk.daemon import registry
from ropewalk.daemon.containerd import Containerd, Handler, Layout, Mirror, configuration, hosts_files
from ropewalk.daemon.images import PAUSE_IMAGE
from ropewalk.daemon.parts import Command
from ropewalk.node.cri import plugin

LAYOUT = Layout(Path("/srv/rope walk"), Path("/srv/rope walk/run"))


def test_nothing_is_shared_with_another_containerd() -> None:
    config = tomllib.loads(configuration(LAYOUT, (Handler("runc", "/x/runc"), Handler("runc-adjusted", "/x/adj"))))
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    paths = [
        config["root"],
        config["state"],
        config["grpc"]["address"],
        config["ttrpc"]["address"],
        config["plugins"]["io.containerd.internal.v1.opt"]["path"],
        cri["cni"]["bin_dir"],
        cri["cni"]["conf_dir"],
        cri["registry"]["config_path"],
        *(runtime["options"]["Root"] for runtime in cri["containerd"]["runtimes"].values()),
    ]
    assert all(path.startswith("/srv/rope walk/") for path in paths) and len(set(paths)) == len(paths)
    assert cri["netns_mounts_under_state_dir"] is True
    assert cri["sandbox_image"] == PAUSE_IMAGE
    assert cri["containerd"]["default_runtime_name"] == "runc"
    assert cri["containerd"]["runtimes"]["runc-adjusted"]["options"]["BinaryName"] == "/x/adj"
    assert cri["restrict_oom_score_adj"] is True and config["oom_score"] == 0


def test_a_mirror_of_everything_leaves_no_registry_to_look_up() -> None:
    files = hosts_files(Mirror("127.0.0.1:5000", everything=True))
    assert set(files) == {"127.0.0.1:5000/hosts.toml", "_default/hosts.toml", "docker.io/hosts.toml"}
    for content in files.values():
        parsed = tomllib.loads(content)
        assert parsed["server"] == "http://127.0.0.1:5000"
        assert list(parsed["host"]) == ["http://127.0.0.1:5000"]
    assert set(hosts_files(Mirror("127.0.0.1:5000"))) == {"127.0.0.1:5000/hosts.toml"}
    assert hosts_files(None) == {}


def test_writing_the_configuration_twice_changes_nothing_and_drops_old_mirrors(tmp_path: Path) -> None:
    parts = {name: Command((f"/parts/{name}",)) for name in ("containerd", "containerd-shim-runc-v2", "runc", "ctr")}
    layout = Layout(tmp_path / "containerd", tmp_path / "run")
    made = Containerd(layout, parts, tmp_path, tmp_path, VirtualClock(), interpreter="/usr/bin/python3")
    made.write_configuration(Mirror("127.0.0.1:5000", everything=True))
    files = {path: path.stat().st_mtime_ns for path in layout.folder.rglob("*") if path.is_file()}
    made.write_configuration(Mirror("127.0.0.1:5000", everything=True))
    assert {path: path.stat().st_mtime_ns for path in layout.folder.rglob("*") if path.is_file()} == files
    executable = {path.name for path in files if path.stat().st_mode & 0o111}
    assert executable == {plugin.PLUGIN, "loopback", "runc-adjusted"}
    made.write_configuration(None)
    assert not list(layout.hosts.glob("*/hosts.toml"))
    network = json.loads((layout.cni / "conf/10-ropewalk.conflist").read_text())
    assert [one["type"] for one in network["plugins"]] == [plugin.PLUGIN]


def test_the_registry_listens_on_loopback_only() -> None:
    text = registry.configuration(Path("/srv/registry"), 5001)
    assert "addr: 127.0.0.1:5001\n" in text and "rootdirectory: /srv/registry\n" in text


async def test_stopping_ends_shims_that_nobody_wrote_down(tmp_path: Path) -> None:
    """Stand-ins with a shim's command line: one of our containerd's, one of another's."""
    layout = Layout(tmp_path / "folder", tmp_path / "state")
    strays = [
        subprocess.Popen(
            ["containerd-shim-runc-v2", "-c", "input()", "-address", address, "-id", "stray"],
            executable=sys.executable,
            stdin=subprocess.PIPE,
        )
        for address in (str(layout.socket), "/elsewhere/containerd.sock")
    ]
    try:
        await Containerd(layout, {}, tmp_path / "run", tmp_path / "logs", VirtualClock()).stop()
        assert strays[0].wait(10) == -signal.SIGKILL
        assert strays[1].poll() is None
    finally:
        for stray in strays:
            stray.kill()
            stray.wait()
            assert stray.stdin is not None
            stray.stdin.close()
