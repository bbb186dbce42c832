"""`x-kubernetes-validations`: the CEL rules of a custom resource's schema, compiled with it and asked at every write.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
A rule that reads `oldSelf` holds for updates only, where there is an old value to compare with: the same field of the
old object, items of a map list by their keys. All rules of one write share a budget.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

from ropewalk.kube.extension import causes
from ropewalk.kube.extension.cel_cost import estimate
from ropewalk.kube.extension.correlation import Correlated, by_keys, key_of
from ropewalk.kube.extension.declared import declared
from ropewalk.kube.extension.rule_trees import rewritten
from ropewalk.kube.extension.seen import See, viewer
from ropewalk.kube.extension.structural import EMBEDDED
from ropewalk.kube.kinds.apiextensions.field_paths import follow
from ropewalk.kube.machinery.cel.declarations import Declared, structs
from ropewalk.kube.machinery.cel.environment import PER_CALL_LIMIT, Budget, CompileError, Environment, Program
from ropewalk.kube.machinery.cel.type_check import Checked
from ropewalk.kube.machinery.cel.type_check import check as check_types
from ropewalk.kube.machinery.cel.types import DYN, Type, optional_of
from ropewalk.kube.machinery.cel.values import NONE, CostExceeded, EvaluationError, Optional, Value
from ropewalk.kube.machinery.errors import Cause
from ropewalk.kube.machinery.objects import Json, Object

VALIDATIONS = "x-kubernetes-validations"
_STRUCT = "selfType1"
_LONGEST_MESSAGE = 5 << 10
_SPENT = "validation failed due to running out of cost budget, no further validation rules will be run"


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Types are checked by `machinery.cel.type_check`; this parses and builds."""
    return Environment({"self": "dyn", "oldSelf": "dyn"})


# --- compiling


@dataclass(frozen=True, slots=True)
class Compiled:
    """One rule as it was compiled, or why it was not."""

    program: Program | None = None
    error: str = ""
    uses_old: bool = False
    cost: int = 0
    message: Program | None = None
    message_error: str = ""
    message_cost: int = 0


def compile_rule(given: Object, schema: Object, root: Declared) -> Compiled:
    """`root`: what `self` is, of that schema."""
    text = given.get("rule", "")
    if not text.strip():
        return Compiled()
    variables = {"self": root.type, "oldSelf": optional_of(root.type) if given.get("optionalOldSelf") else root.type}
    checked, error = _checked(text, variables, root)
    if checked is None:
        return Compiled(error=f"compilation failed: {error}")
    if checked.type_of(checked.root).kind != "bool":
        return Compiled(error="cel expression must evaluate to a bool")
    program = environment().built(text, rewritten(checked, schema), "bool")
    uses_old, cost = "oldSelf" in checked.names, estimate(checked, root).most
    telling = given.get("messageExpression") or ""
    if not telling:
        return Compiled(program, uses_old=uses_old, cost=cost)
    told, error = _checked(telling, variables, root)
    if told is None:
        error = f"messageExpression compilation failed: {error}"
    elif told.type_of(told.root).kind != "string":
        error = "messageExpression must evaluate to a string"
    if told is None or error:
        return Compiled(program, uses_old=uses_old, cost=cost, message_error=error)
    message = environment().built(telling, rewritten(told, schema), "string")
    return Compiled(program, "", uses_old, cost, message, "", estimate(told, root).most)


def _checked(text: str, variables: dict[str, Type], root: Declared) -> tuple[Checked | None, str]:
    try:
        parsed = environment().parse(text)
    except CompileError as error:
        return None, str(error).removeprefix("compilation failed: ")
    found = check_types(text, parsed, variables, structs(root))
    return (None, "\n".join(found.errors)) if found.errors else (found, "")


def declaration(schema: Object, *, resource: bool) -> Declared | None:
    """What `self` is in the rules of this schema; None where it cannot be seen at all."""
    return declared(schema, _STRUCT, resource=resource)


