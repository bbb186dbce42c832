"""A whole Ropewalk in a scratch folder, driven as a user would: the `ropewalk` and `aws` commands, curl, boto3."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ropewalk.daemon.host_claim import HostClaim
from support.etcd import parts_folder

BIN = Path(sys.executable).parent
LECTURE = Path(__file__).parent.parent / "fixtures" / "lecture"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(check: Callable[[], Any], what: str, seconds: float = 20.0, every: float = 0.05) -> Any:
    """The first true answer of `check`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    last: Any = None
    while time.monotonic() < deadline:
        last = check()
        if last:
            return last
        time.sleep(every)
    raise AssertionError(f"{what}: not within {seconds} s (last: {last!r})")


def wait_for_host(seconds: float = 200.0) -> None:
    """Until no installation has this host: another developer's tests may, for a minute."""
    eventually(lambda: HostClaim(Path("/nowhere")).holder() is None, "the host is free", seconds, 0.2)


class Installation:
    def __init__(self, *options: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="rw-", dir="/tmp"))
        self.port = free_port()
        self.options = options
        self.environment: dict[str, str] = {}

    def _base(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        kept["ROPEWALK_HOME"] = str(self.home)
        kept["ROPEWALK_PARTS"] = str(parts_folder())
        kept["PATH"] = f"{BIN}:{kept.get('PATH', '')}"
        kept["AWS_PAGER"] = ""
        kept["AWS_EC2_METADATA_DISABLED"] = "true"
        return kept

    def ropewalk(self, *arguments: str, check: bool = True, timeout: float = 180.0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(BIN / "ropewalk"), *arguments],
            env=self._base(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"ropewalk {' '.join(arguments)}: {done.stdout}{done.stderr}\n{self.logs()}")
        return done

    def up(self) -> None:
        """Start it. Where somebody else's installation has the host just now, wait for its end."""
        arguments = ("up", "--detach", "--port", str(self.port), *self.options)
        for _ in range(3):
            done = self.ropewalk(*arguments, check=False)
            if "This host belongs to the installation" not in done.stderr:
                break
            wait_for_host()
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{self.logs()}"
        exported = json.loads(self.ropewalk("env", "--output", "json").stdout)
        self.environment = {**self._base(), **exported}

    def down(self) -> None:
        self.ropewalk("down")

    def discard(self) -> None:
        """Stop it if it runs, and remove its folder. Where that fails nothing of it goes on running all the same."""
        pids = self.pids()
        done = self.ropewalk("reset", "--yes", check=False)
        if done.returncode == 0:
            shutil.rmtree(self.home, ignore_errors=True)
            return
        for pid in sorted(pids.values()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        raise AssertionError(f"not taken back, left for a look: {self.home}: {done.stderr}")

    def logs(self) -> str:
        """The end of each process's log, for a failure's report."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in (self.home / "log").glob("*.log")
        )

    def aws(self, *arguments: str, environment: dict[str, str] | None = None) -> Any:
        """Run the stock `aws` command; its JSON answer. A failure fails the test with the command's words."""
        done = self.try_aws(*arguments, environment=environment)
        assert done.returncode == 0, f"aws {' '.join(arguments)}: {done.stderr}\n{self.logs()}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def try_aws(self, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / "aws"), *arguments, "--output", "json"],
            env={**self.environment, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def client(self, service: str, **overrides: Any) -> Any:
        """A boto3 client without retries, so that one call is one request."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            region_name=self.environment["AWS_REGION"],
            aws_access_key_id=overrides.get("key", self.environment["AWS_ACCESS_KEY_ID"]),
            aws_secret_access_key=overrides.get("secret", self.environment["AWS_SECRET_ACCESS_KEY"]),
            aws_session_token=overrides.get("token"),
            config=Config(retries={"total_max_attempts": 1}),
        )

    def status(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.ropewalk("status", "--output", "json").stdout)
        return document

    def pids(self) -> dict[str, int]:
        """Our own processes by name."""
        found = {}
        for path in (self.home / "run").glob("*.pid"):
            found[path.stem] = int(json.loads(path.read_bytes())["pid"])
        return found

    # --- what tests of tasks need again and again

    def subnet(self, zone: str = "us-east-1a") -> dict[str, Any]:
        subnets = self.client("ec2").describe_subnets(Filters=[{"Name": "availability-zone", "Values": [zone]}])
        subnet: dict[str, Any] = subnets["Subnets"][0]
        return subnet

    def group(self, name: str, *ports: int) -> str:
        """A security group of the default VPC that lets these TCP ports in from anywhere."""
        ec2 = self.client("ec2")
        vpc = self.subnet()["VpcId"]
        group: str = ec2.create_security_group(GroupName=name, Description="for a test", VpcId=vpc)["GroupId"]
        for port in ports:
            ec2.authorize_security_group_ingress(
                GroupId=group, IpProtocol="tcp", FromPort=port, ToPort=port, CidrIp="0.0.0.0/0"
            )
        return group

    def run_task(self, definition: str, group: str, **extra: Any) -> dict[str, Any]:
        """Run one task on Fargate; the task as RunTask answers it."""
        answer = self.client("ecs").run_task(
            taskDefinition=definition,
            launchType="FARGATE",
            networkConfiguration={
                "awsvpcConfiguration": {"subnets": [self.subnet()["SubnetId"]], "securityGroups": [group]}
            },
            **extra,
        )
        assert not answer["failures"], answer["failures"]
        task: dict[str, Any] = answer["tasks"][0]
        return task

    def task(self, arn: str) -> dict[str, Any]:
        task: dict[str, Any] = self.client("ecs").describe_tasks(tasks=[arn], cluster=cluster_of(arn))["tasks"][0]
        return task

    def register(self, family: str, *containers: dict[str, Any], **extra: Any) -> None:
        """A definition for Fargate, of the smallest size. Containers are busybox and log to `/tests` by default."""
        definition = {
            "requiresCompatibilities": ["FARGATE"],
            "networkMode": "awsvpc",
            "cpu": "256",
            "memory": "512",
            "executionRoleArn": "ecsTaskExecutionRole",
            **extra,
        }
        base = {"image": "busybox:latest", "logConfiguration": LOGGED}
        full = [{**base, **container} for container in containers]
        with contextlib.suppress(self.client("logs").exceptions.ResourceAlreadyExistsException):
            self.client("logs").create_log_group(logGroupName="/tests")
        self.client("ecs").register_task_definition(family=family, containerDefinitions=full, **definition)

    def finish(self, arn: str, seconds: float = 30.0) -> dict[str, Any]:
        """The task once it has stopped by itself."""
        task: dict[str, Any] = eventually(
            lambda: (found := self.task(arn))["lastStatus"] == "STOPPED" and found, "the task stops", seconds
        )
        return task

    def lines(self, arn: str, container: str = "main", until: str = "") -> list[str]:
        """What a container of a registered definition has printed, once there is a line that holds `until`."""
        logs, stream = self.client("logs"), f"out/{container}/{arn.rpartition('/')[2]}"

        def read() -> list[str]:
            try:
                events = logs.get_log_events(logGroupName="/tests", logStreamName=stream, startFromHead=True)["events"]
            except logs.exceptions.ResourceNotFoundException:
                return []
            found = [event["message"] for event in events]
            return found if any(until in line for line in found) else []

        lines: list[str] = eventually(read, f"{container} logs {until!r}", 15.0)
        return lines

    def wait_task(self, arn: str, state: str, seconds: float = 30.0) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            task = self.task(arn)
            if task["lastStatus"] == state:
                return task
            if task["lastStatus"] == "STOPPED":
                raise AssertionError(f"the task stopped instead: {task.get('stopCode')} {task.get('stoppedReason')}")
            return None

        task: dict[str, Any] = eventually(reached, f"task {state}", seconds)
        return task

    def stop_task(self, arn: str) -> dict[str, Any]:
        self.client("ecs").stop_task(task=arn, cluster=cluster_of(arn))
        return self.wait_task(arn, "STOPPED", 60.0)


SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 600 & wait"]
"""A command that goes on until it is told to stop, and then stops at once."""
LOGGED: dict[str, Any] = {
    "logDriver": "awslogs",
    "options": {
        "awslogs-group": "/tests",
        "awslogs-region": "us-east-1",
        "awslogs-stream-prefix": "out",
    },
}


def cluster_of(arn: str) -> str:
    """The cluster that a task's ARN names."""
    return arn.split("/")[1]


def address_of(task: dict[str, Any]) -> str:
    details = {item["name"]: item["value"] for item in task["attachments"][0]["details"]}
    return str(details["privateIPv4Address"])


def curl(url: str, *options: str, seconds: float = 1.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["curl", "--silent", "--show-error", "--fail", "--max-time", str(seconds), *options, url],
        capture_output=True,
        text=True,
        check=False,
    )
