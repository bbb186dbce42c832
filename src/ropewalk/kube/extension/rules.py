"""`x-kubernetes-validations`: the CEL rules of a custom resource's schema, compiled with it and asked at every write.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
A rule that reads `oldSelf` holds for updates only, where there is an old value to compare with: the same field of the
old object, items of a map list by their keys. All rules of one write share a budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ropewalk.kube.machinery.cel.environment import Budget, CompileError, Environment, Program
from ropewalk.kube.machinery.cel.values import CostExceeded, EvaluationError
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Json, Object

VALIDATIONS = "x-kubernetes-validations"


@lru_cache(maxsize=1)
def environment() -> Environment:
    return Environment({"self": "dyn", "oldSelf": "dyn"}, escaped=True)


@dataclass(frozen=True, slots=True)
class Rule:
    text: str
    program: Program
    message: str
    message_program: Program | None
    reason: str
    field_path: str
    transitional: bool
    """It reads oldSelf."""
    optional_old: bool


@dataclass(frozen=True, slots=True)
class Ruled:
    """A schema's rules and those below it; parts without any are left out."""

    rules: tuple[Rule, ...]
    properties: dict[str, Ruled]
    items: Ruled | None
    others: Ruled | None
    list_keys: tuple[str, ...]
    """Of a map list: by which its items are found again in the old object."""
    correlatable: bool


def compiled(schema: Object) -> Ruled | None:
    """Raises `CompileError`; a schema that was validated compiles."""
    rules = tuple(_rule(given) for given in schema.get(VALIDATIONS) or ())
    properties = {}
    for name, part in (schema.get("properties") or {}).items():
        below = compiled(part)
        if below is not None:
            properties[name] = below
    items = compiled(schema["items"]) if isinstance(schema.get("items"), dict) else None
    additional = schema.get("additionalProperties")
    others = compiled(additional) if isinstance(additional, dict) else None
    if not rules and not properties and items is None and others is None:
        return None
    is_map = schema.get("x-kubernetes-list-type") == "map"
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ()) if is_map else ()
    return Ruled(rules, properties, items, others, keys, bool(keys))


def _rule(given: Object) -> Rule:
    text = given["rule"]
    message = given.get("messageExpression")
    program = environment().compile(text, returns=("bool", "dyn"))
    return Rule(
        text,
        program,
        given.get("message", ""),
        environment().compile(message, returns=("string", "dyn")) if message else None,
        given.get("reason", ""),
        given.get("fieldPath", ""),
        "oldSelf" in text,
        bool(given.get("optionalOldSelf")),
    )


def validate(schema: Object, path: Path, errors: FieldErrors) -> None:
    """Whether a definition's rules compile."""
    for place, given in enumerate(schema.get(VALIDATIONS) or ()):
        where = path / VALIDATIONS / place
        if not given.get("rule", "").strip():
            errors.required(where / "rule", "rule is not specified")
            continue
        for name in ("rule", "messageExpression"):
            text = given.get(name)
            if text:
                try:
                    environment().compile(text, returns=("bool", "dyn") if name == "rule" else ("string", "dyn"))
                except CompileError as error:
                    errors.invalid(where / name, text, str(error))
        if given.get("reason", "FieldValueInvalid") not in _REASONS:
            errors.not_supported(where / "reason", given["reason"], sorted(_REASONS))
    for name, part in (schema.get("properties") or {}).items():
        validate(part, (path / "properties").key(name), errors)
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            validate(schema[word], path / word, errors)


_REASONS = ("FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate")


def check(ruled: Ruled, new: Json, old: Json, path: Path, errors: FieldErrors, budget: Budget) -> None:
    """`old` None at a creation, and where nothing stood at this place."""
    for rule in ruled.rules:
        if rule.transitional and old is None and not rule.optional_old:
            continue
        if budget.left <= 0:
            errors.invalid(
                path, "", "validation failed due to running out of cost budget, no further validation rules will be run"
            )
            return
        _check_rule(rule, new, old, path, errors, budget)
    for below, part, before, where in _parts(ruled, new, old, path):
        check(below, part, before, where, errors, budget)


def _parts(ruled: Ruled, new: Json, old: Json, path: Path) -> Iterator[tuple[Ruled, Json, Json, Path]]:
    if type(new) is dict:
        before = old if type(old) is dict else {}
        for name, part in new.items():
            below = ruled.properties.get(name) or ruled.others
            if below is not None:
                where = path / name if name in ruled.properties else path.key(name)
                yield below, part, before.get(name), where
    elif type(new) is list and ruled.items is not None:
        known = _by_keys(old, ruled.list_keys) if ruled.correlatable and type(old) is list else {}
        for place, item in enumerate(new):
            yield ruled.items, item, known.get(_keys_of(item, ruled.list_keys)), path / place


def _by_keys(items: Sequence[Json], keys: Sequence[str]) -> dict[tuple[str, ...], Json]:
    return {_keys_of(item, keys): item for item in items}


def _keys_of(item: Json, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(repr(item.get(key)) for key in keys) if type(item) is dict else (repr(item),)


def _check_rule(rule: Rule, new: Json, old: Json, path: Path, errors: FieldErrors, budget: Budget) -> None:
    variables = {"self": new, "oldSelf": old}
    try:
        holds = rule.program.evaluate(variables, budget)
    except CostExceeded:
        errors.invalid(path, "", f"validation failed due to running out of cost budget: rule {rule.text}")
        return
    except EvaluationError as error:
        errors.invalid(path, _kind(new), f"{rule.text} evaluation error: {error}")
        return
    if holds is True:
        return
    where = _below(path, rule.field_path)
    _tell(rule, _message(rule, variables, budget), where, new, errors)


def _message(rule: Rule, variables: dict[str, Json], budget: Budget) -> str:
    if rule.message_program is not None:
        try:
            told = rule.message_program.evaluate(variables, budget)
        except (EvaluationError, CostExceeded):
            told = None
        if isinstance(told, str) and told.strip() and "\n" not in told:
            return told.strip()
    return rule.message.strip() or f"failed rule: {rule.text.strip()}"


def _tell(rule: Rule, message: str, path: Path, value: Json, errors: FieldErrors) -> None:
    match rule.reason:
        case "FieldValueForbidden":
            errors.forbidden(path, message)
        case "FieldValueRequired":
            errors.required(path, message)
        case "FieldValueDuplicate":
            errors.duplicate(path, value)
        case _:
            errors.invalid(path, _kind(value), message)


def _below(path: Path, field_path: str) -> Path:
    for step in field_path.split("."):
        if step:
            path = path / step
    return path


def _kind(value: Json) -> Json:
    """Containers are told by their type alone, as Kubernetes does."""
    return "object" if type(value) is dict else "array" if type(value) is list else value
