"""Whether a request is allowed: identity policies, boundary, session policies and a resource's policy together.

An explicit deny anywhere wins. Otherwise the request needs an allow from the identity policies (or from a resource
policy that names the caller), and one from each of the boundary and the session policies where there are any. The
decision carries the reason in AWS's words.

Source: "Policy evaluation logic" and "Troubleshoot access denied error messages" in AWS's IAM user guide.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from ropewalk.aws.policy.document import Document, Named
from ropewalk.aws.policy.patterns import Context


@dataclass(frozen=True, slots=True)
class Subject:
    """The caller, as a Principal element may name it."""

    account: str
    arn: str
    """The principal's own ARN: a user's, or a session's."""
    role_arn: str = ""
    """For a session, its role's."""
    service: str = ""
    """For an AWS service, "ecs-tasks.amazonaws.com"; the other fields are then empty."""
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    subject: Subject
    action: str
    resource: str
    context: Context
    """Keys in lower case."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """Everything attached to one principal."""

    identity: tuple[Document, ...] = ()
    """Its own and its groups' policies, managed and inline."""
    boundary: Document | None = None
    session: tuple[Document, ...] | None = None
    """Policies given when the session was made; None where there were none."""
    unlimited: bool = False
    """An account's root user: only an explicit deny in a resource's policy can stop it."""

    @property
    def everything(self) -> bool:
        """Nothing can be refused on account of these: a fast path for administrators."""
        if self.unlimited:
            return True
        return (
            self.boundary is None
            and self.session is None
            and len(self.identity) > 0
            and any(document.grants_everything for document in self.identity)
            and all(statement.allow for document in self.identity for statement in document.statements)
        )


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    explicit: bool = False
    """Denied by a statement, rather than for want of one."""
    reason: str = ""
    """As it stands after the resource in an access denied message."""


class Grant(IntEnum):
    """How a resource's policy names the caller, weakest first."""

    NONE = 0
    ACCOUNT = 1
    """The account as a whole: its own identity policies must allow too."""
    ROLE = 2
    """The session's role: boundary and session policies still limit it."""
    CALLER = 3
    """The caller itself, or everyone: enough on its own."""


ALLOWED = Decision(True)


def decide(question: Question, permissions: Permissions, resource_policy: Document | None = None) -> Decision:
    action, resource, context = question.action.lower(), question.resource, question.context
    named = question.action
    grant = Grant.NONE
    if resource_policy is not None:
        denied, grant = _resource_policy(resource_policy, question, action)
        if denied:
            return _denial("a resource-based policy")
    if permissions.unlimited:
        return ALLOWED if resource_policy is None or grant else _missing("resource-based policy", named)
    allowed = _scan(permissions.identity, action, resource, context)
    if allowed is None:
        return _denial("an identity-based policy")
    limits: list[tuple[str, bool]] = []
    for label, article, documents in (
        ("permissions boundary", "a", None if permissions.boundary is None else (permissions.boundary,)),
        ("session policy", "a", permissions.session),
    ):
        if documents is not None:
            within = _scan(documents, action, resource, context)
            if within is None:
                return _denial(f"{article} {label}")
            limits.append((label, within))
    if resource_policy is not None and not grant:
        return _missing("resource-based policy", named)
    if grant is Grant.CALLER:
        return ALLOWED
    if not allowed and grant is not Grant.ROLE:
        return _missing("identity-based policy", named)
    for label, within in limits:
        if not within:
            return _missing(label, named)
    return ALLOWED


def decide_trust(question: Question, policy: Document) -> Decision:
    """A trust policy alone, as for a service that assumes a role."""
    denied, grant = _resource_policy(policy, question, question.action.lower())
    if denied:
        return _denial("a resource-based policy")
    return ALLOWED if grant else _missing("resource-based policy", question.action)


def _denial(where: str) -> Decision:
    return Decision(False, True, f"with an explicit deny in {where}")


def _missing(kind: str, action: str) -> Decision:
    return Decision(False, False, f"because no {kind} allows the {action} action")


def _scan(documents: Iterable[Document], action: str, resource: str, context: Context) -> bool | None:
    """True where something allows and nothing denies, None for an explicit deny, False where nothing applies."""
    allowed = False
    for document in documents:
        for statement in document.statements:
            if (not allowed or not statement.allow) and statement.covers(action, resource, context):
                if not statement.allow:
                    return None
                allowed = True
    return allowed


def _resource_policy(policy: Document, question: Question, action: str) -> tuple[bool, Grant]:
    """(whether it denies explicitly, the strongest grant it gives)."""
    strongest = Grant.NONE
    for statement in policy.statements:
        if statement.principals is None:
            continue
        grant = _names(statement.principals, question.subject)
        if grant and statement.covers(action, question.resource, question.context):
            if not statement.allow:
                return True, Grant.NONE
            strongest = max(strongest, grant)
    return False, strongest


def _names(principals: Named, subject: Subject) -> Grant:
    strongest = max((_named(kind, name, subject) for kind, name in principals.names), default=Grant.NONE)
    if principals.inverted:
        return Grant.NONE if strongest else Grant.CALLER
    return strongest


def _named(kind: str, name: str, subject: Subject) -> Grant:
    if kind == "*":
        return Grant.CALLER
    if kind == "Service":
        return Grant.CALLER if subject.service and subject.service == name else Grant.NONE
    if kind != "AWS" or subject.service:
        return Grant.NONE
    if name == subject.arn or (subject.user_id and name == subject.user_id):
        return Grant.CALLER
    if subject.role_arn and (name == subject.role_arn or name == subject.user_id.partition(":")[0]):
        return Grant.ROLE
    if name == subject.account or (name.startswith("arn:") and name.endswith(f"::{subject.account}:root")):
        return Grant.ACCOUNT
    return Grant.NONE
