"""An ordinary pod, lowered to the waist by hand, lives as Kubernetes says: the waist has the terms for it.

The lowering here is no product code: that comes with the kube slices. It shows that every field of `pod.json` has a
place (docs/workload.md), and that the life cycle then does what a kubelet does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ropewalk.model.ids import InterfaceId, MachineId, Owner, WorkloadUid
from ropewalk.model.status import StopCause, WorkloadPhase
from ropewalk.model.workload import (
    Container,
    Dependency,
    EnvironmentVariable,
    Generation,
    InterfaceSpec,
    Mount,
    NetworkMode,
    Port,
    Resources,
    RestartRule,
    StartCondition,
    Volume,
    Workload,
    decode,
    encode,
)
from ropewalk.planning import lifecycle
from ropewalk.planning import lifecycle_records as words

POD: dict[str, Any] = msgspec.json.decode((Path(__file__).parents[2] / "fixtures" / "pod.json").read_bytes())
RULES = {"Always": RestartRule.ALWAYS, "OnFailure": RestartRule.ON_FAILURE, "Never": RestartRule.NEVER}


def quantity(text: str) -> int:
    return int(text[:-2]) << 20 if text.endswith("Mi") else int(text)


def millis(text: str) -> int:
    return int(text[:-1]) if text.endswith("m") else int(text) * 1000


def lower_container(
    given: dict[str, Any], spec: dict[str, Any], rule: RestartRule, waits: tuple[Dependency, ...]
) -> Container:
    context = given.get("securityContext", {})
    limits, requests = (given.get("resources", {}).get(key, {}) for key in ("limits", "requests"))
    user = ":".join(str(context[key]) for key in ("runAsUser", "runAsGroup") if key in context)
    return Container(
        name=given["name"],
        image=given["image"],
        command=tuple(given["command"]) if "command" in given else None,
        arguments=tuple(given["args"]) if "args" in given else None,
        environment=tuple(EnvironmentVariable(e["name"], e["value"]) for e in given.get("env", ())),
        user=user,
        essential=False,
        restart=rule,
        depends_on=waits,
        resources=Resources(
            cpu_millis=millis(limits.get("cpu", "0")),
            cpu_shares=millis(requests.get("cpu", "0")) * 1024 // 1000,
            memory_bytes=quantity(limits.get("memory", "0")),
            memory_reservation_bytes=quantity(requests.get("memory", "0")),
        ),
        ports=tuple(
            Port(p["containerPort"], p["protocol"].lower(), name=p.get("name", "")) for p in given.get("ports", ())
        ),
        mounts=tuple(Mount(m["name"], m["mountPath"], m.get("readOnly", False)) for m in given.get("volumeMounts", ())),
        read_only_root=context.get("readOnlyRootFilesystem", False),
        add_capabilities=tuple(context.get("capabilities", {}).get("add", ())),
        drop_capabilities=tuple(context.get("capabilities", {}).get("drop", ())),
        stop_timeout=float(spec["terminationGracePeriodSeconds"]),
    )


def lower(pod: dict[str, Any]) -> Workload:
    meta, spec = pod["metadata"], pod["spec"]
    rule = RULES[spec["restartPolicy"]]
    made: list[Container] = []
    waits: tuple[Dependency, ...] = ()
    for given in spec["initContainers"]:
        sidecar = given.get("restartPolicy") == "Always"
        own = (
            RestartRule.ALWAYS
            if sidecar
            else RestartRule.NEVER
            if rule is RestartRule.NEVER
            else RestartRule.ON_FAILURE
        )
        made.append(lower_container(given, spec, own, waits))
        condition = StartCondition.STARTED if sidecar else StartCondition.SUCCEEDED
        waits = (*waits, Dependency(given["name"], condition))
    made += [lower_container(given, spec, rule, waits) for given in spec["containers"]]
    interface = InterfaceSpec(
        InterfaceId("eni-1"), "vpc-1", "subnet-1", "172.31.0.30", "172.31.0.0/20", "172.31.0.1", "0e:00:00:00:00:01"
    )
    return Workload(
        uid=WorkloadUid(meta["uid"]),
        owner=Owner("cluster-uid"),
        machine=MachineId(spec["nodeName"]),
        generation=Generation("store", 1, 1),
        name=f"{meta['namespace']}/{meta['name']}",
        containers=tuple(made),
        volumes=tuple(
            Volume(v["name"], "scratch", size_bytes=quantity(v["emptyDir"]["sizeLimit"])) for v in spec["volumes"]
        ),
        network=NetworkMode.INTERFACE,
        interface=interface,
        hostname=spec["hostname"],
        dns_servers=("10.100.0.10",),
        dns_search=(f"{meta['namespace']}.svc.cluster.local", "svc.cluster.local", "cluster.local"),
        extra_hosts=tuple((name, alias["ip"]) for alias in spec["hostAliases"] for name in alias["hostnames"]),
        labels=tuple(meta["labels"].items()),
    )


def test_a_pod_fits_through_the_waist_and_over_the_wire() -> None:
    lowered = lower(POD)
    assert decode(encode(lowered)) == lowered
    assert lifecycle.begin(lowered, 1.0).phase is WorkloadPhase.ACCEPTED
    web = lowered.container("web")
    assert (web.user, web.resources.cpu_millis, web.resources.cpu_shares) == ("101:101", 500, 256)


def test_a_pod_lives_as_kubernetes_says() -> None:
    now = 1000.0
    state = lifecycle.begin(lower(POD), now)
    wanted: tuple[words.Action, ...] = ()

    def tell(*events: words.Event) -> None:
        nonlocal state, wanted
        for event in events:
            state, wanted = lifecycle.step(state, event, now)

    def launches() -> list[str]:
        return [a.container for a in wanted if isinstance(a, words.Launch)]

    def start(name: str, attempt: int = 0) -> None:
        tell(words.Started(name, attempt, name, 1, now))

    tell(words.SandboxReady("box"), *(words.Pulled(c.name, "sha256:1") for c in state.workload.containers))
    assert launches() == ["migrate"], "init containers run one after the other"
    start("migrate")
    tell(words.Exited("migrate", 0, 1, now))
    assert launches() == ["migrate"], "a failed init container is run again"
    start("migrate", 1)
    tell(words.Exited("migrate", 1, 0, now))
    assert launches() == ["proxy"], "a sidecar starts in its turn and stays"
    start("proxy")
    assert launches() == ["web", "exporter"]
    start("web")
    start("exporter")
    assert state.phase is WorkloadPhase.RUNNING
    tell(words.Exited("web", 0, 1, now))
    assert launches() == ["web"] and state.phase is WorkloadPhase.RUNNING, "restartPolicy Always"
    start("web", 1)
    tell(words.Unwanted("deleted"))
    stops = [a.container for a in wanted if isinstance(a, words.Stop)]
    assert stops == ["web", "exporter"], "sidecars stop after the containers they serve"
    tell(words.Exited("web", 1, 0, now), words.Exited("exporter", 0, 0, now))
    assert [a.container for a in wanted if isinstance(a, words.Stop)] == ["proxy"]
    tell(words.Exited("proxy", 0, 0, now), words.Cleaned())
    assert state.phase is WorkloadPhase.STOPPED and state.cause is StopCause.REQUESTED


def test_a_job_pod_completes() -> None:
    pod = msgspec.json.decode(msgspec.json.encode(POD))
    pod["spec"] |= {"restartPolicy": "Never", "initContainers": []}
    state = lifecycle.begin(lower(pod), 1.0)
    for name in ("web", "exporter"):
        state, _ = lifecycle.step(state, words.Started(name, 0, name, 1, 2.0), 2.0)
        state, _ = lifecycle.step(state, words.Exited(name, 0, 0, 3.0), 3.0)
    assert state.cause is StopCause.COMPLETED
