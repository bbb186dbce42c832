"""Who asks for what: the request as every step of the front sees it, once the URL has been read and the caller is
known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ropewalk.kube.machinery.resources import ResourceInfo


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated caller."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
LOOPBACK = User("system:apiserver", ("system:masters", "system:authenticated"))
"""The server itself, as its own client."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What authorization and audit ask about a request.
    https://kubernetes.io/docs/reference/access-authn-authz/authorization/#review-your-request-attributes
    """

    user: User
    verb: str
    """Lower case: a resource verb (get, list, watch, create, update, patch, delete, deletecollection, …) or an HTTP
    method for other URLs.
    """
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    """Plural; "" for a URL that is no resource."""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""

    @property
    def is_resource(self) -> bool:
        return bool(self.resource)

    def by(self, user: User) -> Attributes:
        """The same, asked by somebody else. (`dataclasses.replace` takes as long as a whole step of the front.)"""
        return Attributes(
            user,
            self.verb,
            self.path,
            self.group,
            self.version,
            self.resource,
            self.subresource,
            self.namespace,
            self.name,
            self.field_selector,
            self.label_selector,
        )


@dataclass(slots=True)
class Call:
    """One request under way. What steps learn on the way gathers here."""

    user: User
    attributes: Attributes
    info: ResourceInfo | None = None
    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = "Warn"
    """"Strict", "Warn" or "Ignore"."""
    user_agent: str = ""
    source: str = ""
    """The client's address."""
    warnings: list[str] = field(default_factory=list)
    """Sent as `Warning: 299 - "…"` headers."""
    audit: dict[str, str] = field(default_factory=dict)
    """Annotations of the audit event."""
