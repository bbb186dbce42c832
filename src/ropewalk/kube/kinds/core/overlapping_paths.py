"""Files of one volume that land on each other: the same path twice, or one within another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ropewalk.kube.machinery.fields import spelled
from ropewalk.kube.machinery.objects import Object


@dataclass(frozen=True, slots=True)
class _Target:
    path: str
    source: str = ""

    def __str__(self) -> str:
        return f"{spelled(self.path)} ({self.source})" if self.source else spelled(self.path)

    def meets(self, other: _Target) -> bool:
        return bool(self.path and other.path) and (
            f"{self.path}/".startswith(f"{other.path}/") or f"{other.path}/".startswith(f"{self.path}/")
        )


def overlap_warnings(volumes: Sequence[Object]) -> Iterator[str]:
    for volume in volumes:
        name = spelled(volume.get("name", ""))
        for kind, told in (
            ("configMap", "ConfigMap {name}"),
            ("secret", "Secret {secretName}"),
            ("downwardAPI", "DownwardAPI"),
        ):
            source = volume.get(kind)
            if source and source.get("items"):
                quoted = {field: spelled(source.get(field, "")) for field in ("name", "secretName")}
                for text in _overlaps(_targets(source)):
                    yield f"volume {name} ({told.format(**quoted)}): overlapping paths: {text}"
        if projected := volume.get("projected"):
            yield from _of_projected(name, projected)


def _of_projected(name: str, projected: Object) -> Iterator[str]:
    targets: list[_Target] = []
    for source in projected.get("sources") or ():
        if not source:
            yield f"volume {name} (Projected) has no sources provided"
            continue
        for kind, told in (("configMap", "ConfigMap"), ("secret", "Secret"), ("downwardAPI", "DownwardAPI")):
            if (found := source.get(kind)) and found.get("items"):
                label = told if kind == "downwardAPI" else f"{told} {spelled(found.get('name', ''))}"
                targets += _targets(found, label)
                break
        else:
            if token := source.get("serviceAccountToken"):
                targets.append(_Target(token.get("path", "").rstrip("/"), "ServiceAccountToken"))
    for text in _overlaps(targets):
        yield f"volume {name} (Projected): overlapping paths: {text}"


def _targets(source: Object, told: str = "") -> list[_Target]:
    return [_Target(item.get("path", "").rstrip("/"), told) for item in source.get("items") or ()]


def _overlaps(targets: Sequence[_Target]) -> Iterator[str]:
    for index, target in enumerate(targets):
        for earlier in targets[:index]:
            if target.meets(earlier):
                yield f"{target} with {earlier}"
