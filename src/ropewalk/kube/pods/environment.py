"""A container's environment, resolved: literals with `$(NAME)`, ConfigMaps, Secrets, fields, resources, services. Pure.

A later source of `envFrom` goes before an earlier one, `env` before both, and all of them before the services' own
variables. https://kubernetes.io/docs/concepts/configuration/configmap/ and
https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ropewalk.kube.machinery.objects import Object, name_of, namespace_of
from ropewalk.kube.pods.fields import field, resource
from ropewalk.kube.pods.references import expanded
from ropewalk.kube.pods.refusals import Refused
from ropewalk.kube.pods.sources import Kind, Missing, Place, Sources

MASTER_SERVICE = ("default", "kubernetes")
_SHOWN: Mapping[Kind, str] = {"configmap": "ConfigMap", "secret": "Secret"}


def environment(pod: Object, container: Object, place: Place, sources: Sources) -> dict[str, str]:
    """Raises `Missing`: the container then waits until what it names is there; `Refused` for what is not offered."""
    services = service_variables(pod, sources.services)
    taken = _taken_over(container, sources)
    known = services | taken
    for variable in container.get("env") or ():
        name = variable["name"]
        if variable.get("value"):
            value: str | None = expanded(variable["value"], known)
        elif source := variable.get("valueFrom"):
            value = _from_source(pod, container, source, place, sources)
        else:
            value = ""
        if value is not None:
            known[name] = taken[name] = value
    return taken | {name: value for name, value in services.items() if name not in taken}


def _taken_over(container: Object, sources: Sources) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in container.get("envFrom") or ():
        kind: Kind = "configmap" if each.get("configMapRef") else "secret"
        reference = each.get("configMapRef") or each.get("secretRef") or {}
        data = sources.data(kind, reference.get("name", ""))
        if data is None:
            if reference.get("optional"):
                continue
            raise Missing(f'{kind} "{reference.get("name", "")}" not found')
        prefix = each.get("prefix") or ""
        texts = data if kind == "secret" else _texts(sources, reference["name"])
        found |= {prefix + key: value.decode(errors="surrogateescape") for key, value in texts.items()}
    return found


def _texts(sources: Sources, name: str) -> Mapping[str, bytes]:
    """A ConfigMap's `data` alone: what is binary is no variable."""
    return {key: str(value).encode() for key, value in (sources.config_maps[name].get("data") or {}).items()}


def _from_source(pod: Object, container: Object, source: Object, place: Place, sources: Sources) -> str | None:
    """None: an optional reference that names nothing makes no variable."""
    if reference := source.get("fieldRef"):
        return field(pod, reference.get("fieldPath", ""), place)
    if reference := source.get("resourceFieldRef"):
        return resource(pod, container, reference, place)
    if reference := source.get("configMapKeyRef"):
        return _from_key(pod, reference, "configmap", sources)
    if reference := source.get("secretKeyRef"):
        return _from_key(pod, reference, "secret", sources)
    raise Refused(container["name"], f"an environment variable from {' and '.join(source)} is not offered")


def _from_key(pod: Object, reference: Object, kind: Kind, sources: Sources) -> str | None:
    name, key = reference.get("name", ""), reference.get("key", "")
    data = sources.data(kind, name)
    if data is not None and kind == "configmap":
        data = _texts(sources, name)
    if data is not None and key in data:
        return data[key].decode(errors="surrogateescape")
    if reference.get("optional"):
        return None
    if data is None:
        raise Missing(f'{kind} "{name}" not found')
    raise Missing(f"couldn't find key {key} in {_SHOWN[kind]} {namespace_of(pod)}/{name}")


# --- services


def service_variables(pod: Object, services: Iterable[Object]) -> dict[str, str]:
    """What every container is told of the services in its namespace; of the API's own always."""
    links = (pod.get("spec") or {}).get("enableServiceLinks", True)
    chosen: dict[str, Object] = {}
    for service in services:
        name, namespace = name_of(service), namespace_of(service)
        if (namespace, name) == MASTER_SERVICE:
            chosen.setdefault(name, service)
        elif links and namespace == namespace_of(pod):
            chosen[name] = service
    found: dict[str, str] = {}
    for name in sorted(chosen):
        found |= _variables(name, chosen[name].get("spec") or {})
    return found


def _variables(name: str, spec: Object) -> dict[str, str]:
    address, ports = spec.get("clusterIP") or "None", spec.get("ports") or ()
    if address == "None" or not ports:
        return {}
    prefix = _shouted(name)
    found = {f"{prefix}_SERVICE_HOST": address, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            found[f"{prefix}_SERVICE_PORT_{_shouted(port['name'])}"] = str(port["port"])
    host = f"[{address}]" if ":" in address else address
    for number, port in enumerate(ports):
        protocol = port.get("protocol") or "TCP"
        url = f"{protocol.lower()}://{host}:{port['port']}"
        if number == 0:
            found[f"{prefix}_PORT"] = url
        one = f"{prefix}_PORT_{port['port']}_{protocol.upper()}"
        found |= {one: url, f"{one}_PROTO": protocol.lower(), f"{one}_PORT": str(port["port"]), f"{one}_ADDR": address}
    return found


def _shouted(name: str) -> str:
    return name.replace("-", "_").upper()
