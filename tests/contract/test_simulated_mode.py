"""`ropewalk up --simulated`, as a laptop without root has it: a task's whole life, state that stays, no trace after."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.installation import LECTURE, Installation, eventually, free_port

TO_FIRST_ANSWER = 5.0
"""Seconds; measured 0.4 to 0.8 on two busy cores. The bench measures; this only sees a start that has gone wrong."""


@pytest.fixture
def laptop() -> Iterator[Installation]:
    made = Installation("--simulated")
    try:
        yield made
    finally:
        made.discard()


def processes_of(home: Path) -> list[str]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                line = Path("/proc", entry, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(home) in line:
                found.append(line)
    return found


def run_webapp(laptop: Installation) -> str:
    laptop.client("logs").create_log_group(logGroupName="/ecs/webapp")
    text = (LECTURE / "ecs-task-definition-webapp.json").read_text()
    laptop.client("ecs").register_task_definition(**json.loads(text))
    arn: str = laptop.run_task("webapp", laptop.group("web", 80))["taskArn"]
    laptop.wait_task(arn, "RUNNING")
    return arn


def test_a_task_lives_and_the_state_stays(laptop: Installation) -> None:
    begun = time.monotonic()
    laptop.up()
    assert laptop.client("ecs").describe_clusters()["clusters"][0]["status"] == "ACTIVE"
    assert time.monotonic() - begun < TO_FIRST_ANSWER
    assert list(laptop.pids()) == ["aws"], "one process is all there is"
    arn = run_webapp(laptop)
    stopped = laptop.stop_task(arn)
    assert (stopped["stopCode"], stopped["containers"][0]["exitCode"]) == ("UserInitiated", 143)
    second = laptop.run_task("webapp", web_group(laptop))["taskArn"]
    laptop.wait_task(second, "RUNNING")
    laptop.down()
    assert processes_of(laptop.home) == []
    laptop.down()
    laptop.up()
    task = laptop.task(second)
    assert (task["lastStatus"], task["stoppedReason"]) == ("STOPPED", "Ropewalk is going down")
    definitions = laptop.client("ecs").list_task_definitions()["taskDefinitionArns"]
    assert [definition.rpartition("/")[2] for definition in definitions] == ["webapp:1"]
    laptop.ropewalk("reset", "--yes")
    assert not laptop.home.exists() and processes_of(laptop.home) == []


def web_group(laptop: Installation) -> str:
    groups = laptop.client("ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": ["web"]}])
    group: str = groups["SecurityGroups"][0]["GroupId"]
    return group


def test_killed_it_comes_back_with_what_it_knew(laptop: Installation) -> None:
    """A fake has nothing that could end: as a real container would, it is found running and can be stopped."""
    laptop.up()
    key = laptop.environment["AWS_ACCESS_KEY_ID"]
    arn = run_webapp(laptop)
    os.kill(laptop.pids()["aws"], signal.SIGKILL)
    eventually(lambda: not processes_of(laptop.home), "it is dead")
    assert laptop.ropewalk("status", check=False).returncode == 3
    laptop.up()
    assert laptop.environment["AWS_ACCESS_KEY_ID"] == key
    assert laptop.wait_task(arn, "RUNNING")["desiredStatus"] == "RUNNING"
    assert laptop.stop_task(arn)["stopCode"] == "UserInitiated"
    again = laptop.run_task("webapp", web_group(laptop))["taskArn"]
    laptop.wait_task(again, "RUNNING")


def test_a_second_up_attaches_and_other_settings_are_refused(laptop: Installation) -> None:
    laptop.up()
    pids = laptop.pids()
    laptop.up()
    assert laptop.pids() == pids
    other = str(free_port())
    for port, options, word in (
        (other, (), "port"),
        (str(laptop.port), ("--accept-any-credentials",), "accept-any-credentials"),
        (str(laptop.port), ("--time-scale", "60"), "time-scale"),
        (str(laptop.port), ("--vpc-cidr", "10.9.0.0/16"), "10.9.0.0/16"),
    ):
        refused = laptop.ropewalk("up", "--simulated", "--detach", "--port", port, *options, check=False)
        assert refused.returncode == 1 and word in refused.stderr, refused.stderr
    assert laptop.pids() == pids and laptop.status()["ready"]


def test_any_credentials_are_taken_only_where_that_was_asked_for() -> None:
    lax = Installation("--simulated", "--accept-any-credentials")
    try:
        lax.up()
        said = lax.ropewalk("up", "--detach", "--port", str(lax.port), *lax.options).stderr
        assert "WARNING: any credentials are accepted" in said
        identity = lax.client("sts", key="test", secret="test").get_caller_identity()
        assert identity["Account"] == "123456789012" and identity["Arn"].endswith(":root")
        assert lax.status()["accept_any_credentials"] is True
    finally:
        lax.discard()


def test_the_range_asked_for_is_the_default_vpcs(laptop: Installation) -> None:
    laptop.options = ("--simulated", "--vpc-cidr", "10.44.0.0/16")
    laptop.up()
    ec2 = laptop.client("ec2")
    assert [vpc["CidrBlock"] for vpc in ec2.describe_vpcs()["Vpcs"]] == ["10.44.0.0/16"]
    assert laptop.subnet()["CidrBlock"].startswith("10.44.")


def test_what_is_left_out_stays_as_it_was_but_for_switches() -> None:
    made = Installation("--simulated", "--region", "eu-central-1", "--account", "111122223333")
    try:
        made.up()
        made.ropewalk("up", "--detach")
        made.down()
        refused = made.ropewalk("up", "--simulated", "--detach", "--region", "us-east-1", check=False)
        assert refused.returncode == 1 and "of region eu-central-1, not us-east-1" in refused.stderr
        made.ropewalk("up", "--simulated", "--detach")
        assert made.status()["region"] == "eu-central-1" and made.status()["account"] == "111122223333"
        assert made.status()["endpoint"].endswith(str(made.port))
    finally:
        made.discard()


def early_processes() -> set[int]:
    """Control planes begun by a command that had not read its options yet."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if b"ropewalk.daemon.entry\0aws\0-\0" in (entry / "cmdline").read_bytes():
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


def test_a_refused_start_leaves_no_process_behind() -> None:
    """The process is begun before the options are read: what is refused then must end it."""
    before = early_processes()
    made = Installation("--simulated")
    try:
        refused = made.ropewalk("up", "--simulated", "--detach", "--vpc-cidr", "nonsense", check=False)
        assert refused.returncode == 2
        made.up()
        attached = made.ropewalk("up", "--simulated", "--detach")
        assert "Ropewalk answers at" in attached.stderr
        ours = {made.pids()["aws"]}
        eventually(lambda: early_processes() - before <= ours, "only the one that serves is left")
        assert ours <= early_processes(), "and that one was begun early"
    finally:
        made.discard()
    eventually(lambda: early_processes() <= before, "none is left after reset")
