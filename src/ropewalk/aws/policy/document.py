"""A policy document: JSON text, validated with AWS's own messages and compiled once.

`compile_document` is the only way in; it is cached, since the same few documents are read again and again. What a
document may hold depends on its `Kind`: an identity policy names resources and no principal, a trust policy names
principals and no resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import orjson

from ropewalk.aws.policy.conditions import Condition, UnknownOperator, build
from ropewalk.aws.policy.patterns import Context, Matcher, glob, matcher
from ropewalk.base.errors import Fault

VERSIONS = ("2008-10-17", "2012-10-17")
_SID = re.compile(r"[0-9A-Za-z]*")
_VENDOR = re.compile(r"[A-Za-z0-9\-]+")
_ACTION_NAME = re.compile(r"[A-Za-z0-9*?]+")
_PARTITIONS = re.compile(r"aws[a-z\-]*|\*|aws\*")
_PRINCIPAL_KINDS = {"AWS": "AWS", "Service": "SERVICE", "Federated": "FEDERATED", "CanonicalUser": "CANONICAL"}
_ELEMENTS = {
    "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition",
}  # fmt: skip
_SYNTAX = "Syntax errors in policy."


class Kind(Enum):
    IDENTITY = "identity"
    TRUST = "trust"
    RESOURCE = "resource"


class Malformed(Fault):
    """MalformedPolicyDocument, as IAM words it."""

    def __init__(self, message: str = _SYNTAX) -> None:
        super().__init__("MalformedPolicyDocument", message, status=400)


@dataclass(frozen=True, slots=True)
class Named:
    """A Principal or NotPrincipal element: names by kind."""

    names: tuple[tuple[str, str], ...]
    """(kind, name), kind as written ("AWS", "Service", …); ("*", "*") is everyone."""
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    sid: str
    allow: bool
    actions: tuple[Matcher, ...]
    not_action: bool
    resources: tuple[Matcher, ...]
    """Empty in a trust policy: its resource is the role it hangs on."""
    not_resource: bool
    principals: Named | None
    conditions: tuple[Condition, ...]
    everything: bool
    """Every action on every resource, unconditionally."""

    def covers(self, action: str, resource: str, context: Context) -> bool:
        """Whether the statement speaks of this request, principals apart. `action` is in lower case."""
        for matches in self.actions:
            if matches(action, context):
                if self.not_action:
                    return False
                break
        else:
            if not self.not_action:
                return False
        if self.resources and any(matches(resource, context) for matches in self.resources) == self.not_resource:
            return False
        return all(condition.holds(context) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class Document:
    kind: Kind
    text: str
    statements: tuple[Statement, ...]
    grants_everything: bool
    """Some statement allows every action on every resource, and none denies anything."""


@lru_cache(maxsize=2048)
def compile_document(text: str, kind: Kind = Kind.IDENTITY) -> Document:
    """Raises `Malformed` (MalformedPolicyDocument) with AWS's message for the first thing wrong."""
    try:
        raw = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed() from error
    if not isinstance(raw, dict) or not set(raw) <= {"Version", "Id", "Statement"} or "Statement" not in raw:
        raise Malformed()
    version = raw.get("Version", VERSIONS[0])
    if version not in VERSIONS:
        raise Malformed("The policy must contain a valid version string.")
    if not isinstance(raw.get("Id", ""), str):
        raise Malformed()
    listed = raw["Statement"]
    listed = [listed] if isinstance(listed, dict) else listed
    if not isinstance(listed, list) or not listed:
        raise Malformed()
    statements = tuple(_statement(item, kind, version == VERSIONS[1]) for item in listed)
    sids = [statement.sid for statement in statements if statement.sid]
    if len(sids) != len(set(sids)):
        raise Malformed("Statement IDs (SID) in a single policy must be unique.")
    everything = any(s.everything and s.allow for s in statements) and all(s.allow for s in statements)
    return Document(kind, text, statements, everything)


def _statement(raw: object, kind: Kind, variables: bool) -> Statement:
    if not isinstance(raw, dict) or not set(raw) <= _ELEMENTS:
        raise Malformed()
    sid = raw.get("Sid", "")
    if not isinstance(sid, str):
        raise Malformed()
    if not _SID.fullmatch(sid) and kind is Kind.IDENTITY:
        raise Malformed(
            "Statement IDs (SID) must be alpha-numeric. "
            "Check that your input satisfies the regular expression [0-9A-Za-z]*"
        )
    if "Effect" not in raw:
        raise Malformed("Missing required field Effect")
    if raw["Effect"] not in ("Allow", "Deny"):
        raise Malformed(f"Invalid effect: {raw['Effect']}")
    actions, not_action = _either(raw, "Action", "NotAction")
    if not actions:
        raise Malformed(
            "Missing required field Action" if kind is Kind.TRUST else "Policy statement must contain actions."
        )
    resources, not_resource = _either(raw, "Resource", "NotResource")
    principals = _principals(raw, kind)
    for action in actions:
        _check_action(action, kind)
    for resource in resources:
        _check_resource(resource)
    if kind is Kind.TRUST and resources:
        raise Malformed("Has prohibited field Resource")
    if kind is not Kind.TRUST and not resources:
        raise Malformed("Policy statement must contain resources.")
    conditions = tuple(_conditions(raw.get("Condition", {}), variables))
    return Statement(
        sid=sid,
        allow=raw["Effect"] == "Allow",
        actions=tuple(matcher(action.lower(), variables=False) for action in actions),
        not_action=not_action,
        resources=tuple(matcher(resource, variables=variables, segments=5) for resource in resources),
        not_resource=not_resource,
        principals=principals,
        conditions=conditions,
        everything="*" in actions and "*" in resources and not not_action and not not_resource and not conditions,
    )


