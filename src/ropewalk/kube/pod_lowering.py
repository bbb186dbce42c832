"""From a pod to a `Workload`: a pure function, for simulated nodes. Real pods bring the full lowering with them.

Carried over: containers and init containers in their order (sidecars among them), image, command, arguments, literal
environment and the downward fields known before a start, ports, terminal and input, working directory, limits, restart
policy and the grace at the end. A simulated container has no kernel under it, so what only a kernel would enforce or a
process would see (volumes, security context, devices, affinity to CPUs) changes nothing and is left out; probes have
nobody to ask and count as passed. What would change what a container says or does, and cannot be carried over, is
refused by name (`Refused`): the pod then waits with that as its reason, as it would for a missing ConfigMap.
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodSpec
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ropewalk.kube.machinery import quantities
from ropewalk.kube.machinery.objects import Object, annotations_of, at, labels_of, name_of, namespace_of, uid_of
from ropewalk.model.ids import MachineId, Owner, WorkloadUid
from ropewalk.model.workload import (
    Container,
    Dependency,
    EnvironmentVariable,
    Generation,
    NetworkMode,
    Port,
    Resources,
    RestartRule,
    StartCondition,
    Workload,
)

RULES = {"Always": RestartRule.ALWAYS, "OnFailure": RestartRule.ON_FAILURE, "Never": RestartRule.NEVER}
_REFERENCE = re.compile(r"\$(\$|\(([-._a-zA-Z0-9]+)\))")
_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")
WRITTEN = Generation("", 0, 0)
"""Stamped by the agents' gateway as it sends the record."""


class Refused(Exception):
    """A container that cannot be simulated as its pod describes it."""

    def __init__(self, container: str, message: str) -> None:
        super().__init__(message)
        self.container = container
        self.message = message


def lower(pod: Object, owner: Owner, *, address: str, host_address: str) -> Workload:
    """The pod on the node that it is bound to. Raises `Refused`."""
    spec = pod.get("spec") or {}
    grace = float(spec.get("terminationGracePeriodSeconds", 30))
    facts = _facts(pod, address, host_address)
    made: list[Container] = []
    waits: tuple[Dependency, ...] = ()
    for given in spec.get("initContainers") or ():
        own = restart_rule(spec, given)
        made.append(_container(pod, given, own, waits, grace, facts))
        condition = StartCondition.STARTED if own is RestartRule.ALWAYS else StartCondition.SUCCEEDED
        waits = (*waits, Dependency(given["name"], condition))
    for given in spec.get("containers") or ():
        made.append(_container(pod, given, restart_rule(spec, given), waits, grace, facts))
    return Workload(
        uid=WorkloadUid(uid_of(pod)),
        owner=owner,
        machine=MachineId(spec["nodeName"]),
        generation=WRITTEN,
        name=f"{namespace_of(pod)}/{name_of(pod)}",
        containers=tuple(made),
        network=NetworkMode.NONE,
        hostname=spec.get("hostname") or name_of(pod)[:63].rstrip("-."),
        shared_pid_namespace=bool(spec.get("shareProcessNamespace")),
    )


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


def _container(
    pod: Object,
    given: Object,
    rule: RestartRule,
    waits: tuple[Dependency, ...],
    grace: float,
    facts: Mapping[str, str],
) -> Container:
    if given.get("restartPolicyRules"):
        raise Refused(given["name"], "restartPolicyRules are not offered by simulated nodes")
    environment = _environment(pod, given, facts)
    values = {variable.name: variable.value for variable in environment}
    return Container(
        name=given["name"],
        image=given.get("image", ""),
        command=_words(given, "command", values),
        arguments=_words(given, "args", values),
        environment=environment,
        working_directory=given.get("workingDir", ""),
        essential=False,
        restart=rule,
        depends_on=waits,
        resources=_resources(given),
        ports=tuple(
            Port(p["containerPort"], p.get("protocol", "TCP").lower(), p.get("hostPort", 0), p.get("name", ""))
            for p in given.get("ports") or ()
        ),
        interactive=bool(given.get("stdin")),
        terminal=bool(given.get("tty")),
        stop_timeout=grace,
    )


def _words(given: Object, key: str, values: Mapping[str, str]) -> tuple[str, ...] | None:
    words = given.get(key)
    return None if not words else tuple(expanded(word, values) for word in words)


def expanded(text: str, values: Mapping[str, str]) -> str:
    """`$(NAME)` becomes the variable's value, `$$` a dollar; what is not known stays as it is."""

    def one(match: re.Match[str]) -> str:
        return "$" if match[1] == "$" else values.get(match[2], match[0])

    return _REFERENCE.sub(one, text)


# --- the environment


def _environment(pod: Object, given: Object, facts: Mapping[str, str]) -> tuple[EnvironmentVariable, ...]:
    if given.get("envFrom"):
        raise Refused(given["name"], "envFrom is not offered by simulated nodes")
    values: dict[str, str] = {}
    for variable in given.get("env") or ():
        source = variable.get("valueFrom")
        if source:
            values[variable["name"]] = _from_source(pod, given, source, facts)
        else:
            values[variable["name"]] = expanded(variable.get("value", ""), values)
    return tuple(EnvironmentVariable(name, value) for name, value in values.items())


def _from_source(pod: Object, given: Object, source: Object, facts: Mapping[str, str]) -> str:
    path = at(source, "fieldRef", "fieldPath")
    if path in facts:
        return facts[path]
    keyed = _KEYED.fullmatch(path or "")
    if keyed:
        found = labels_of(pod) if keyed[1] == "labels" else annotations_of(pod)
        return str(found.get(keyed[2], ""))
    what = f"fieldRef {path}" if path else " and ".join(source)
    raise Refused(given["name"], f"an environment variable from {what} is not offered by simulated nodes")


def _facts(pod: Object, address: str, host_address: str) -> dict[str, str]:
    spec = pod.get("spec") or {}
    return {
        "metadata.name": name_of(pod),
        "metadata.namespace": namespace_of(pod),
        "metadata.uid": uid_of(pod),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.podIP": address,
        "status.podIPs": address,
        "status.hostIP": host_address,
        "status.hostIPs": host_address,
    }


# --- amounts


def _resources(given: Object) -> Resources:
    limits = at(given, "resources", "limits") or {}
    requests = at(given, "resources", "requests") or {}
    millis = quantities.milli(requests.get("cpu", "0"))
    return Resources(
        cpu_millis=quantities.milli(limits.get("cpu", "0")),
        cpu_shares=millis * 1024 // 1000,
        memory_bytes=quantities.whole(limits.get("memory", "0")),
        memory_reservation_bytes=quantities.whole(requests.get("memory", "0")),
    )
