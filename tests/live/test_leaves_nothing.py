"""What `up` makes, `down` takes back, whatever happened in between; and a host has one installation at a time."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.etcd import parts_folder
from support.installation import (
    BIN,
    LECTURE,
    Installation,
    address_of,
    curl,
    eventually,
    free_port,
    wait_for_host,
)
from support.traces import Traces, traces


@pytest.fixture
def fresh() -> Iterator[tuple[Installation, Traces]]:
    """Not started; and the host's traces before it."""
    wait_for_host()
    made = Installation("--images", "local")
    try:
        yield made, traces(made.home)
    finally:
        made.discard()


def webapp(installation: Installation) -> str:
    """The lecture's task, RUNNING; its ARN."""
    installation.client("logs").create_log_group(logGroupName="/ecs/webapp")
    text = (LECTURE / "ecs-task-definition-webapp.json").read_text()
    installation.aws("ecs", "register-task-definition", "--cli-input-json", text)
    arn: str = installation.run_task("webapp", installation.group("web", 80))["taskArn"]
    installation.wait_task(arn, "RUNNING")
    return arn


def test_down_stops_tasks_with_a_reason_and_leaves_the_state_alone(fresh: tuple[Installation, Traces]) -> None:
    installation, before = fresh
    installation.up()
    arn = webapp(installation)
    address = address_of(installation.task(arn))
    seen = set(traces(installation.home).news(before))
    assert {"links", "routes", "mounts", "cgroups", "processes", "files"} <= seen, "or nothing would be compared"
    installation.down()
    assert traces(installation.home).news(before) == {}
    assert curl(f"http://{address}/").returncode != 0
    installation.down()  # a second time: nothing to do, and no error
    assert "not running" in installation.ropewalk("env", check=False).stderr
    installation.up()
    task = installation.task(arn)
    assert (task["lastStatus"], task["stopCode"]) == ("STOPPED", "UserInitiated")
    assert task["stoppedReason"] == "Ropewalk is going down"
    assert task["containers"][0]["exitCode"] == 0, "it was asked, not killed"
    assert installation.client("ec2").describe_network_interfaces()["NetworkInterfaces"] == []
    installation.ropewalk("reset", "--yes")
    assert not installation.home.exists()
    assert traces(installation.home).news(before) == {}


def test_down_after_everything_was_killed_leaves_nothing(fresh: tuple[Installation, Traces]) -> None:
    installation, before = fresh
    installation.up()
    arn = webapp(installation)
    address = address_of(installation.task(arn))
    eventually(lambda: curl(f"http://{address}/").returncode == 0, "nginx answers")
    for pid in installation.pids().values():
        os.kill(pid, signal.SIGKILL)
    assert curl(f"http://{address}/").returncode == 0, "containers do not notice"
    said = installation.ropewalk("down").stderr
    assert "its tasks are killed" in said
    assert traces(installation.home).news(before) == {}
    installation.up()
    task = eventually(lambda: (now := installation.task(arn))["lastStatus"] == "STOPPED" and now, "the task is over")
    assert task["stoppedReason"], task
    installation.down()
    assert traces(installation.home).news(before) == {}


def test_reset_ends_what_runs(fresh: tuple[Installation, Traces]) -> None:
    installation, before = fresh
    installation.up()
    installation.register(
        "stubborn", {"name": "main", "command": ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]}
    )
    arn = installation.run_task("stubborn", installation.group("none"))["taskArn"]
    installation.wait_task(arn, "RUNNING")
    installation.ropewalk("reset", "--yes", timeout=20)  # does not wait the 30 seconds that the container would take
    assert not installation.home.exists()
    assert traces(installation.home).news(before) == {}


def test_up_again_attaches_or_says_what_is_in_its_way(fresh: tuple[Installation, Traces]) -> None:
    installation, before = fresh
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", installation.port))
        busy.listen()
        refused = installation.ropewalk("up", "--detach", "--port", str(installation.port), check=False)
        assert refused.returncode == 1
        assert f"Port {installation.port} is taken by" in refused.stderr
        assert f"(pid {os.getpid()})" in refused.stderr
    assert traces(installation.home).news(before) == {}
    installation.up()
    pids, store = installation.pids(), installation.status()["store"]["id"]
    installation.up()
    assert (installation.pids(), installation.status()["store"]["id"]) == (pids, store)
    other = free_port()
    refused = installation.ropewalk("up", "--detach", "--port", str(other), check=False)
    assert refused.returncode == 1
    assert f"port {installation.port}, not {other}" in refused.stderr
    for options in (("--simulated",), ("--accept-any-credentials",), ("--vpc-cidr", "10.77.0.0/16")):
        refused = installation.ropewalk("up", "--detach", "--port", str(installation.port), *options, check=False)
        assert refused.returncode == 1, options
    assert installation.pids() == pids
    installation.down()
    assert traces(installation.home).news(before) == {}


