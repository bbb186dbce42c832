"""What the name of an image says about pulling it.
https://kubernetes.io/docs/concepts/containers/images/#imagepullpolicy-defaulting
"""

from __future__ import annotations

import re
from functools import lru_cache

_HOST = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*"
_DOMAIN = re.compile(rf"(?:{_HOST}|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_REMAINDER = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")


@lru_cache(maxsize=4096)
def default_pull_policy(image: str) -> str:
    """Always for `latest`, said or implied; IfNotPresent for all else, a name that cannot be read included."""
    domain, slash, remainder = image.partition("/")
    if not slash or not ("." in domain or ":" in domain or domain == "localhost" or domain != domain.lower()):
        domain, remainder = "docker.io", image
    found = _REMAINDER.fullmatch(remainder)
    if found is None or _IDENTIFIER.fullmatch(image) or not _DOMAIN.fullmatch(domain):
        return "IfNotPresent"
    tag = found["tag"] or ("" if found["digest"] else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"
