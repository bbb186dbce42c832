"""CEL expressions in policies and webhooks, as far as their kinds know them: text, and what it may speak of. Compiling
them is for `ropewalk.kube.admission`, which the kinds may not know; it comes in as a `Compiler`.
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.cel.declarations import RESERVED
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

MOST_CONDITIONS = 64
IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")


class Purpose(Enum):
    """What an expression is for: with it goes the type that it must give."""

    MATCH_CONDITION = "match condition"
    VARIABLE = "variable"
    VALIDATION = "validation"
    MESSAGE = "message"
    AUDIT_ANNOTATION = "audit annotation"
    APPLY_CONFIGURATION = "apply configuration"
    JSON_PATCH = "JSON patch"


@dataclass(frozen=True, slots=True)
class Expression:
    text: str
    purpose: Purpose
    has_params: bool = False
    has_authorizer: bool = True
    variables: tuple[tuple[str, str], ...] = ()
    """Names and expressions of those composed before it; it speaks of them as `variables.NAME`."""
    is_stored: bool = False
    """It stood there before this update: newer limits do not apply."""


Compiler = Callable[[Expression], str]
"""What is wrong with an expression ("" where nothing is), in the words of the field error."""


def anything(expression: Expression) -> str:
    """The compiler of an installation without one."""
    return ""


def compile_into(compiler: Compiler, expression: Expression, path: Path, errors: FieldErrors) -> None:
    complaint = compiler(expression)
    if complaint:
        errors.invalid(path, expression.text, complaint)


def is_identifier(name: str) -> bool:
    return IDENTIFIER.fullmatch(name) is not None and name not in RESERVED


def validate_match_conditions(
    conditions: Sequence[Object],
    stored: Sequence[Object],
    path: Path,
    errors: FieldErrors,
    compiler: Compiler,
    *,
    has_params: bool,
) -> None:
    if len(conditions) > MOST_CONDITIONS:
        errors.too_many(path, len(conditions), MOST_CONDITIONS)
    known = {condition.get("expression") for condition in stored}
    seen = set()
    for index, condition in enumerate(conditions):
        here = path / index
        text = condition.get("expression", "").strip()
        if not text:
            errors.required(here / "expression")
        else:
            expression = Expression(
                text, Purpose.MATCH_CONDITION, has_params, is_stored=condition["expression"] in known
            )
            compile_into(compiler, expression, here / "expression", errors)
        name = condition.get("name", "")
        if not name:
            errors.required(here / "name")
            continue
        errors.messages(here / "name", name, names.qualified_name(name))
        if name in seen:
            errors.duplicate(here / "name", name)
        seen.add(name)
