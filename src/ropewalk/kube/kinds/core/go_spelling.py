"""Parts of a pod as Kubernetes spells them inside its messages: its internal types have no JSON names, so fields appear
under their Go names. Nothing but messages reads this; absent fields, which Go prints as null, are left out but of the
few types that `go_struct` knows.
"""

from __future__ import annotations

import difflib
import json

from ropewalk.kube.machinery.objects import Json

_FREE_KEYS = frozenset(
    {
        "annotations",
        "labels",
        "limits",
        "matchLabels",
        "nodeSelector",
        "options",
        "overhead",
        "requests",
        "volumeAttributes",
    }
)
"""Fields that hold maps with keys of the user's own."""
_INITIALISMS = {
    "dnsConfig": "DNSConfig",
    "dnsPolicy": "DNSPolicy",
    "fsGroup": "FSGroup",
    "fsGroupChangePolicy": "FSGroupChangePolicy",
    "httpGet": "HTTPGet",
    "httpHeaders": "HTTPHeaders",
    "ip": "IP",
    "os": "OS",
    "tcpSocket": "TCPSocket",
    "grpc": "GRPC",
    "tty": "TTY",
    "csi": "CSI",
    "nfs": "NFS",
    "fc": "FC",
    "uid": "UID",
    "gmsaCredentialSpec": "GMSACredentialSpec",
    "gmsaCredentialSpecName": "GMSACredentialSpecName",
    "seLinuxOptions": "SELinuxOptions",
    "seLinuxChangePolicy": "SELinuxChangePolicy",
}


_STRUCTS = {
    "AppArmorProfile": ("type", "localhostProfile"),
    "Capabilities": ("add", "drop"),
    "NodeSelectorRequirement": ("key", "operator", "values"),
    "NodeSelectorTerm": ("matchExpressions", "matchFields"),
    "PodResourceClaim": ("name", "resourceClaimName", "resourceClaimTemplateName"),
    "SELinuxOptions": ("user", "role", "type", "level"),
    "SeccompProfile": ("type", "localhostProfile"),
    "SecurityContext": (
        "capabilities",
        "privileged",
        "seLinuxOptions",
        "windowsOptions",
        "runAsUser",
        "runAsGroup",
        "runAsNonRoot",
        "readOnlyRootFilesystem",
        "allowPrivilegeEscalation",
        "procMount",
        "seccompProfile",
        "appArmorProfile",
    ),
    "WindowsOptions": ("gmsaCredentialSpecName", "gmsaCredentialSpec", "runAsUserName", "hostProcess"),
}
"""Types that messages print whole: their fields, in Go's order."""
_TEXTS = {"name", "type", "user", "role", "level", "key", "operator"}
"""Of these, the fields that are plain strings: empty where absent, not null."""


def go_struct(kind: str, value: Json) -> Json:
    """One of `_STRUCTS` as Go prints it, with what is absent."""
    spelling: dict[str, Json] = {}
    for name in _STRUCTS[kind]:
        spelled = _INITIALISMS.get(name, name[:1].upper() + name[1:])
        part = value.get(name, "" if name in _TEXTS else None)
        if spelled in ("MatchExpressions", "MatchFields") and part is not None:
            part = [go_struct("NodeSelectorRequirement", requirement) for requirement in part]
        spelling[spelled] = go_struct(spelled, part) if isinstance(part, dict) else part
    return spelling


def go_spelled(value: Json) -> Json:
    if isinstance(value, dict):
        return {
            _INITIALISMS.get(key, key[:1].upper() + key[1:]): part if key in _FREE_KEYS else go_spelled(part)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [go_spelled(part) for part in value]
    return value


def difference(old: Json, new: Json) -> str:
    """A unified diff, as messages about forbidden changes end."""
    texts = [
        [
            line + "\n"
            for line in json.dumps(go_spelled(value), indent=1, ensure_ascii=False, sort_keys=True).split("\n")
        ]
        for value in (old, new)
    ]
    return "".join(list(difflib.unified_diff(texts[0], texts[1], n=3))[2:])