def test_a_second_installation_is_refused_by_name_and_harms_nothing(fresh: tuple[Installation, Traces]) -> None:
    installation, before = fresh
    installation.up()
    arn = webapp(installation)
    address = address_of(installation.task(arn))
    eventually(lambda: curl(f"http://{address}/").returncode == 0, "nginx answers")
    second = Installation("--images", "local")
    untouched = traces(second.home)
    refused = second.ropewalk("up", "--detach", "--port", str(second.port), check=False)
    assert refused.returncode == 1
    assert f"belongs to the installation in {installation.home}" in refused.stderr
    assert traces(second.home).news(untouched) == {}, "nothing was half started"
    second.discard()
    assert curl(f"http://{address}/").returncode == 0, "and its reset takes nothing down"
    for pid in installation.pids().values():
        os.kill(pid, signal.SIGKILL)
    third = Installation("--images", "local")
    refused = third.ropewalk("up", "--detach", "--port", str(third.port), check=False)
    assert refused.returncode == 1, "killed is not gone: its containers and interfaces are still there"
    third.discard()
    assert curl(f"http://{address}/").returncode == 0
    installation.down()
    assert traces(installation.home).news(before) == {}


def test_the_simulated_mode_runs_beside_a_real_one(fresh: tuple[Installation, Traces]) -> None:
    installation, _ = fresh
    installation.up()
    fake = Installation("--simulated")
    try:
        fake.up()
        assert fake.status()["simulated"] and not installation.status()["simulated"]
    finally:
        fake.discard()
    assert installation.status()["ready"]


NOBODY = pwd.getpwnam("nobody").pw_uid


def as_user(uid: int, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run our command as another user, with a clean environment."""
    done = subprocess.run(
        ["setpriv", f"--reuid={uid}", "--regid=65534", "--clear-groups", str(BIN / "ropewalk"), *command],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", **environment},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "Permission denied" in done.stderr:
        pytest.skip("this checkout lies where other users may not read")
    return done


@pytest.fixture
def user_folder() -> Iterator[Path]:
    """A folder of the user nobody's."""
    made = Path(tempfile.mkdtemp(prefix="rw-user-", dir="/tmp"))
    os.chown(made, NOBODY, -1)
    yield made
    shutil.rmtree(made)


def test_without_root_up_prints_the_sudo_line(user_folder: Path) -> None:
    command = ("up", "--detach", "--vpc-cidr", "10.77.0.0/16")
    refused = as_user(NOBODY, *command, ROPEWALK_HOME=str(user_folder))
    assert refused.returncode == 1
    program = (BIN / "ropewalk").resolve()
    assert f"sudo --preserve-env=ROPEWALK_HOME {program} {' '.join(command)}" in refused.stderr
    assert "ropewalk up --simulated" in refused.stderr
    assert list(user_folder.iterdir()) == []


def test_an_unprivileged_user_finds_the_installation_of_the_usual_place(user_folder: Path) -> None:
    """`sudo ropewalk up` by a user, then `ropewalk env` as that user: endpoint and key, and no `~/.aws` touched."""
    system, port = Path("/var/lib/ropewalk"), free_port()
    if (system / "installation.json").exists():
        pytest.skip("this host has an installation of its own at the usual place")
    wait_for_host()
    kept_entries = set(system.iterdir()) if system.exists() else None
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ROPEWALK_"))}
    stranger = 54321  # whoever has no entry in the password file has the home that HOME names
    sudo = {"ROPEWALK_PARTS": str(parts_folder()), "SUDO_UID": str(stranger), "HOME": str(user_folder)}
    os.chown(user_folder, stranger, -1)
    nobodys = user_folder / "nobodys"
    nobodys.mkdir()
    os.chown(nobodys, NOBODY, -1)
    user_folder.chmod(0o755)

    def ropewalk(*arguments: str) -> None:
        command = [str(BIN / "ropewalk"), *arguments]
        done = subprocess.run(command, env={**kept, **sudo}, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr

    started = False
    try:
        ropewalk("up", "--detach", "--images", "local", "--port", str(port))
        started = True
        key = user_folder / ".config" / "ropewalk" / "client.json"
        assert (key.stat().st_uid, key.stat().st_mode & 0o777) == (stranger, 0o600)
        assert sorted(path.name for path in user_folder.iterdir()) == [".config", "nobodys"]
        found = as_user(stranger, "env", HOME=str(user_folder))
        assert f"export AWS_ENDPOINT_URL=http://127.0.0.1:{port}" in found.stdout, found.stderr
        assert "export AWS_SECRET_ACCESS_KEY=" in found.stdout
        other = as_user(NOBODY, "env")
        assert other.returncode == 1 and "another user's" in other.stderr and "SECRET" not in other.stdout
        told = as_user(NOBODY, "status")
        assert told.returncode == 3 and f"127.0.0.1:{port}" in told.stdout
        assert "/var/lib/ropewalk belongs to another user" in told.stdout and "tasks:" not in told.stdout
        beside = as_user(NOBODY, "up", "--simulated", "--detach", "--port", str(port), ROPEWALK_HOME=str(nobodys))
        assert beside.returncode == 1 and f"Port {port} is taken by another user's process" in beside.stderr
    finally:
        if started:
            ropewalk("down")
        for entry in set(system.iterdir()) - (kept_entries or set()):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        if kept_entries is None:
            system.rmdir()
        shutil.rmtree("/run/ropewalk")