@dataclass(frozen=True, slots=True)
class Rule:
    given: Object
    compiled: Compiled
    field_path: str
    optional_old: bool

    @property
    def told(self) -> str:
        """By what errors name it."""
        return str(self.given.get("message") or self.given["rule"]).strip()

    @property
    def default_message(self) -> str:
        message = self.given.get("message") or ""
        return message.strip() if message else f"failed rule: {self.told}"


@dataclass(frozen=True, slots=True)
class Ruled:
    """A schema's rules and those below it; parts without any are left out."""

    kind: str
    """The schema's type: errors quote it in place of a value."""
    rules: tuple[Rule, ...]
    see: See | None
    properties: dict[str, Ruled] = field(default_factory=dict)
    items: Ruled | None = None
    others: Ruled | None = None
    list_keys: tuple[str, ...] = ()
    """Of a map list: by which its items are found again in the old object."""


def compiled(schema: Object, *, resource: bool = True) -> Ruled | None:
    """None where no rule is. A rule that does not compile is told whenever it is asked."""
    rules = tuple(_rules(schema, resource=resource))
    properties: dict[str, Ruled] = {}
    for name, part in (schema.get("properties") or {}).items():
        below = compiled(part, resource=bool(part.get(EMBEDDED)))
        if below is not None:
            properties[name] = below
    items, others = (_compiled_below(schema.get(word)) for word in ("items", "additionalProperties"))
    if not rules and not properties and items is None and others is None:
        return None
    is_map = schema.get("x-kubernetes-list-type") == "map"
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ()) if is_map else ()
    see = viewer(schema) if rules else None
    return Ruled(schema.get("type") or "", rules, see, properties, items, others, keys)


def _compiled_below(schema: Json) -> Ruled | None:
    return compiled(schema, resource=bool(schema.get(EMBEDDED))) if isinstance(schema, dict) else None


def _rules(schema: Object, *, resource: bool) -> Iterator[Rule]:
    given = schema.get(VALIDATIONS) or ()
    root = declaration(schema, resource=resource) if given else None
    for one in given:
        made = compile_rule(one, schema, root or Declared(DYN))
        path = one.get("fieldPath") or ""
        try:
            normal = follow(path, schema)[0]
        except ValueError:
            normal = ""
        yield Rule(one, made, normal, bool(one.get("optionalOldSelf")))


# --- asking


@dataclass(slots=True)
class Verdict:
    errors: list[Cause] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """Of rules that do not hold in parts which this write leaves as they are."""


class _Stopped(Exception):
    """The budget is spent: no further rule is asked."""


def check(
    ruled: Ruled, new: Json, old: Json, budget: Budget, correlated: Correlated | None = None, path: str = ""
) -> Verdict:
    """`old` None at a creation, and where nothing stood at this place."""
    asking = _Asking(budget)
    with suppress(_Stopped):
        asking.part(ruled, new, old, path, correlated, None)
    return asking.verdict


