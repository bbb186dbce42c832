"""The lecture's task definition, unchanged, on Fargate: nginx in a network namespace of its own, fetched by curl.

Every step is a plain `aws` command, printed before it runs, so that the demo can be followed by hand. Images come from
a local registry filled from Debian's packages, so that the demo needs no account anywhere; ROPEWALK_IMAGES=remote pulls
the real nginx instead.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

BIN = Path(sys.executable).parent
DEFINITION = Path(__file__).parent / "ecs-task-definition-webapp.json"
LOGS = (
    "aws logs filter-log-events --log-group-name /ecs/webapp --log-stream-name-prefix web/ "
    "--query 'events[].message' --output text"
)
console = Console(highlight=False)


def run(arguments: list[str], environment: dict[str, str], show: bool = True) -> str:
    """Run one command, printed; its standard output. A failure ends the demo with the command's own words."""
    if show:
        console.print(f"[bold cyan]$[/] {escape(shlex.join(arguments))}", soft_wrap=True)
    path = f"{BIN}:{environment.get('PATH', '')}"
    done = subprocess.run(arguments, env={**environment, "PATH": path}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        console.print(done.stdout + done.stderr, style="red", markup=False)
        console.print("The demo stops here. `ropewalk status` and `ropewalk doctor` say more.")
        raise SystemExit(1)
    return done.stdout


def aws(environment: dict[str, str], *arguments: str) -> Any:
    output = run(["aws", *arguments, "--output", "json"], environment)
    return json.loads(output) if output.strip() else None


def start() -> dict[str, str]:
    """Bring Ropewalk up and answer the environment in which `aws` finds it."""
    images = os.environ.get("ROPEWALK_IMAGES", "local")
    console.rule("Ropewalk comes up")
    if images == "local":
        console.print("nginx:latest is built from Debian's packages (ROPEWALK_IMAGES=remote pulls the real one).")
    if subprocess.run([str(BIN / "ropewalk"), "up", "--detach", "--images", images], check=False).returncode != 0:
        raise SystemExit(1)
    environment = dict(os.environ)
    for name in list(environment):
        if name.startswith("AWS_"):
            del environment[name]
    environment.update(json.loads(run([str(BIN / "ropewalk"), "env", "--output", "json"], environment, show=False)))
    environment["AWS_PAGER"] = ""
    return environment


def network(environment: dict[str, str]) -> tuple[str, str]:
    """A subnet of the default VPC, and a security group that lets port 80 in: (subnet, group)."""
    subnets = aws(environment, "ec2", "describe-subnets", "--filters", "Name=default-for-az,Values=true")["Subnets"]
    vpc = subnets[0]["VpcId"]
    named = aws(
        environment,
        "ec2", "describe-security-groups", "--filters", "Name=group-name,Values=webapp", f"Name=vpc-id,Values={vpc}",
    )["SecurityGroups"]  # fmt: skip
    if named:
        return subnets[0]["SubnetId"], named[0]["GroupId"]
    group = aws(
        environment,
        "ec2", "create-security-group", "--group-name", "webapp", "--description", "port 80 from anywhere",
        "--vpc-id", vpc,
    )["GroupId"]  # fmt: skip
    aws(
        environment,
        "ec2", "authorize-security-group-ingress", "--group-id", group, "--protocol", "tcp", "--port", "80",
        "--cidr", "0.0.0.0/0",
    )  # fmt: skip
    return subnets[0]["SubnetId"], group


def log_group(environment: dict[str, str]) -> None:
    """The lecture's file names a log group and does not ask for its creation: as on AWS, it must exist."""
    found = aws(environment, "logs", "describe-log-groups", "--log-group-name-prefix", "/ecs/webapp")
    if not any(group["logGroupName"] == "/ecs/webapp" for group in found["logGroups"]):
        run(["aws", "logs", "create-log-group", "--log-group-name", "/ecs/webapp"], environment)


def fetch(environment: dict[str, str], url: str) -> str:
    """The page behind the address: by curl, or by Python on a machine without it."""
    if shutil.which("curl") is None:
        console.print(f"[bold cyan]$[/] curl {url}   (no curl here: fetched by Python)")
        with urllib.request.urlopen(url, timeout=10) as answer:
            body: bytes = answer.read()
        return body.decode()
    options = ["--silent", "--show-error", "--fail", "--max-time", "10", "--retry", "5", "--retry-connrefused"]
    return run(["curl", *options, url], environment)


def main() -> None:
    environment = start()
    console.rule("The lecture's task definition, on Fargate")
    log_group(environment)
    subnet, group = network(environment)
    aws(environment, "ecs", "register-task-definition", "--cli-input-json", f"file://{DEFINITION}")
    configuration = f"awsvpcConfiguration={{subnets=[{subnet}],securityGroups=[{group}]}}"
    task = aws(
        environment,
        "ecs", "run-task", "--task-definition", "webapp", "--launch-type", "FARGATE",
        "--network-configuration", configuration,
    )["tasks"][0]  # fmt: skip
    arn = task["taskArn"]
    run(["aws", "ecs", "wait", "tasks-running", "--tasks", arn], environment)
    task = aws(environment, "ecs", "describe-tasks", "--tasks", arn)["tasks"][0]
    details = {item["name"]: item["value"] for item in task["attachments"][0]["details"]}
    url = f"http://{details['privateIPv4Address']}/"
    page = fetch(environment, url)
    if "Welcome to nginx" not in page:
        console.print(f"{url} answered, but not with nginx's page:\n{page}", style="red", markup=False)
        raise SystemExit(1)
    console.rule("It runs")
    console.print(
        f"nginx answers at [bold]{url}[/]: a container in a network namespace of its own, behind a security group."
    )
    console.print('To go on in this shell:   eval "$(.venv/bin/ropewalk env)"; PATH=$PWD/.venv/bin:$PATH')
    console.print(f"Its access log:           {LOGS}", markup=False, soft_wrap=True)
    console.print(f"Stop the task:            aws ecs stop-task --task {arn}", soft_wrap=True)
    console.print("Stop everything:          sudo .venv/bin/ropewalk down")
    console.print(url)


if __name__ == "__main__":
    main()
