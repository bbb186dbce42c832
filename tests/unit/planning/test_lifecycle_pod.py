"""An ordinary pod, lowered, lives as Kubernetes says: every field of `pod.json` has a place (docs/workload.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ropewalk.kube.pods.lowering import lower as lowered
from ropewalk.kube.pods.sources import Place, Sources
from ropewalk.model.ids import InterfaceId, Owner
from ropewalk.model.status import StopCause, WorkloadPhase
from ropewalk.model.workload import InterfaceSpec, Mount, Volume, Workload, decode, encode
from ropewalk.planning import lifecycle
from ropewalk.planning import lifecycle_records as words

POD: dict[str, Any] = msgspec.json.decode((Path(__file__).parents[2] / "fixtures" / "pod.json").read_bytes())
INTERFACE = InterfaceSpec(
    InterfaceId("eni-1"), "vpc-1", "subnet-1", "172.31.0.30", "172.31.0.0/20", "172.31.0.1", "0e:00:00:00:00:01"
)
PLACE = Place(
    Owner("cluster-uid"),
    "172.31.0.30",
    "172.31.0.20",
    {"cpu": "2", "memory": "4Gi"},
    files=True,
    interface=INTERFACE,
    memory_bytes=4 << 30,
    cluster_servers=("10.100.0.10",),
)


def lower(pod: dict[str, Any]) -> Workload:
    return lowered(pod, PLACE, Sources())


def test_a_pod_fits_through_the_waist_and_over_the_wire() -> None:
    what = lower(POD)
    assert decode(encode(what)) == what
    assert lifecycle.begin(what, 1.0).phase is WorkloadPhase.ACCEPTED
    web = what.container("web")
    assert (web.user, web.resources.cpu_millis, web.resources.cpu_shares) == ("101:101", 500, 256)
    assert web.mounts == (Mount("cache", "/var/cache/nginx"),) and web.stop_timeout == 45.0
    assert (web.read_only_root, web.add_capabilities, web.drop_capabilities) == (True, ("NET_BIND_SERVICE",), ("ALL",))
    assert web.sysctls == (("net.ipv4.ip_unprivileged_port_start", "80"),)
    assert what.volumes == (Volume("cache", "scratch", size_bytes=64 << 20),) and what.interface == INTERFACE
    assert what.extra_hosts == (("legacy.shop", "10.1.2.3"),) and what.dns_servers == ("10.100.0.10",)


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
