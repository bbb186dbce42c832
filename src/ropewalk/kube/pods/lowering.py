"""From a pod to a `Workload`: a pure function. The table is `docs/workload.md`.

What would change what a container says or does, and cannot be carried over, is refused by name (`Refused`): the pod
then waits with that as its reason. A simulated machine has no kernel and no files: what only those would enforce or
show changes nothing there and is left out.
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodSpec
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from ropewalk.kube.machinery.objects import Object, at, name_of, namespace_of, uid_of
from ropewalk.kube.pods import amounts, names, security
from ropewalk.kube.pods.checks import hook, probe
from ropewalk.kube.pods.environment import environment
from ropewalk.kube.pods.logins import logins
from ropewalk.kube.pods.references import expanded
from ropewalk.kube.pods.refusals import Refused
from ropewalk.kube.pods.sources import Missing, Place, Sources
from ropewalk.kube.pods.volumes import mounts, volume_group, volumes
from ropewalk.model.ids import MachineId, WorkloadUid
from ropewalk.model.workload import (
    Container,
    Dependency,
    EnvironmentVariable,
    ExitCodes,
    Generation,
    Mount,
    NetworkMode,
    Port,
    PullRule,
    RestartRule,
    StartCondition,
    Workload,
)

RULES = {"Always": RestartRule.ALWAYS, "OnFailure": RestartRule.ON_FAILURE, "Never": RestartRule.NEVER}
PULLS = {"Always": PullRule.ALWAYS, "IfNotPresent": PullRule.IF_ABSENT, "Never": PullRule.NEVER}
WRITTEN = Generation("", 0, 0)
"""Stamped by the agents' gateway as it sends the record."""


def lower(pod: Object, place: Place, sources: Sources) -> Workload:
    """The pod on the node that it is bound to. Raises `Refused`."""
    security.check_pod(pod, place)
    spec = pod.get("spec") or {}
    grace = float(spec.get("terminationGracePeriodSeconds", 30))
    containers: list[Container] = []
    waits: tuple[Dependency, ...] = ()
    for given in spec.get("initContainers") or ():
        own = restart_rule(spec, given)
        containers.append(_container(pod, given, own, waits, grace, place, sources))
        condition = StartCondition.STARTED if own is RestartRule.ALWAYS else StartCondition.SUCCEEDED
        waits = (*waits, Dependency(given["name"], condition))
    for given in spec.get("containers") or ():
        containers.append(_container(pod, given, restart_rule(spec, given), waits, grace, place, sources))
    name, domain = names.hostname(pod, place)
    made = Workload(
        uid=WorkloadUid(uid_of(pod)),
        owner=place.owner,
        machine=MachineId(spec["nodeName"]),
        generation=WRITTEN,
        name=f"{namespace_of(pod)}/{name_of(pod)}",
        containers=tuple(containers),
        volumes=volumes(pod, place, sources),
        network=NetworkMode.NONE,
        hostname=name,
        shared_pid_namespace=bool(spec.get("shareProcessNamespace")),
        stop_timeout=grace,
        active_seconds=float(spec.get("activeDeadlineSeconds") or 0),
    )
    return _on_a_kernel(made, pod, place, sources, domain) if place.files else made


def _on_a_kernel(made: Workload, pod: Object, place: Place, sources: Sources, domain: str) -> Workload:
    """With what only a machine that has one can hold it to."""
    resolver = names.resolver(pod, place)
    return replace(
        made,
        network=_network(pod, place),
        interface=place.interface,
        domain=domain,
        dns_servers=resolver.servers,
        dns_search=resolver.searches,
        dns_options=resolver.options,
        extra_hosts=names.aliases(pod),
        logins=logins(pod, sources),
        groups=security.groups(pod),
        volume_group=volume_group(pod),
        resources=amounts.of_pod(pod),
        ephemeral_storage_bytes=amounts.storage_of_pod(pod),
    )


def _network(pod: Object, place: Place) -> NetworkMode:
    if at(pod, "spec", "hostNetwork"):
        return NetworkMode.HOST
    return NetworkMode.NONE if place.interface is None else NetworkMode.INTERFACE


def is_sidecar(container: Object) -> bool:
    """An init container that goes on running beside the others."""
    return container.get("restartPolicy") == "Always"


