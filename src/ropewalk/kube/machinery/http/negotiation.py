"""Which form and media type an Accept header asks for, and what a Content-Type brings. Pure.

JSON is the wire format: Accept negotiates down to it, and YAML is offered to people. Bodies of built-in kinds may be
protobuf; answers never are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ropewalk.kube.machinery import errors

JSON, YAML = "application/json", "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
OFFERED = (JSON, YAML, PROTOBUF)
"""As kube-apiserver words it, though we never answer protobuf."""
BODIES = (JSON, YAML, PROTOBUF)
CUSTOM_BODIES = (JSON, YAML)
"""Of custom resources: nobody numbers their fields."""
APPLY_MEDIA_TYPE = "application/apply-patch+yaml"
PATCHES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    APPLY_MEDIA_TYPE: "apply",
}
"""Media type → the kind of patch."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to answer with."""

    media_type: str = JSON
    transform: str = ""
    """"", "Table", "PartialObjectMetadata" or "PartialObjectMetadataList"; "APIGroupDiscoveryList"."""
    version: str = ""
    """Of the transform's group: v1, v1beta1, v2."""
    pretty: bool = False


@lru_cache(maxsize=512)
def wanted(accept: str, *, transforms: bool) -> Wanted:
    """The first acceptable of what the client lists. Raises NotAcceptable."""
    if not accept:
        return Wanted()
    for clause in accept.split(",")[:32]:
        kind, *parameters = (part.strip() for part in clause.split(";"))
        given = dict(part.partition("=")[::2] for part in parameters)
        media_type = _media_type(kind)
        if not media_type:
            continue
        transform = given.get("as", "")
        if not transform:
            return Wanted(media_type)
        if transforms and _is_known(transform, given.get("g", ""), given.get("v", "")):
            return Wanted(media_type, transform, given.get("v", ""))
    raise errors.not_acceptable(OFFERED)


def _media_type(kind: str) -> str:
    kind = kind.lower()
    if kind in (JSON, "*/*", "application/*"):
        return JSON
    return YAML if kind in (YAML, "application/x-yaml", "text/yaml") else ""


def _is_known(transform: str, group: str, version: str) -> bool:
    if group == "meta.k8s.io":
        return version in ("v1", "v1beta1") and transform in (
            "Table",
            "PartialObjectMetadata",
            "PartialObjectMetadataList",
        )
    return group == "apidiscovery.k8s.io" and transform == "APIGroupDiscoveryList" and version in ("v2", "v2beta1")


def body_type(content_type: str, accepted: Sequence[str] = BODIES) -> str:
    """One of `accepted`. Raises UnsupportedMediaType."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in ("", JSON):
        return JSON
    if kind in (YAML, "application/x-yaml", "text/yaml"):
        return YAML
    if kind == PROTOBUF and PROTOBUF in accepted:
        return PROTOBUF
    if kind == PROTOBUF:
        kind = f"{PROTOBUF}, which custom resources do not have: set the client's content type to {JSON}"
    raise errors.unsupported_media_type(kind, accepted)


def patch_type(content_type: str) -> str:
    """ "json", "merge", "strategic" or "apply". Raises UnsupportedMediaType."""
    kind = content_type.partition(";")[0].strip().lower()
    found = PATCHES.get(kind)
    if found is None:
        raise errors.unsupported_media_type(kind, tuple(PATCHES))
    return found
