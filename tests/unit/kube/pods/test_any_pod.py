"""Any pod lowers or is refused with a reason; what it lowers to is understood by an agent, and is told of as a pod."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.kube.pods.lowering import lower
from ropewalk.kube.pods.refusals import Refused
from ropewalk.kube.pods.reporting import Addresses, pod_status
from ropewalk.kube.pods.sources import Place, Sources
from ropewalk.model.ids import Owner
from ropewalk.model.status import WorkloadPhase
from ropewalk.model.workload import Workload, decode, encode
from ropewalk.planning import lifecycle
from ropewalk.planning import lifecycle_records as words

REAL = Place(Owner("c"), "10.1.1.1", "10.0.0.1", {"cpu": "8", "memory": "32Gi"}, files=True, memory_bytes=32 << 30)
SOURCES = Sources({"c": {"data": {"k": "v"}}}, {"s": {"data": {"k": "dg=="}}})

some = st.sampled_from
ports = st.one_of(st.integers(1, 65535), some(["http", "none", "80"]))
actions = st.one_of(
    st.fixed_dictionaries({"exec": st.fixed_dictionaries({"command": st.lists(some(["a", "$(A)"]), max_size=2)})}),
    st.fixed_dictionaries({"httpGet": st.fixed_dictionaries({"port": ports}, optional={"scheme": some(["HTTPS"])})}),
    st.fixed_dictionaries({"tcpSocket": st.fixed_dictionaries({"port": ports})}),
)
grpc = st.fixed_dictionaries({"grpc": st.fixed_dictionaries({"port": st.integers(1, 65535)})})
numbers = st.fixed_dictionaries(
    {},
    optional={
        "initialDelaySeconds": st.integers(0, 30),
        "periodSeconds": st.integers(1, 30),
        "failureThreshold": st.integers(1, 3),
        "terminationGracePeriodSeconds": st.integers(1, 30),
    },
)
probes = st.builds(lambda action, more: action | more, st.one_of(actions, grpc), numbers)
hooks = st.one_of(actions, st.fixed_dictionaries({"sleep": st.fixed_dictionaries({"seconds": st.integers(0, 9)})}))
references = st.fixed_dictionaries({"name": some(["c", "s", "none"]), "key": some(["k", "z"])})
variables = st.one_of(
    st.fixed_dictionaries({"name": some(["A", "B"]), "value": some(["x", "$(A)"])}),
    st.builds(lambda ref: {"name": "C", "valueFrom": {"configMapKeyRef": ref}}, references),
    st.builds(lambda ref: {"name": "D", "valueFrom": {"secretKeyRef": ref}}, references),
    st.builds(lambda p: {"name": "E", "valueFrom": {"fieldRef": {"fieldPath": p}}}, some(["metadata.name", "odd"])),
)
contexts = st.fixed_dictionaries(
    {},
    optional={
        "runAsUser": st.integers(0, 3),
        "runAsGroup": st.integers(0, 3),
        "runAsNonRoot": st.booleans(),
        "privileged": st.booleans(),
        "capabilities": st.fixed_dictionaries({"add": st.lists(some(["NET_ADMIN", "SYS_ADMIN"]), max_size=2)}),
    },
)
mounts = st.builds(
    lambda volume, path: {"name": volume, "mountPath": path, "subPathExpr": "$(A)"},
    some(["v0", "v1"]),
    some(["/a", "/b"]),
)
volume_sources = st.one_of(
    some([{"emptyDir": {}}, {"emptyDir": {"medium": "Memory"}}, {"hostPath": {"path": "/"}}]),
    st.builds(lambda name: {"configMap": {"name": name}}, some(["c", "none"])),
    st.builds(lambda name: {"projected": {"sources": [{"secret": {"name": name}}]}}, some(["s", "none"])),
)


def containers(prefix: str, policies: list[str | None]) -> st.SearchStrategy[list[dict[str, Any]]]:
    fields = {
        "readinessProbe": probes,
        "livenessProbe": probes,
        "startupProbe": probes,
        "lifecycle": st.fixed_dictionaries({}, optional={"preStop": hooks, "postStart": hooks}),
        "env": st.lists(variables, max_size=3),
        "securityContext": contexts,
        "volumeMounts": st.lists(mounts, max_size=2),
        "ports": st.just([{"name": "http", "containerPort": 8080}]),
        "imagePullPolicy": some(["Always", "IfNotPresent", "Never"]),
        "restartPolicy": some(policies),
    }
    one = st.fixed_dictionaries({"image": st.just("nginx")}, optional=fields)
    return st.lists(one, min_size=0 if prefix == "i" else 1, max_size=2).map(
        lambda made: [{"name": f"{prefix}{n}"} | each for n, each in enumerate(made)]
    )


pods = st.builds(
    lambda inits, mains, sources, more: {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u-1"},
        "spec": {
            "nodeName": "n-1",
            "initContainers": inits,
            "containers": mains,
            "volumes": [{"name": f"v{n}"} | each for n, each in enumerate(sources)],
        }
        | more,
    },
    containers("i", [None, "Always"]),
    containers("m", [None]),
    st.lists(volume_sources, min_size=2, max_size=2),
    st.fixed_dictionaries(
        {"restartPolicy": some(["Always", "OnFailure", "Never"])},
        optional={"hostPID": st.booleans(), "terminationGracePeriodSeconds": st.integers(0, 60)},
    ),
)


def lowered(pod: Any, place: Place) -> Workload | None:
    try:
        return lower(pod, place, SOURCES)
    except Refused as refused:
        assert refused.message
        names = {each["name"] for role in ("containers", "initContainers") for each in pod["spec"][role]}
        assert refused.container == "" or refused.container in names
        return None


@settings(deadline=None)
@given(pods, some([REAL, replace(REAL, host_access=True), replace(REAL, files=False)]))
def test_any_pod_lowers_to_what_an_agent_understands_or_is_refused_with_a_reason(pod: Any, place: Place) -> None:
    made = lowered(pod, place)
    if made is None:
        return
    assert decode(encode(made)) == made and lower(pod, place, SOURCES) == made
    state = lifecycle.begin(made, 1.0)
    assert state.phase is WorkloadPhase.ACCEPTED, state.reason
    spec = pod["spec"]
    assert [each.name for each in made.containers] == [
        c["name"] for c in (*spec["initContainers"], *spec["containers"])
    ]


@st.composite
def lives(draw: st.DrawFn) -> tuple[Any, Workload, list[words.Event]]:
    pod = draw(pods)
    made = lowered(pod, replace(REAL, files=False))
    events: list[words.Event] = []
    if made is not None:
        names = [each.name for each in made.containers]
        single = st.one_of(
            st.builds(words.Pulled, some(names), st.just("sha256:1")),
            st.builds(lambda name: words.PullFailed(name, "no such image"), some(names)),
            st.builds(lambda name, n: words.Created(name, n, f"{name}-{n}"), some(names), st.integers(0, 2)),
            st.builds(lambda name, n: words.Started(name, n, f"{name}-{n}", 7, 2.0), some(names), st.integers(0, 2)),
            st.builds(lambda name, n, c: words.Exited(name, n, c, 3.0), some(names), st.integers(0, 2), some([0, 1])),
            st.builds(lambda name, n: words.LaunchFailed(name, n, "no", True), some(names), st.integers(0, 2)),
            some([words.SandboxReady("box", "10.1.1.1"), words.SandboxLost(), words.Tick(), words.Cleaned()]),
            st.just(words.Unwanted("gone")),
        )
        events = draw(st.lists(single, max_size=25))
    return pod, made, events  # type: ignore[return-value]  # None is left out below


@settings(max_examples=150, deadline=None)
@given(lives())
def test_whatever_happens_is_told_as_a_pods_status(life: tuple[Any, Workload | None, list[words.Event]]) -> None:
    pod, made, events = life
    if made is None:
        return
    state = lifecycle.begin(made, 1.0)
    for number, event in enumerate(events):
        before = pod.get("status")
        state, _ = lifecycle.step(state, event, 2.0 + number)
        status = pod_status(pod, lifecycle.status(state), Addresses("10.1.1.1", "10.0.0.1"), 2.0 + number)
        again = pod_status(pod | {"status": status}, lifecycle.status(state), Addresses("10.1.1.1", "10.0.0.1"), 99.0)
        assert again == status, "told twice it says the same"
        every = (*status.get("initContainerStatuses", ()), *status["containerStatuses"])
        assert all(len(each["state"]) == 1 for each in every), "one state each"
        for each in every:
            report = lifecycle.status(state).container(each["name"])
            assert report is not None and each["restartCount"] == report.restarts
            assert not each["ready"] or "running" in each["state"] or each["state"]["terminated"]["exitCode"] == 0
        conditions = {each["type"]: each["status"] for each in status["conditions"]}
        if conditions["Ready"] == "True":
            # Events come in any order here: a container may have started before those that it waits for.
            in_order = all(each["ready"] for each in status.get("initContainerStatuses", ()))
            assert conditions["ContainersReady"] == "True" and (status["phase"] == "Running" or not in_order)
        if before and before["phase"] in ("Succeeded", "Failed"):
            assert status["phase"] == before["phase"], "what is over stays over"
        if state.phase is WorkloadPhase.STOPPED:
            assert status["phase"] in ("Succeeded", "Failed")
        pod = pod | {"status": status}
