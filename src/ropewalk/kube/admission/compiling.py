"""Whether the expressions of policies and webhooks compile: what their kinds ask when they are written.

The kinds say what an expression is for and may speak of (`kinds.admissionregistration.expressions`); here it is
compiled in the very environment in which it will run.
"""

from __future__ import annotations

from ropewalk.kube.admission.expressions import compiled
from ropewalk.kube.kinds.admissionregistration.expressions import Expression, Purpose
from ropewalk.kube.machinery.cel.environment import CompileError, Environment

_RETURNS: dict[Purpose, tuple[str, ...]] = {
    Purpose.MATCH_CONDITION: ("bool",),
    Purpose.VALIDATION: ("bool",),
    Purpose.MESSAGE: ("string",),
    Purpose.AUDIT_ANNOTATION: ("string", "null_type"),
    Purpose.VARIABLE: (),
    Purpose.APPLY_CONFIGURATION: (),
    Purpose.JSON_PATCH: (),
}
_MUTATION = (Purpose.APPLY_CONFIGURATION, Purpose.JSON_PATCH)


def complaint(expression: Expression) -> str:
    """A `Compiler`: what is wrong, "" where nothing is."""
    try:
        compiled(
            expression.text,
            _RETURNS[expression.purpose],
            authorizer=expression.has_authorizer,
            params=expression.has_params,
            variables=bool(expression.variables),
            mutation=expression.purpose in _MUTATION,
        )
    except CompileError as error:
        return str(error)
    return ""


def selector_complaint(text: str) -> str:
    """The same for a device selector of `resource.k8s.io`."""
    try:
        Environment({"device": "dyn"}).compile(text, ("bool", "dyn"))
    except CompileError as error:
        return str(error)
    return ""
