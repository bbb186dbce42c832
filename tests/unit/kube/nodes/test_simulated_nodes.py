"""Simulated nodes end to end: pods are bound, run by agents over the agent protocol, told of, stopped and deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.machinery.times import parse
from ropewalk.model.status import WorkloadPhase
from support.kube_cluster import NODES, PODS, Cluster, condition, web

LEASES = GroupResource("coordination.k8s.io", "leases")


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = await Cluster().up()
    yield made
    await made.down()


async def test_nodes_are_registered_ready_and_keep_their_leases(cluster: Cluster) -> None:
    nodes = await cluster.api.list(NODES)
    assert [node["metadata"]["name"] for node in nodes] == ["simulated-0", "simulated-1"]
    assert [condition(node, "Ready")["status"] for node in nodes] == ["True", "True"]
    assert nodes[1]["metadata"]["labels"]["topology.kubernetes.io/zone"] == "us-east-1b"
    assert nodes[0]["status"]["allocatable"]["pods"] == "110"
    addresses = {each["address"] for node in nodes for each in node["status"]["addresses"]}
    assert len(addresses) == 4
    before = await cluster.api.get(LEASES, "kube-node-lease", "simulated-1")
    assert before["spec"]["holderIdentity"] == "simulated-1" and before["spec"]["leaseDurationSeconds"] == 40
    await cluster.clock.advance(30.0)
    after = await cluster.api.get(LEASES, "kube-node-lease", "simulated-1")
    assert parse(after["spec"]["renewTime"]) >= cluster.clock.wall() - 11


async def test_a_lease_removed_by_others_comes_back(cluster: Cluster) -> None:
    await cluster.api.delete(LEASES, "kube-node-lease", "simulated-0")
    await cluster.clock.advance(25.0)
    assert (await cluster.api.get(LEASES, "kube-node-lease", "simulated-0"))["metadata"]["ownerReferences"]


async def test_a_node_that_is_there_already_is_taken_over() -> None:
    """After a restart of ours; the taint is what admission gives to a new node, and the node controller takes away."""
    cluster = Cluster(1)
    taints = [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}, {"key": "mine", "effect": "NoSchedule"}]
    made = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "simulated-0"}, "spec": {"taints": taints}}
    await cluster.api.create(NODES, made)
    info = {"nodeInfo": {"bootID": "b-1", "machineID": "m-1"}}
    await cluster.api.patch(NODES, "", "simulated-0", {"status": info}, subresource="status")
    await cluster.up()
    node = await cluster.api.get(NODES, "", "simulated-0")
    assert node["spec"]["taints"] == taints and condition(node, "Ready")["status"] == "True"
    assert node["status"]["nodeInfo"]["bootID"] == "b-1"
    await cluster.down()


async def test_a_server_runs_and_is_ready(cluster: Cluster) -> None:
    pod = await cluster.run("a")
    status = pod["status"]
    assert pod["spec"]["nodeName"] == "simulated-0" and status["phase"] == "Running"
    kinds = ("PodScheduled", "Initialized", "Ready", "ContainersReady", "PodReadyToStartContainers")
    assert {condition(pod, kind)["status"] for kind in kinds} == {"True"}
    (container,) = status["containerStatuses"]
    assert container["ready"] and container["started"] and container["state"]["running"]["startedAt"]
    assert status["podIP"].startswith("10.200.0.") and status["hostIP"] == "10.192.0.1" and status["startTime"]


async def test_pods_go_where_most_is_free_with_addresses_of_their_own(cluster: Cluster) -> None:
    for number in range(4):
        await cluster.create(f"p-{number}", web(resources={"requests": {"cpu": "1"}}))
    await cluster.clock.advance(0.5)
    pods = await cluster.api.list(PODS)
    assert sorted(pod["spec"]["nodeName"] for pod in pods) == ["simulated-0"] * 2 + ["simulated-1"] * 2
    assert len({pod["status"]["podIP"] for pod in pods}) == 4


@pytest.mark.parametrize(
    ("script", "phase", "code", "reason"),
    [("exit 0", "Succeeded", 0, "Completed"), ("exit 3", "Failed", 3, "Error")],
)
async def test_a_command_completes(cluster: Cluster, script: str, phase: str, code: int, reason: str) -> None:
    pod = await cluster.run("job", web("web", "sh", "-c", script), restartPolicy="Never")
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (pod["status"]["phase"], ended["exitCode"], ended["reason"]) == (phase, code, reason)
    assert condition(pod, "Ready")["reason"] == ("PodCompleted" if code == 0 else "PodFailed")
    again = await cluster.pod("job")
    await cluster.clock.advance(60.0)
    assert await cluster.pod("job") == again, "what has ended is told once"


async def test_a_command_that_takes_time(cluster: Cluster) -> None:
    pod = await cluster.run("job", web("web", "sleep", "10"), restartPolicy="OnFailure")
    assert pod["status"]["phase"] == "Running"
    await cluster.clock.advance(11.0)
    assert (await cluster.pod("job"))["status"]["phase"] == "Succeeded"


async def test_a_container_that_fails_is_restarted_with_growing_pauses(cluster: Cluster) -> None:
    await cluster.run("crash", web("web", "sh", "-c", "sleep 1; exit 2"))
    await cluster.clock.advance(2.7)
    pod = await cluster.pod("crash")
    (container,) = pod["status"]["containerStatuses"]
    assert pod["status"]["phase"] == "Running" and container["restartCount"] >= 1
    assert container["lastState"]["terminated"]["exitCode"] == 2
    assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff" and not container["ready"]
    assert condition(pod, "Ready")["message"] == "containers with unready status: [web]"
    await cluster.clock.advance(60.0)
    (later,) = (await cluster.pod("crash"))["status"]["containerStatuses"]
    assert later["restartCount"] > container["restartCount"]


async def test_init_containers_run_one_after_the_other(cluster: Cluster) -> None:
    inits = [web("first", "sleep", "5"), web("second", "true")]
    pod = await cluster.run("a", web(), initContainers=inits)
    assert pod["status"]["phase"] == "Pending"
    assert condition(pod, "Initialized")["message"] == "containers with incomplete status: [first second]"
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    await cluster.clock.advance(6.0)
    pod = await cluster.pod("a")
    assert pod["status"]["phase"] == "Running" and condition(pod, "Initialized")["status"] == "True"
    ended = [each["state"]["terminated"]["exitCode"] for each in pod["status"]["initContainerStatuses"]]
    assert ended == [0, 0]


async def test_a_failed_init_container_fails_a_pod_that_never_restarts(cluster: Cluster) -> None:
    pod = await cluster.run("a", web(), initContainers=[web("init", "false")], restartPolicy="Never")
    assert pod["status"]["phase"] == "Failed"


async def test_a_sidecar_serves_until_the_others_have_ended(cluster: Cluster) -> None:
    sidecar = web("proxy", restartPolicy="Always")
    pod = await cluster.run("a", web("web", "sleep", "5"), initContainers=[sidecar], restartPolicy="Never")
    assert pod["status"]["phase"] == "Running" and pod["status"]["initContainerStatuses"][0]["ready"]
    await cluster.clock.advance(6.0)
    assert (await cluster.pod("a"))["status"]["phase"] == "Succeeded"


async def test_a_deleted_pod_is_stopped_told_of_and_gone(cluster: Cluster) -> None:
    seen: list[str] = []
    cluster.api.cache(PODS).on_change(
        lambda change: seen.append(change.new["status"].get("phase", "") if change.new else "gone")
    )
    pod = await cluster.run("a")
    await cluster.api.delete(PODS, "default", "a")
    await cluster.clock.advance(1.0)
    assert await cluster.api.list(PODS) == []
    assert seen[-2:] == ["Failed", "gone"], "stopped by a signal: 143"
    assert await cluster.workloads.list() == []
    again = await cluster.run("a")
    assert again["metadata"]["uid"] != pod["metadata"]["uid"] and again["status"]["phase"] == "Running"


async def test_a_pod_deleted_without_grace_leaves_nothing_on_its_node(cluster: Cluster) -> None:
    pod = await cluster.run("a")
    agent = next(agent for agent in cluster.machines.agents if agent.machine == pod["spec"]["nodeName"])
    assert [state.phase for state in agent.states()] == [WorkloadPhase.RUNNING]
    await cluster.api.delete(PODS, "default", "a", grace_seconds=0)
    await cluster.clock.advance(1.0)
    assert [s.phase for s in agent.states() if s.phase is not WorkloadPhase.STOPPED] == []
    assert await cluster.workloads.list() == []


async def test_what_cannot_be_simulated_waits_and_says_so(cluster: Cluster) -> None:
    from_file = {"name": "X", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "k"}}}
    pod = await cluster.run("a", web(env=[from_file]), volumes=[{"name": "v", "emptyDir": {}}])
    waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "CreateContainerConfigError" and "fileKeyRef" in waiting["message"]
    await cluster.api.delete(PODS, "default", "a")
    await cluster.clock.advance(1.0)
    assert await cluster.api.list(PODS) == []


async def test_a_pod_that_fits_nowhere_says_why_and_is_bound_once_it_does(cluster: Cluster) -> None:
    pod = await cluster.run("a", nodeSelector={"disk": "ssd"})
    told = condition(pod, "PodScheduled")
    assert (told["status"], told["reason"]) == ("False", "Unschedulable")
    assert told["message"] == (
        "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    )
    await cluster.api.patch(NODES, "", "simulated-1", {"metadata": {"labels": {"disk": "ssd"}}})
    await cluster.clock.advance(2.0)
    pod = await cluster.pod("a")
    assert pod["spec"]["nodeName"] == "simulated-1" and pod["status"]["phase"] == "Running"
    assert condition(pod, "PodScheduled")["status"] == "True"


async def test_pods_of_other_schedulers_and_with_gates_are_left_alone(cluster: Cluster) -> None:
    assert "nodeName" not in (await cluster.run("a", schedulerName="mine"))["spec"]
    assert "nodeName" not in (await cluster.run("b", schedulingGates=[{"name": "x.io/wait"}]))["spec"]
    assert (await cluster.run("c", nodeName="simulated-1"))["status"]["phase"] == "Running"


async def test_a_full_node_takes_no_more() -> None:
    cluster = await Cluster(1).up()
    await cluster.api.patch(NODES, "", "simulated-0", {"status": {"allocatable": {"pods": "2"}}}, subresource="status")
    for name in ("a", "b", "c"):
        await cluster.create(name)
    await cluster.clock.advance(1.0)
    homeless = [pod for pod in await cluster.api.list(PODS) if "nodeName" not in pod["spec"]]
    assert len(homeless) == 1 and condition(homeless[0], "PodScheduled")["message"] == (
        "0/1 nodes are available: 1 Too many pods. "
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )
    bound = next(name for name in ("a", "b", "c") if name != homeless[0]["metadata"]["name"])
    await cluster.api.delete(PODS, "default", bound)
    await cluster.clock.advance(2.0)
    assert (await cluster.pod(homeless[0]["metadata"]["name"]))["status"]["phase"] == "Running"
    await cluster.down()


async def test_a_readiness_gate_keeps_a_pod_unready(cluster: Cluster) -> None:
    pod = await cluster.run("a", readinessGates=[{"conditionType": "x.io/ok"}])
    assert condition(pod, "ContainersReady")["status"] == "True" and condition(pod, "Ready")["status"] == "False"
    gate = {"type": "x.io/ok", "status": "True"}
    await cluster.api.patch(
        PODS, "default", "a", {"status": {"conditions": [*pod["status"]["conditions"], gate]}}, subresource="status"
    )
    await cluster.clock.advance(0.5)
    pod = await cluster.pod("a")
    assert condition(pod, "Ready")["status"] == "True" and condition(pod, "x.io/ok")["status"] == "True"


PROBE = {"httpGet": {"path": "/healthz", "port": 80}, "periodSeconds": 2, "failureThreshold": 2}


def simulate(text: str) -> dict[str, object]:
    return {"name": "ROPEWALK_SIMULATE", "value": text}


async def events(cluster: Cluster) -> list[tuple[str, str, str, int]]:
    """Of the nodes."""
    found = await cluster.api.list(GroupResource("", "events"), "default")
    return sorted((e["type"], e["reason"], e["message"], e["count"]) for e in found if e["reason"] != "Scheduled")


async def test_a_pod_that_fails_its_readiness_probe_is_not_ready_and_says_so(cluster: Cluster) -> None:
    await cluster.run("a", web("web", env=[simulate("health=1")], readinessProbe=PROBE))
    await cluster.clock.advance(3.0)
    pod = await cluster.pod("a")
    (container,) = pod["status"]["containerStatuses"]
    assert (container["started"], container["ready"], pod["status"]["phase"]) == (True, False, "Running")
    assert condition(pod, "Ready")["message"] == "containers with unready status: [web]"
    (told,) = await events(cluster)
    assert told[:3] == ("Warning", "Unhealthy", "Readiness probe failed: health=1") and told[3] >= 2


async def test_a_pod_that_fails_its_liveness_probe_is_restarted(cluster: Cluster) -> None:
    await cluster.run("a", web("web", env=[simulate("health=1")], livenessProbe=PROBE))
    await cluster.clock.advance(3.0)
    (container,) = (await cluster.pod("a"))["status"]["containerStatuses"]
    assert container["restartCount"] == 1 and container["lastState"]["terminated"]["exitCode"] == 143
    told = [each[1:3] for each in await events(cluster)]
    assert ("Killing", "Container web failed liveness probe, will be restarted") in told
    assert ("Unhealthy", "Liveness probe failed: health=1") in told


async def test_a_readiness_gate_holds_a_pod_back(cluster: Cluster) -> None:
    pod = await cluster.run("a", readinessGates=[{"conditionType": "example.com/lb"}])
    assert condition(pod, "ContainersReady")["status"] == "True"
    ready = condition(pod, "Ready")
    assert ready["reason"] == "ReadinessGatesNotReady"
    assert ready["message"] == 'corresponding condition of pod readiness gate "example.com/lb" does not exist.'


@pytest.mark.parametrize(
    ("word", "waiting", "reason"),
    [("create=no_such_user", "CreateContainerError", None), ("start=no_such_file", "CrashLoopBackOff", "StartError")],
)
async def test_what_cannot_start_says_why(cluster: Cluster, word: str, waiting: str, reason: str | None) -> None:
    await cluster.run("a", web("web", env=[simulate(word)]))
    await cluster.clock.advance(1.0)
    (container,) = (await cluster.pod("a"))["status"]["containerStatuses"]
    assert container["state"]["waiting"]["reason"] == waiting
    last = container["lastState"].get("terminated")
    assert (last and last["reason"], last and last["exitCode"]) == (reason, 128 if reason else None)


async def test_an_image_that_cannot_be_had_is_waited_for(cluster: Cluster) -> None:
    for machine in cluster.machines.agents:
        machine._runtime.refused_pulls["none:1"] = "missing"  # type: ignore[attr-defined]  # the fake runtime's switch
    pod = await cluster.run("a", web("web", image="none:1"))
    waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "ErrImagePull", "message": "none:1: no such image in its registry"}
    await cluster.clock.advance(2.0)
    waiting = (await cluster.pod("a"))["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"
    assert waiting["message"].startswith('Back-off pulling image "none:1": ErrImagePull: none:1')
    assert [each[1] for each in await events(cluster)] == ["BackOff", "Failed"]


async def test_out_of_memory_is_called_so(cluster: Cluster) -> None:
    pod = await cluster.run("a", web("web", env=[simulate("oom")]), restartPolicy="Never")
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"], pod["status"]["phase"]) == ("OOMKilled", 137, "Failed")


async def test_a_shorter_grace_at_a_second_deletion_is_heeded(cluster: Cluster) -> None:
    await cluster.run("a", web("web", env=[simulate("ignore-term")]))
    await cluster.api.delete(PODS, "default", "a")
    await cluster.clock.advance(1.0)
    assert (await cluster.workloads.list())[0].record.stop_timeout == 30.0
    await cluster.api.delete(PODS, "default", "a", grace_seconds=3)
    await cluster.clock.advance(5.0)
    assert await cluster.api.list(PODS) == []


CONFIG_MAPS = GroupResource("", "configmaps")


async def test_a_pod_waits_for_its_configmap_and_starts_when_it_is_there(cluster: Cluster) -> None:
    variable = {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "mode"}}}
    pod = await cluster.run("a", web("web", "sh", "-c", "echo $MODE; sleep 3; exit 1", env=[variable]), web("other"))
    held, other = pod["status"]["containerStatuses"]
    waiting = {"reason": "CreateContainerConfigError", "message": 'configmap "c" not found'}
    assert held["state"]["waiting"] == waiting and "running" in other["state"] and pod["status"]["phase"] == "Pending"
    made = {"metadata": {"name": "c", "namespace": "default"}, "data": {"mode": "fast"}}
    await cluster.api.create(CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap"} | made, namespace="default")
    await cluster.clock.advance(1.0)
    assert (await cluster.pod("a"))["status"]["phase"] == "Running"
    await cluster.api.patch(CONFIG_MAPS, "default", "c", {"data": {"mode": "slow"}})
    await cluster.clock.advance(5.0)
    runtime = cluster.machines.agents[0]._runtime
    texts = {run: b"".join(line.text for line in output.lines) for run, output in runtime._outputs.items()}  # type: ignore[attr-defined]  # the fake's
    said = {attempt: text for (_, name, attempt), text in texts.items() if name == "web"}
    assert said == {0: b"fast\n", 1: b"slow\n"}, "a change counts from the next start"


async def test_a_pod_sleeps_before_it_stops(cluster: Cluster) -> None:
    await cluster.run("a", web("web", lifecycle={"preStop": {"sleep": {"seconds": 5}}}))
    await cluster.api.delete(PODS, "default", "a")
    await cluster.clock.advance(4.5)
    assert "running" in (await cluster.pod("a"))["status"]["containerStatuses"][0]["state"]
    assert ("Killing", "Stopping container web") in [each[1:3] for each in await events(cluster)]
    await cluster.clock.advance(1.5)
    assert await cluster.api.list(PODS) == []


async def test_a_hook_that_nobody_can_run_is_told_of(cluster: Cluster) -> None:
    await cluster.run("a", web("web", lifecycle={"postStart": {"tcpSocket": {"port": 80}}}))
    await cluster.clock.advance(1.0)
    told = [each[1:3] for each in await events(cluster)]
    assert {("FailedPostStartHook", "PostStartHook failed"), ("Killing", "FailedPostStartHook")} <= set(told)
    (container,) = (await cluster.pod("a"))["status"]["containerStatuses"]
    assert container["restartCount"] >= 1


async def test_a_containers_status_shows_its_mounts_and_resources(cluster: Cluster) -> None:
    requests = {"cpu": "100m"}
    shown = [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b", "readOnly": True}]
    container = web("web", volumeMounts=shown, resources={"requests": requests})
    pod = await cluster.run("a", container, volumes=[{"name": "v", "emptyDir": {}}])
    (status,) = pod["status"]["containerStatuses"]
    assert status["volumeMounts"] == [shown[0], shown[1] | {"recursiveReadOnly": "Disabled"}]
    assert status["resources"] == {"requests": requests} and status["allocatedResources"] == requests


async def test_a_pod_is_active_no_longer_than_it_may_be(cluster: Cluster) -> None:
    await cluster.run("a", activeDeadlineSeconds=20)
    await cluster.clock.advance(15.0)
    assert (await cluster.pod("a"))["status"]["phase"] == "Running"
    await cluster.clock.advance(10.0)
    status = (await cluster.pod("a"))["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert status["message"] == "Pod was active on the node longer than the specified deadline"