def restart_rule(spec: Object, given: Object) -> RestartRule:
    """When a container of this pod spec is started again: its own policy goes before the pod's, and an init container
    that has succeeded is done.
    """
    rule = RULES.get(given.get("restartPolicy") or spec.get("restartPolicy", "Always"), RestartRule.ALWAYS)
    init = any(each is given for each in spec.get("initContainers") or ())
    if init and rule is RestartRule.ALWAYS and not is_sidecar(given):
        return RestartRule.ON_FAILURE
    return rule


def restart_codes(given: Object) -> tuple[ExitCodes, ...]:
    """Raises `Refused` for what is no restart of this container alone."""
    found: list[ExitCodes] = []
    for each in given.get("restartPolicyRules") or ():
        if each.get("action") != "Restart":
            raise Refused(given["name"], f"restartPolicyRules: action {each.get('action')} is not offered")
        codes = each.get("exitCodes") or {}
        found.append(ExitCodes(tuple(codes.get("values") or ()), others=codes.get("operator") == "NotIn"))
    return tuple(found)


def restarts_after(spec: Object, given: Object, code: int) -> bool:
    """Whether a container that ended with this code is started again."""
    for each in given.get("restartPolicyRules") or ():
        codes = each.get("exitCodes") or {}
        if (code in (codes.get("values") or ())) is (codes.get("operator") != "NotIn"):
            return True
    rule = restart_rule(spec, given)
    return rule is RestartRule.ALWAYS or (rule is RestartRule.ON_FAILURE and code != 0)


def _container(
    pod: Object,
    given: Object,
    rule: RestartRule,
    waits: tuple[Dependency, ...],
    grace: float,
    place: Place,
    sources: Sources,
) -> Container:
    allowed = security.of_container(pod, given, place)
    hold, values, shown = "", dict[str, str](), tuple[Mount, ...]()
    try:
        values = environment(pod, given, place, sources)
        shown = mounts(pod, given, values, place)
    except Missing as missing:
        hold = str(missing)
    return Container(
        name=given["name"],
        image=given.get("image", ""),
        command=_words(given, "command", values),
        arguments=_words(given, "args", values),
        environment=tuple(EnvironmentVariable(name, value) for name, value in values.items()),
        working_directory=given.get("workingDir", ""),
        essential=False,
        background=is_sidecar(given),
        restart=rule,
        restart_codes=restart_codes(given),
        insists=True,
        hold=hold,
        pull=PULLS.get(given.get("imagePullPolicy", ""), PullRule.IF_ABSENT),
        depends_on=waits,
        health=probe(given, "readinessProbe"),
        liveness=probe(given, "livenessProbe"),
        startup=probe(given, "startupProbe"),
        resources=amounts.of_container(given),
        user=allowed.user,
        must_not_be_root=allowed.must_not_be_root,
        read_only_root=allowed.read_only_root,
        privileged=allowed.privileged,
        no_new_privileges=allowed.no_new_privileges,
        seccomp=allowed.seccomp,
        add_capabilities=allowed.add,
        drop_capabilities=allowed.drop,
        sysctls=tuple((each["name"], each["value"]) for each in at(pod, "spec", "securityContext", "sysctls") or ()),
        out_of_memory_score=amounts.out_of_memory_score(pod, given, place.memory_bytes) if place.files else 0,
        ports=tuple(
            Port(p["containerPort"], p.get("protocol", "TCP").lower(), p.get("hostPort", 0), p.get("name", ""))
            for p in given.get("ports") or ()
        ),
        mounts=shown,
        interactive=bool(given.get("stdin")),
        input_once=bool(given.get("stdinOnce")),
        terminal=bool(given.get("tty")),
        stop_timeout=grace,
        stop_signal=at(given, "lifecycle", "stopSignal") or "",
        after_start=hook(given, "postStart"),
        before_stop=hook(given, "preStop"),
        message_path=given.get("terminationMessagePath") or "/dev/termination-log",
        message_from_log=given.get("terminationMessagePolicy") == "FallbackToLogsOnError",
    )


def _words(given: Object, key: str, values: Mapping[str, str]) -> tuple[str, ...] | None:
    words = given.get(key)
    return None if not words else tuple(expanded(word, values) for word in words)
