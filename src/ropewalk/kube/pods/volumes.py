"""A pod's volumes and mounts in the waist's terms. Pure.

What the API knows (ConfigMaps, Secrets, tokens, the pod's own fields) lowers to files that the control plane gives and
may change; the agent shows a change as the kubelet does, by one switch of a link. What is missing holds the volume, and
with it the pod, as it does there. https://kubernetes.io/docs/concepts/storage/volumes/ and
https://kubernetes.io/docs/concepts/storage/projected-volumes/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b

from ropewalk.kube.machinery import quantities
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.pods.fields import field, resource
from ropewalk.kube.pods.references import unknown
from ropewalk.kube.pods.refusals import Refused
from ropewalk.kube.pods.sources import Kind, Missing, Place, Sources, TokenWish
from ropewalk.model.workload import File, Mount, Volume

GIVEN = ("configMap", "secret", "projected", "downwardAPI")
DEFAULT_MODE = 0o644
TOKEN_SECONDS = 3600
_CONFIG_KEY = "configmap references non-existent config key: "
_SECRET_KEY = "references non-existent secret key: "


def volumes(pod: Object, place: Place, sources: Sources) -> tuple[Volume, ...]:
    """Raises `Refused`. A machine without files is told only what is missing."""
    found: list[Volume] = []
    for volume in at(pod, "spec", "volumes") or ():
        if any(kind in volume for kind in GIVEN):
            found.append(_given(pod, volume, place, sources))
        elif place.files:
            found.append(_kept(pod, volume, place))
    return tuple(found)


def _kept(pod: Object, volume: Object, place: Place) -> Volume:
    name = volume["name"]
    if "emptyDir" in volume:
        empty = volume["emptyDir"] or {}
        limit = quantities.whole(empty.get("sizeLimit") or "0")
        if empty.get("medium") == "Memory":
            return Volume(name, "memory", size_bytes=limit or _memory(pod, place))
        if empty.get("medium"):
            raise Refused("", f"volume {name}: emptyDir of medium {empty['medium']} is not offered")
        return Volume(name, "scratch", size_bytes=limit)
    if "hostPath" in volume and place.host_access:
        if kind := volume["hostPath"].get("type"):
            raise Refused("", f"volume {name}: hostPath of type {kind} is not offered")
        return Volume(name, "host", volume["hostPath"].get("path", ""))
    kinds = " and ".join(key for key in volume if key != "name") or "emptyDir"
    raise Refused("", f"volume {name}: {kinds} is not offered on this node")


def _memory(pod: Object, place: Place) -> int:
    """What a tmpfs without a limit of its own may take: as much as the pod's containers, or else its node."""
    containers = at(pod, "spec", "containers") or ()
    limits = [quantities.whole(at(each, "resources", "limits", "memory") or "0") for each in containers]
    if limits and all(limits):
        return sum(limits)
    return quantities.whole(place.allocatable.get("memory", "0"))


def _given(pod: Object, volume: Object, place: Place, sources: Sources) -> Volume:
    name = volume["name"]
    files: dict[str, File] = {}
    try:
        for kind, source in _sources(volume):
            mode = _mode(volume, source)
            for file in _files(pod, kind, source, mode, place, sources):
                files[file.path] = file
    except Missing as missing:
        return Volume(name, "files", hold=str(missing))
    made = tuple(files[path] for path in sorted(files))
    return Volume(name, "files", files=made if place.files else (), version=_version(made))


def _version(files: Iterable[File]) -> str:
    digest = blake2b(digest_size=12)
    for file in files:
        digest.update(f"{len(file.path)} {file.mode} {len(file.content)} {file.path}".encode() + file.content)
    return digest.hexdigest()


def _sources(volume: Object) -> Iterator[tuple[str, Object]]:
    for kind in ("configMap", "secret", "downwardAPI"):
        if kind in volume:
            yield kind, volume[kind]
    for source in (volume.get("projected") or {}).get("sources") or ():
        yield from source.items()


def _mode(volume: Object, source: Object) -> int:
    default = (volume.get("projected") or source).get("defaultMode")
    return DEFAULT_MODE if default is None else default


def _files(pod: Object, kind: str, source: Object, mode: int, place: Place, sources: Sources) -> Iterator[File]:
    if kind == "configMap":
        yield from _of_data("configmap", source.get("name", ""), source, mode, sources, _CONFIG_KEY)
    elif kind == "secret":
        name = source.get("secretName") or source.get("name", "")
        yield from _of_data("secret", name, source, mode, sources, _SECRET_KEY)
    elif kind == "downwardAPI":
        for item in source.get("items") or ():
            if "fieldRef" in item:
                text = field(pod, item["fieldRef"].get("fieldPath", ""), place)
            else:
                text = resource(pod, {}, item.get("resourceFieldRef") or {}, place)
            yield File(item["path"], text.encode(), item.get("mode", mode))
    elif kind == "serviceAccountToken":
        token = sources.tokens.get(wish(source), "")
        if place.files and not token:
            raise Missing("failed to fetch token: none was given")
        yield File(source["path"], token.encode(), mode if volume_group(pod) is None else 0o600)
    else:
        raise Refused("", f"a projected volume from {kind} is not offered")


def _of_data(kind: Kind, name: str, source: Object, mode: int, sources: Sources, text: str) -> Iterator[File]:
    data = sources.data(kind, name)
    if data is None:
        if not source.get("optional"):
            raise Missing(f'{kind} "{name}" not found')
        data = {}
    items = source.get("items")
    if not items:
        yield from (File(key, content, mode) for key, content in data.items())
        return
    for item in items:
        if item["key"] in data:
            yield File(item["path"], data[item["key"]], item.get("mode", mode))
        elif not source.get("optional"):
            raise Missing(text + item["key"])


def volume_group(pod: Object) -> int | None:
    found = at(pod, "spec", "securityContext", "fsGroup")
    return None if found is None else int(found)


# --- tokens


def wish(source: Object) -> TokenWish:
    return TokenWish(source.get("audience") or "", source.get("expirationSeconds") or TOKEN_SECONDS)


def tokens_wished(pod: Object) -> list[TokenWish]:
    """Every service account token that the pod's volumes show."""
    found: dict[TokenWish, None] = {}
    for volume in at(pod, "spec", "volumes") or ():
        for kind, source in _sources(volume):
            if kind == "serviceAccountToken":
                found[wish(source)] = None
    return list(found)


# --- mounts


def mounts(pod: Object, container: Object, values: Mapping[str, str], place: Place) -> tuple[Mount, ...]:
    """Of a container with this environment. Raises `Refused`; `Missing` for a path that names an unknown variable."""
    if not place.files:
        return ()
    if container.get("volumeDevices"):
        raise Refused(container["name"], "volumeDevices are not offered")
    given = {volume["name"] for volume in at(pod, "spec", "volumes") or () if any(kind in volume for kind in GIVEN)}
    found: list[Mount] = []
    for each in container.get("volumeMounts") or ():
        if each.get("mountPropagation", "None") != "None":
            raise Refused(container["name"], f"mountPropagation {each['mountPropagation']} is not offered")
        path = each.get("subPath") or ""
        if expression := each.get("subPathExpr"):
            missing, path = unknown(expression, values)
            if missing:
                raise Missing(f'missing value for "{missing}"')
        read_only = bool(each.get("readOnly")) or each["name"] in given
        found.append(Mount(each["name"], each["mountPath"], read_only, path))
    return tuple(found)
