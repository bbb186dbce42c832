"""kubectl with running pods: logs, exec, attach, ports, proxy, debugging, drains. Containers are fakes with a shell."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from http.client import HTTPConnection
from typing import Any

import pexpect
import pytest

from support.installation import eventually, free_port
from support.kube_process import BIN, Space, manifest, pod

TALKS = ("sh", "-c", "echo first; echo second >&2; sleep 3600")


def server(name: str, **about: Any) -> dict[str, Any]:
    made = pod(name, **about)
    made["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 8080}]
    return made


@pytest.fixture
def web(space: Space) -> Space:
    """A pod that serves, ready."""
    space.create(server("web", labels={"app": "web"}))
    space.wait("pod/web", "condition=Ready")
    return space


def terminal(space: Space, *arguments: str) -> pexpect.spawn[str]:
    """kubectl at a terminal of its own."""
    command = ["-n", space.name, *arguments]
    return pexpect.spawn(
        str(BIN / "kubectl"),
        command,
        env=space.cluster.environment,  # type: ignore[arg-type]  # any mapping will do
        encoding="utf-8",
        timeout=15,
        dimensions=(33, 111),
    )


def test_logs(space: Space) -> None:
    two = pod("talks", *TALKS, labels={"app": "talks"})
    two["spec"]["containers"].append(
        {"name": "side", "image": "busybox", "command": ["sh", "-c", "echo aside; sleep 9"]}
    )
    space.create(two)
    space.wait("pod/talks", "condition=Ready")
    assert space("logs", "talks", "-c", "main") == "first\nsecond\n"
    assert "Defaulted container" in space.attempt("logs", "talks").stderr
    assert space("logs", "talks", "-c", "main", "--tail=1") == "second\n"
    assert space("logs", "talks", "-c", "main", "--limit-bytes=3") == "fir"
    stamped = space("logs", "talks", "-c", "main", "--timestamps", "--since=1h").splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z first", stamped[0])
    prefixed = space("logs", "-l", "app=talks", "--all-containers", "--prefix").splitlines()
    assert "[pod/talks/side] aside" in prefixed
    assert "container nope is not valid for pod talks" in space.refused("logs", "talks", "-c", "nope")
    path = f"/api/v1/namespaces/{space.name}/pods/talks/log"
    assert "(BadRequest): container nope is not valid for pod talks" in space.refused(
        "get", "--raw", f"{path}?container=nope"
    )
    assert "a container name must be specified for pod talks, choose one of: [main side]" in space.refused(
        "get", "--raw", path
    )
    refused = space.refused("logs", "talks", "-c", "main", "--previous")
    assert 'previous terminated container "main" in pod "talks" not found' in refused


def test_logs_are_followed_to_the_end(space: Space) -> None:
    space.create(pod("short", "sh", "-c", "echo a; sleep 0.3; echo b", restartPolicy="Never"))
    space.wait("pod/short", "jsonpath={.status.containerStatuses[0]}")
    eventually(lambda: space.attempt("logs", "short").returncode == 0, "there are logs")
    assert space("logs", "short", "--follow") == "a\nb\n"


def test_exec(web: Space) -> None:
    assert web("exec", "web", "--", "echo", "hello") == "hello\n"
    failed = web.attempt("exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (failed.returncode, failed.stdout) == (7, "out\n")
    assert failed.stderr == "err\ncommand terminated with exit code 7\n"
    assert web("exec", "-i", "web", "--", "cat", stdin="typed\n" * 1000) == "typed\n" * 1000
    missing = web.attempt("exec", "web", "--", "nonsense")
    assert missing.returncode != 0 and "executable file not found" in missing.stderr
    assert "(BadRequest): container nope is not valid for pod web" in web.refused(
        "exec", "web", "-c", "nope", "--", "true"
    )
    assert 'pods "nope" not found' in web.refused("exec", "nope", "--", "true")


def test_exec_at_a_terminal(web: Space) -> None:
    shell = terminal(web, "exec", "-it", "web", "--", "sh")
    shell.expect_exact("/ # ")
    shell.sendline("stty size")
    shell.expect_exact("33 111")
    shell.setwinsize(44, 99)
    shell.expect_exact("/ # ")
    eventually(lambda: _size(shell) == "44 99", "the new size has come")
    shell.sendline("exit 5")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 5


def _size(shell: pexpect.spawn[str]) -> str:
    shell.sendline("stty size")
    shell.expect(r"(\d+ \d+)\r\n")
    found: str = shell.match[1]  # type: ignore[index,union-attr]
    shell.expect_exact("/ # ")
    return found


@pytest.mark.parametrize("websockets", ["true", "false"])
def test_exec_over_either_protocol(websockets: str, web: Space) -> None:
    """WebSocket v5 by default, SPDY for those who say so."""
    chosen = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": websockets}
    command = ["kubectl", "-n", web.name, "exec", "-i", "web", "--", "cat"]
    data = "x" * 200_000
    assert web.cluster.succeed(command, environment=chosen, stdin=data) == data


def test_attach(space: Space) -> None:
    reads = pod("reads", "sh", "-c", "echo ready; cat", restartPolicy="Never")
    reads["spec"]["containers"][0] |= {"stdin": True, "stdinOnce": True}
    space.create(reads)
    space.wait("pod/reads", "condition=Ready")
    assert space("attach", "-i", "reads", stdin="typed\n").endswith("typed\n")
    space.wait("pod/reads", "jsonpath={.status.phase}=Succeeded")


def test_run_attached(space: Space) -> None:
    said = space(
        "run", "once", "--image=busybox", "--restart=Never", "--attach", "--", "sh", "-c", "sleep 1; echo done"
    )
    assert "done" in said
    said = space(
        "run", "gone", "--image=busybox", "--restart=Never", "-i", "--rm", "--quiet", "--", "cat", stdin="in\n"
    )
    assert "in\n" in said
    assert "not found" in space.refused("get", "pod", "gone")


def test_copy_needs_tar_in_the_container(web: Space) -> None:
    path = web.folder / "file"
    path.write_text("content")
    refused = web.refused("cp", str(path), "web:/tmp/file")
    assert 'exec: "tar": executable file not found in $PATH' in refused


@pytest.mark.parametrize("websockets", ["true", "false"])
def test_port_forward(websockets: str, web: Space) -> None:
    command = [str(BIN / "kubectl"), "-n", web.name, "port-forward", "pod/web", ":http"]
    environment = {**web.cluster.environment, "KUBECTL_PORT_FORWARD_WEBSOCKETS": websockets}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as forward:
        try:
            assert forward.stdout is not None
            heard = re.match(r"Forwarding from 127.0.0.1:(\d+) -> 8080", forward.stdout.readline())
            assert heard
            for path in ("/one", "/two"):
                assert f"GET {path}" in _get(int(heard[1]), path)
            with socket.create_connection(("127.0.0.1", int(heard[1])), timeout=10) as plain:
                plain.sendall(b"not HTTP\n")
                assert plain.recv(100) == b"not HTTP\n"
        finally:
            forward.terminate()


def _get(port: int, path: str, host: str = "127.0.0.1") -> str:
    connection = HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_proxy(web: Space) -> None:
    """kubectl's own proxy, and through it the server's to a pod."""
    port = free_port()
    with web.cluster.running_kubectl("proxy", f"--port={port}") as proxy:
        assert proxy.stdout is not None
        assert f"127.0.0.1:{port}" in proxy.stdout.readline()
        pods = json.loads(_get(port, f"/api/v1/namespaces/{web.name}/pods"))
        assert [item["metadata"]["name"] for item in pods["items"]] == ["web"]
        told = _get(port, f"/api/v1/namespaces/{web.name}/pods/web:8080/proxy/some/path?q=1")
        assert "GET /some/path" in told


def test_raw_proxy_to_a_service(web: Space) -> None:
    web("expose", "pod", "web", "--port=80", "--target-port=8080")
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"port": 8080}],
        "endpoints": [
            {
                "addresses": [web.get("pod", "web")["status"]["podIP"]],
                "targetRef": {"kind": "Pod", "name": "web", "namespace": web.name},
            }
        ],
    }
    web.create(slice_)
    told = web("get", "--raw", f"/api/v1/namespaces/{web.name}/services/web:80/proxy/through")
    assert "GET /through" in told


def test_debug_adds_an_ephemeral_container(web: Space) -> None:
    web("debug", "web", "--image=busybox", "--container=look", "--target=main", "--", "sh", "-c", "sleep 3600")
    made = web.get("pod", "web")["spec"]["ephemeralContainers"][0]
    assert (made["name"], made["targetContainerName"], made["image"]) == ("look", "main", "busybox")
    changed = json.dumps([{"op": "replace", "path": "/spec/ephemeralContainers/0/image", "value": "other"}])
    assert "Forbidden" in web.refused("patch", "pod", "web", "--type=json", "-p", changed)


def test_debug_a_copy_and_a_node(web: Space) -> None:
    web("debug", "web", "--image=busybox", "--copy-to=copy", "--container=look", "--", "sleep", "3600")
    assert [one["name"] for one in web.get("pod", "copy")["spec"]["containers"]] == ["main", "look"]
    said = web("debug", "node/simulated-0", "--image=busybox", "--attach=false", "--profile=general", "--", "true")
    name = re.search(r"Creating debugging pod (\S+) ", said)
    assert name
    spec = web.get("pod", name[1])["spec"]
    assert spec["nodeName"] == "simulated-0" and spec["hostPID"] is True


def test_cordon_drain_and_taint(space: Space) -> None:
    """One node only: pods of other tests go to the other, and are none of those drained here."""
    node = "simulated-1"
    pinned = pod("here", labels={"drained": space.name}, nodeSelector={"kubernetes.io/hostname": node})
    space.create(pinned)
    space.wait("pod/here", "condition=Ready")
    assert space("cordon", node) == f"node/{node} cordoned\n"
    try:
        assert "SchedulingDisabled" in space("get", "node", node)
        drain = ("drain", node, f"--pod-selector=drained={space.name}", "--timeout=20s")
        assert "cannot delete" in space.refused(*drain)
        said = space(*drain, "--force")
        assert f"evicting pod {space.name}/here" in said or "evicted" in said
        assert "not found" in space.refused("get", "pod", "here")
        later = {**pinned, "metadata": {"name": "later"}}
        space.create(later)
        space.wait("pod/later", "condition=PodScheduled=false")
    finally:
        space("uncordon", node)
    space.wait("pod/later", "condition=Ready")
    space("taint", "node", node, "team=x:NoSchedule")
    try:
        assert space.get("node", node)["spec"]["taints"] == [{"effect": "NoSchedule", "key": "team", "value": "x"}]
        assert "already has" in space.refused("taint", "node", node, "team=x:NoSchedule")
    finally:
        space("taint", "node", node, "team-")
    assert "taints" not in space.get("node", node)["spec"]


def test_a_budget_holds_an_eviction(space: Space) -> None:
    space.create(pod("kept", labels={"app": "kept"}))
    space.wait("pod/kept", "condition=Ready")
    space("create", "pdb", "kept", "--selector=app=kept", "--min-available=1")
    status = {"status": {"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}}
    status["status"]["observedGeneration"] = space.get("pdb", "kept")["metadata"]["generation"]
    space("patch", "pdb", "kept", "--subresource=status", "--type=merge", "-p", json.dumps(status))
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "kept", "namespace": space.name}}
    path = f"/api/v1/namespaces/{space.name}/pods/kept/eviction"
    refused = space.refused("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    assert "Cannot evict pod as it would violate the pod's disruption budget." in refused


def test_a_pod_that_must_not_be(space: Space) -> None:
    bad = pod("bad")
    bad["spec"]["containers"].append({"name": "main", "image": ""})
    said = space.refused("create", "-f", "-", stdin=manifest(bad))
    assert 'spec.containers[1].name: Duplicate value: "main"' in said
    assert "spec.containers[1].image: Required value" in said
