"""E5: what a task sees from inside: documents, its role's keys, the AWS endpoint, names; nothing of the host."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

import botocore.exceptions
import pytest

from support.installation import SLEEP, Installation, address_of

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
MAY_LIST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "ecs:ListClusters", "Resource": "*"}],
}
LOOK = """
say() { echo "$1=$(eval "$2" 2>&1 | tr '\\n' ' ')"; }
until wget -qO- $ECS_CONTAINER_METADATA_URI_V4 | grep -q '"KnownStatus":"RUNNING"'; do :; done
say container 'wget -qO- $ECS_CONTAINER_METADATA_URI_V4'
say task 'wget -qO- $ECS_CONTAINER_METADATA_URI_V4/task'
say tags 'wget -qO- $ECS_CONTAINER_METADATA_URI_V4/taskWithTags'
say stats 'wget -qO- $ECS_CONTAINER_METADATA_URI_V4/stats'
say all 'wget -qO- $ECS_CONTAINER_METADATA_URI_V4/task/stats'
say keys 'wget -qO- http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'
say endpoint 'wget -SO- $AWS_ENDPOINT_URL'
say own 'nslookup $(hostname) 169.254.169.253'
say stranger 'nslookup no-such-name.ec2.internal 169.254.169.253'
say region 'echo $AWS_REGION $AWS_DEFAULT_REGION $AWS_EXECUTION_ENV'
echo done
"""


@pytest.fixture(scope="module")
def seen(installation: Installation) -> dict[str, str]:
    """What one task of a role printed about itself; "arn" and "address" are what the API says of it."""
    iam = installation.client("iam")
    iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(RoleName="reader", PolicyName="list", PolicyDocument=json.dumps(MAY_LIST))
    installation.register("look", {"name": "main", "command": ["sh", "-c", LOOK]}, taskRoleArn="reader")
    group = installation.group("look")
    task = installation.run_task("look", group, tags=[{"key": "team", "value": "harbour"}])
    stopped = installation.finish(task["taskArn"])
    printed = dict(line.split("=", 1) for line in installation.lines(task["taskArn"], until="done") if "=" in line)
    return {**printed, "arn": task["taskArn"], "address": address_of(stopped)}


def test_the_documents_say_what_the_api_says(installation: Installation, seen: dict[str, str]) -> None:
    task, tagged = json.loads(seen["task"]), json.loads(seen["tags"])
    told = installation.task(seen["arn"])
    assert task["TaskARN"] == seen["arn"] == told["taskArn"]
    assert (task["Cluster"], task["Family"], task["Revision"]) == (told["clusterArn"], "look", "1")
    assert (task["KnownStatus"], task["DesiredStatus"], task["LaunchType"]) == ("RUNNING", "RUNNING", "FARGATE")
    assert task["Limits"] == {"CPU": 0.25, "Memory": 512}
    assert task["AvailabilityZone"] == told["availabilityZone"]
    assert tagged["TaskTags"] == {"team": "harbour"} and "TaskTags" not in task
    container = json.loads(seen["container"])
    assert container == task["Containers"][0]
    assert container["ContainerARN"] == told["containers"][0]["containerArn"]
    assert container["Networks"][0]["IPv4Addresses"] == [seen["address"]]
    assert container["LogOptions"]["awslogs-stream"] == f"out/main/{seen['arn'].rpartition('/')[2]}"


def test_statistics_are_the_kernels(seen: dict[str, str]) -> None:
    stats, every = json.loads(seen["stats"]), json.loads(seen["all"])
    assert stats["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert 0 < stats["memory_stats"]["usage"] < stats["memory_stats"]["limit"] == 512 << 20
    assert stats["networks"]["eth1"]["rx_bytes"] > 0
    assert list(every) == [stats["id"]]


def keys(seen: dict[str, str]) -> dict[str, Any]:
    given = json.loads(seen["keys"])
    return {"key": given["AccessKeyId"], "secret": given["SecretAccessKey"], "token": given["Token"]}


def test_the_keys_are_the_task_roles(installation: Installation, seen: dict[str, str]) -> None:
    identity = installation.client("sts", **keys(seen)).get_caller_identity()
    session = seen["arn"].rpartition("/")[2]
    assert identity["Arn"] == f"arn:aws:sts::123456789012:assumed-role/reader/{session}"


def test_the_keys_may_do_what_the_role_may_and_nothing_else(installation: Installation, seen: dict[str, str]) -> None:
    ecs = installation.client("ecs", **keys(seen))
    assert ecs.list_clusters()["clusterArns"]
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        ecs.create_cluster(clusterName="forbidden")
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert "ecs:CreateCluster" in refused.value.response["Error"]["Message"]
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        installation.client("iam", **keys(seen)).list_users()
    assert refused.value.response["Error"]["Code"] == "AccessDenied"
    without = installation.client("sts", **{**keys(seen), "token": None})
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        without.get_caller_identity()
    assert refused.value.response["Error"]["Code"] == "InvalidClientTokenId"


def test_the_endpoint_answers_inside_the_vpc(seen: dict[str, str]) -> None:
    assert "HTTP/1.1 400" in seen["endpoint"] or "HTTP/1.1 403" in seen["endpoint"], seen["endpoint"]
    assert seen["region"].split() == ["us-east-1", "us-east-1", "AWS_ECS_FARGATE"]


def test_the_resolver_knows_the_tasks_own_name_and_invents_none(seen: dict[str, str]) -> None:
    assert seen["own"].split().count(seen["address"]) == 1, seen["own"]
    assert "NXDOMAIN" in seen["stranger"] or "can't resolve" in seen["stranger"], seen["stranger"]


@pytest.fixture
def served_by_the_host() -> Iterator[int]:
    """A web server on every address of the host."""
    server = http.server.HTTPServer(("0.0.0.0", 0), http.server.SimpleHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def host_addresses() -> set[str]:
    """An address of the host's own uplink, beside the router's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # a datagram socket: nothing is sent
        except OSError:
            return set()
        return {probe.getsockname()[0]}