class _Asking:
    def __init__(self, budget: Budget) -> None:
        self.verdict = Verdict()
        self._budget = budget

    def part(
        self, ruled: Ruled, new: Json, old: Json, path: str, same: Correlated | None, around: Correlated | None
    ) -> None:
        """`same`: this part before and after; None where it cannot be found again in the old object, whose nearest
        part around it that can is `around`.
        """
        if new is None:
            return
        if ruled.rules:
            self._ask(ruled, new, old, path, same if same is not None else around)
        if type(new) is dict:
            before = old if type(old) is dict else {}
            for name, value in new.items():
                below = ruled.properties.get(name)
                where = f"{path}.{name}" if path else name
                if below is None:
                    below, where = ruled.others, f"{path}[{name}]"
                if below is None:
                    continue
                if same is not None and around is None and name in ("apiVersion", "kind"):
                    self.part(below, value, before.get(name), where, None, None)
                else:
                    further = same.field(name) if same is not None else None
                    self.part(below, value, before.get(name), where, further, same if same is not None else around)
        elif type(new) is list and ruled.items is not None:
            known = by_keys(old, ruled.list_keys) if ruled.list_keys and type(old) is list else {}
            for place, item in enumerate(new):
                key = key_of(item, ruled.list_keys)
                was = known.get(key) if key is not None else None
                further = same.item(place) if same is not None else None
                where = f"{path}[{place}]"
                self.part(ruled.items, item, was, where, further, same if same is not None else around)

    def _ask(self, ruled: Ruled, new: Json, old: Json, path: str, unchanged: Correlated | None) -> None:
        if self._budget.left <= 0:
            self._stop(causes.invalid(path, ruled.kind, _SPENT))
        see = ruled.see
        mine = new if see is None else see(new)
        was = old if see is None or old is None else see(old)
        variables: dict[str, Value] = {"self": mine} if old is None else {"self": mine, "oldSelf": was}
        for rule in ruled.rules:
            if rule.compiled.error:
                told = f"rule compile error: {rule.compiled.error}"
                self.verdict.errors.append(causes.invalid(path, ruled.kind, told))
                continue
            if rule.compiled.program is None:
                continue
            if rule.compiled.uses_old and old is None and not rule.optional_old:
                continue
            given = variables
            if rule.optional_old:
                given = {"self": mine, "oldSelf": NONE if old is None else Optional(True, was)}
            if self._holds(rule, rule.compiled.program, given, ruled.kind, path) is not False:
                continue
            self._tell(rule, variables, new, ruled.kind, path, unchanged)

    def _stop(self, cause: Cause) -> None:
        self.verdict.errors.append(cause)
        raise _Stopped

    def _holds(self, rule: Rule, program: Program, variables: dict[str, Value], kind: str, path: str) -> bool | None:
        """None where it could not be asked, which is told."""
        left = self._budget.left
        try:
            return program.evaluate(variables, self._budget) is True
        except CostExceeded:
            if left < PER_CALL_LIMIT:
                self._stop(causes.invalid(path, kind, _SPENT))
            told = (
                "'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call"
                f" cost exceeds limit for rule: {rule.told}"
            )
            self._stop(causes.invalid(path, kind, told))
        except EvaluationError as error:
            if str(error).startswith("no such overload"):
                told = (
                    f"'{error}': call arguments did not match a supported operator, function or macro signature for"
                    f" rule: {rule.told}"
                )
            else:
                told = f"{error} evaluating rule: {rule.told}"
            self.verdict.errors.append(causes.invalid(path, kind, told))
        return None

    def _tell(
        self, rule: Rule, variables: dict[str, Value], new: Json, kind: str, path: str, unchanged: Correlated | None
    ) -> None:
        where = path
        if rule.field_path:
            joined = "" if not path or rule.field_path.startswith("[") else "."
            where = f"{path}{joined}{rule.field_path}"
        message, exhausted = self._message(rule, variables)
        value = causes.OMITTED if kind in ("object", "array") else new
        cause = causes.invalid(where, kind, message) if exhausted else _failed(rule, where, value, message)
        if not rule.compiled.uses_old and unchanged is not None and unchanged.unchanged:
            self.verdict.warnings.append(f"{cause.field}: {cause.message}")
        else:
            self.verdict.errors.append(cause)
        if exhausted:
            raise _Stopped

    def _message(self, rule: Rule, variables: dict[str, Value]) -> tuple[str, bool]:
        """(what is said, whether saying it cost too much)."""
        program = rule.compiled.message
        if program is None:
            return rule.default_message, False
        left = self._budget.left
        try:
            told = program.evaluate(variables, self._budget)
        except CostExceeded:
            if left < PER_CALL_LIMIT:
                return (
                    "messageExpression evaluation failed due to running out of cost budget, no further validation rules"
                    " will be run"
                ), True
            text = causes.quoted(program.text)
            return (
                "no further validation rules will be run due to call cost exceeds limit for messageExpression: " + text
            ), True
        except EvaluationError:
            return rule.default_message, False
        said = told.strip() if type(told) is str else ""
        if not said or "\n" in said or len(said.encode()) > _LONGEST_MESSAGE:
            return rule.default_message, False
        return said, False


def _failed(rule: Rule, path: str, value: Json, message: str) -> Cause:
    match rule.given.get("reason"):
        case "FieldValueForbidden":
            return causes.forbidden(path, message)
        case "FieldValueRequired":
            return causes.required(path, message)
        case "FieldValueDuplicate":
            return causes.duplicate(path, value)
    return causes.invalid(path, value, message)
