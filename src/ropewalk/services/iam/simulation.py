"""What would be allowed: SimulatePrincipalPolicy and SimulateCustomPolicy, by the evaluation that judges requests."""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.aws.operations import Call, Params
from ropewalk.aws.policy import Document, Kind, Permissions, Question, Subject, compile_document, decide
from ropewalk.base.errors import Fault
from ropewalk.services.iam.slice import Iam, no_such, offer, page


def _context(params: Params) -> dict[str, Sequence[str]]:
    entries = params.get("ContextEntries") or ()
    return {
        entry["ContextKeyName"].lower(): list(entry.get("ContextKeyValues") or ())
        for entry in entries
        if entry.get("ContextKeyName")
    }


def _boundary(params: Params) -> Document | None:
    texts = params.get("PermissionsBoundaryPolicyInputList") or ()
    if len(texts) > 1:
        raise Fault("InvalidInput", "PermissionsBoundaryPolicyInputList may hold one policy.")
    return compile_document(texts[0]) if texts else None


def _results(params: Params, subject: Subject, permissions: Permissions, context: dict[str, Sequence[str]]) -> Params:
    text = params.get("ResourcePolicy")
    policy = compile_document(text, Kind.RESOURCE) if text else None
    results: list[Params] = []
    for action in params["ActionNames"]:
        for resource in params.get("ResourceArns") or ("*",):
            decision = decide(Question(subject, action, resource, context), permissions, policy)
            denied = "explicitDeny" if decision.explicit else "implicitDeny"
            results.append(
                {
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": "allowed" if decision.allowed else denied,
                    "MatchedStatements": [],
                    "MissingContextValues": [],
                }
            )
    numbered = list(enumerate(results))
    return page(params, numbered, lambda item: f"{item[0]:09d}", "EvaluationResults", lambda item: item[1])


@offer("SimulateCustomPolicy")
async def simulate_custom_policy(iam: Iam, call: Call, params: Params) -> Params:
    documents = tuple(compile_document(text) for text in params["PolicyInputList"])
    caller = params.get("CallerArn") or call.principal.arn
    return _results(params, Subject(iam.account, caller), Permissions(documents, _boundary(params)), _context(params))


@offer("SimulatePrincipalPolicy")
async def simulate_principal_policy(iam: Iam, call: Call, params: Params) -> Params:
    source = params["PolicySourceArn"]
    kind, _, name = source.rpartition(":")[2].partition("/")
    permissions: Permissions | None = None
    if kind in ("user", "role"):
        profile = await iam.directory.profile(kind, name.rsplit("/", 1)[-1])
        permissions = profile.permissions if profile is not None and profile.arn == source else None
    if permissions is None:
        raise no_such(f"The entity {source} cannot be found.")
    added = tuple(compile_document(text) for text in params.get("PolicyInputList") or ())
    permissions = Permissions((*permissions.identity, *added), _boundary(params) or permissions.boundary)
    context = {"aws:principalarn": (source,), "aws:username": (name.rsplit("/", 1)[-1],), **_context(params)}
    return _results(params, Subject(iam.account, params.get("CallerArn") or source), permissions, context)
