"""Probes and hooks of a pod's containers in the waist's terms. Pure.
https://kubernetes.io/docs/concepts/workloads/pods/probes/ and
https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
"""

from __future__ import annotations

from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.pods.references import expanded
from ropewalk.kube.pods.refusals import Refused
from ropewalk.model.workload import GrpcHealth, Hook, HttpGet, Pause, Probe, Question, RunCommand, TcpConnect


def probe(container: Object, key: str) -> Probe | None:
    """`key`: "readinessProbe", "livenessProbe" or "startupProbe". Raises `Refused`."""
    given = container.get(key)
    if not given:
        return None
    command, question = _asked(container, given)
    grace = given.get("terminationGracePeriodSeconds")
    return Probe(
        command=command,
        question=question,
        delay=float(given.get("initialDelaySeconds") or 0),
        interval=float(given.get("periodSeconds") or 10),
        timeout=float(given.get("timeoutSeconds") or 1),
        failures=given.get("failureThreshold") or 3,
        successes=given.get("successThreshold") or 1,
        stop_timeout=None if grace is None else float(grace),
    )


def _asked(container: Object, given: Object) -> tuple[tuple[str, ...], Question | None]:
    if "exec" in given:
        plain = {each["name"]: each.get("value", "") for each in container.get("env") or () if "valueFrom" not in each}
        return tuple(expanded(word, plain) for word in given["exec"].get("command") or ()), None
    if "httpGet" in given:
        return (), http_get(container, given["httpGet"])
    if "tcpSocket" in given:
        tcp = given["tcpSocket"]
        return (), TcpConnect(port_of(container, tcp.get("port")), tcp.get("host") or "")
    grpc = given.get("grpc") or {}
    return (), GrpcHealth(port_of(container, grpc.get("port")), grpc.get("service") or "")


def hook(container: Object, turn: str) -> Hook | None:
    """`turn`: "postStart" or "preStop". `tcpSocket` is a hook that always fails, as the kubelet has it. Raises
    `Refused`.
    """
    given = (container.get("lifecycle") or {}).get(turn)
    if not given:
        return None
    if "httpGet" in given:
        return http_get(container, given["httpGet"])
    if "sleep" in given:
        return Pause(float(given["sleep"].get("seconds") or 0))
    return RunCommand(tuple((given.get("exec") or {}).get("command") or ()))


def http_get(container: Object, given: Object) -> HttpGet:
    return HttpGet(
        port=port_of(container, given.get("port")),
        path=given.get("path") or "/",
        host=given.get("host") or "",
        tls=given.get("scheme") == "HTTPS",
        headers=tuple((each["name"], each.get("value", "")) for each in given.get("httpHeaders") or ()),
    )


def port_of(container: Object, port: object) -> int:
    """A number, or the name of one of the container's ports."""
    if isinstance(port, int):
        found = port
    else:
        text = str(port or "")
        named = (each["containerPort"] for each in container.get("ports") or () if each.get("name") == text)
        found = int(text) if text.isdecimal() else next(named, 0)
        if not found:
            raise Refused(container["name"], f"couldn't find port: {text}")
    if not 0 < found < 65536:
        raise Refused(container["name"], f"invalid port number: {found}")
    return found