def test_a_task_reaches_nothing_of_the_host(installation: Installation, served_by_the_host: int) -> None:
    group = installation.group("outward")
    assert urllib.request.urlopen(f"http://127.0.0.1:{served_by_the_host}/", timeout=5).status == 200
    gateway = "$(ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p')"
    hosts = [gateway, "169.254.170.1", "169.254.170.2", "169.254.169.253", "169.254.192.0", *host_addresses()]
    targets = [f"{host}:{port}" for host in hosts for port in (served_by_the_host, installation.port)]
    tries = [
        f"(timeout 1 wget -SO- http://{target}/ 2>&1 | grep -q HTTP/ && echo {target} answers) &"
        for target in (*targets, "169.254.170.1:4566")
    ]
    installation.register("outward", {"name": "main", "command": ["sh", "-c", f"{' '.join(tries)} wait; echo done"]})
    arn = installation.run_task("outward", group)["taskArn"]
    installation.finish(arn, 60)
    lines = installation.lines(arn, until="done")
    answering = [line for line in lines if line.endswith("answers")]
    assert answering == ["169.254.170.1:4566 answers"], lines


def test_another_tasks_documents_and_keys_are_refused(installation: Installation, seen: dict[str, str]) -> None:
    """Knowing the path is not enough: it answers only to the address of the task it belongs to."""
    show = f'echo "paths=$ECS_CONTAINER_METADATA_URI_V4 $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"; {SLEEP[2]}'
    installation.register("owner", {"name": "main", "command": ["sh", "-c", show]}, taskRoleArn="reader")
    group = installation.group("owner")
    owner = installation.run_task("owner", group)["taskArn"]
    document, relative = installation.lines(owner, until="paths=")[0].removeprefix("paths=").split()
    fetch = (
        f"wget -qO- {document}/task && echo READ; wget -qO- http://169.254.170.2{relative} && echo READ;"
        " wget -qO- $ECS_CONTAINER_METADATA_URI_V4/task >/dev/null && echo own; echo done"
    )
    installation.register("thief", {"name": "main", "command": ["sh", "-c", fetch]})
    thief = installation.run_task("thief", group)["taskArn"]
    installation.finish(thief)
    lines = [line for line in installation.lines(thief, until="done") if not line.startswith("wget: ")]
    assert lines == ["own", "done"], lines
    installation.stop_task(owner)