def _texts(value: object) -> list[str]:
    """A string, or a list of strings."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise Malformed()
    return listed


def _either(raw: Mapping[str, object], name: str, inverse: str) -> tuple[list[str], bool]:
    if name in raw and inverse in raw:
        raise Malformed()
    if inverse in raw:
        return _texts(raw[inverse]), True
    return _texts(raw[name]) if name in raw else [], False


def _check_action(action: str, kind: Kind) -> None:
    if action != "*":
        vendor, colon, name = action.partition(":")
        if not colon:
            raise Malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
        if not _VENDOR.fullmatch(vendor):
            raise Malformed(f"Vendor {vendor} is not valid")
        if not _ACTION_NAME.fullmatch(name):
            raise Malformed("Actions/Condition can contain only one colon." if ":" in name else _SYNTAX)
        if kind is Kind.TRUST and vendor.lower() != "sts":
            raise Malformed("AssumeRole policy may only specify STS AssumeRole actions.")
    elif kind is Kind.TRUST:
        raise Malformed("AssumeRole policy may only specify STS AssumeRole actions.")


def _check_resource(resource: str) -> None:
    if resource == "*":
        return
    parts = resource.split(":", 5)
    if parts[0] != "arn" or len(parts) < 3:
        raise Malformed(f'Resource {resource} must be in ARN format or "*".')
    if not _PARTITIONS.fullmatch(parts[1]):
        raise Malformed(f'Partition "{parts[1]}" is not valid for resource "{resource}".')
    if len(parts) < 6:
        raise Malformed("The policy failed legacy parsing")


def _principals(raw: Mapping[str, object], kind: Kind) -> Named | None:
    present = [name for name in ("Principal", "NotPrincipal") if name in raw]
    if kind is Kind.IDENTITY:
        if present:
            raise Malformed("Policy document should not specify a principal.")
        return None
    if not present:
        raise Malformed("Missing required field Principal")
    if len(present) == 2:
        raise Malformed()
    inverted = present[0] == "NotPrincipal"
    if inverted and kind is Kind.TRUST and raw["Effect"] == "Allow":
        raise Malformed("Allow with NotPrincipal is not allowed.")
    element = raw[present[0]]
    if element == "*":
        return Named((("*", "*"),), inverted)
    if not isinstance(element, dict) or not element:
        raise Malformed()
    names: list[tuple[str, str]] = []
    for group, value in element.items():
        if group not in _PRINCIPAL_KINDS:
            raise Malformed(f"Unknown principal type: {group}")
        for name in _texts(value):
            if not _sensible_principal(group, name):
                raise Malformed(f'Invalid principal in policy: "{_PRINCIPAL_KINDS[group]}":"{name}"')
            names.append(("*", "*") if (group, name) == ("AWS", "*") else (group, name))
    return Named(tuple(names), inverted)


_AWS_PRINCIPAL = re.compile(
    r"\*|\d{12}|A(?:IDA|ROA)[A-Z0-9]{12,}|arn:aws[a-z\-]*:iam::\d{12}:(?:root|(?:user|role)/[\w+=,.@/\-]+)"
    r"|arn:aws[a-z\-]*:sts::\d{12}:(?:assumed-role|federated-user)/[\w+=,.@/\-]+"
)
_SERVICE_PRINCIPAL = re.compile(r"[a-z0-9][a-z0-9.\-]*\.amazonaws\.com(?:\.cn)?|[a-z0-9.\-]+\.aws\.internal")


def _sensible_principal(group: str, name: str) -> bool:
    if group == "AWS":
        return _AWS_PRINCIPAL.fullmatch(name) is not None
    if group == "Service":
        return _SERVICE_PRINCIPAL.fullmatch(name) is not None
    return bool(name)


def _conditions(raw: object, variables: bool) -> Iterable[Condition]:
    if not isinstance(raw, dict):
        raise Malformed()
    for operator, keys in raw.items():
        if not isinstance(keys, dict):
            raise Malformed()
        for key, values in keys.items():
            if ":" not in key:
                raise Malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
            try:
                yield build(operator, key, _scalars(values), variables)
            except UnknownOperator as error:
                raise Malformed(f"Invalid Condition type : {operator}.") from error
            except (ValueError, OverflowError) as error:
                raise Malformed() from error


def _scalars(value: object) -> list[str]:
    """Condition values: strings, numbers and booleans, alone or in a list."""
    listed = value if isinstance(value, list) else [value]
    found: list[str] = []
    for item in listed:
        if isinstance(item, bool):
            found.append("true" if item else "false")
        elif isinstance(item, (str, int, float)):
            found.append(str(item))
        else:
            raise Malformed()
    return found


def matches_arn(pattern: str, arn: str) -> bool:
    return glob(pattern, False, 5).fullmatch(arn) is not None
