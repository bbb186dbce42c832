"""E8: an interface, an address and security groups per task; a rule's change takes effect at once."""

from __future__ import annotations

import time

import pytest

from support.installation import LECTURE, Installation, address_of, curl, eventually


@pytest.fixture
def webapp(installation: Installation) -> None:
    definition = (LECTURE / "ecs-task-definition-webapp.json").read_text()
    installation.aws("ecs", "register-task-definition", "--cli-input-json", definition)


def test_revoking_a_rule_closes_the_port_within_a_second(installation: Installation, webapp: None) -> None:
    group = installation.group("closable", 80)
    arn = installation.run_task("webapp", group)["taskArn"]
    address = address_of(installation.wait_task(arn, "RUNNING"))
    rule = ["--group-id", group, "--protocol", "tcp", "--port", "80", "--cidr", "0.0.0.0/0"]
    try:
        eventually(lambda: curl(f"http://{address}/").returncode == 0, "nginx answers")
        installation.aws("ec2", "revoke-security-group-ingress", *rule)
        begun = time.monotonic()
        refused = eventually(lambda: curl(f"http://{address}/", seconds=0.3).returncode == 28, "curl times out", 2.0)
        assert refused and time.monotonic() - begun < 1.5
        installation.aws("ec2", "authorize-security-group-ingress", *rule)
        eventually(lambda: curl(f"http://{address}/", seconds=0.5).returncode == 0, "curl is let in again", 2.0)
    finally:
        installation.stop_task(arn)


def test_a_task_without_an_open_port_is_unreachable(installation: Installation, webapp: None) -> None:
    group = installation.group("shut")
    arn = installation.run_task("webapp", group)["taskArn"]
    address = address_of(installation.wait_task(arn, "RUNNING"))
    try:
        assert curl(f"http://{address}/", seconds=1).returncode == 28
    finally:
        installation.stop_task(arn)
