"""What an expression may say, and running it: `Environment.compile` gives a `Program`, `evaluate` its value.

The CEL library parses and type-checks against declarations made from the table of functions; programs are evaluated
by `evaluator`. Compiling costs a fraction of a millisecond, an evaluation of a usual rule a microsecond or two: keep
programs. The library itself is imported where the first environment is made.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ropewalk.kube.machinery.cel import authorization, kubernetes, networks, standard, strings, urls, versions
from ropewalk.kube.machinery.cel.authorization import Checks, Undecided
from ropewalk.kube.machinery.cel.declared import builds_messages, undeclared
from ropewalk.kube.machinery.cel.evaluator import TYPES, Compiler, Frame, Step
from ropewalk.kube.machinery.cel.functions import NAMES, OPAQUE, OVERLOADS
from ropewalk.kube.machinery.cel.syntax import Node, Parsed, decode
from ropewalk.kube.machinery.cel.values import CostExceeded, EvaluationError, Value

if TYPE_CHECKING:
    from cel_expr_python import cel  # type: ignore[import-untyped]

LIBRARIES = (standard, strings, kubernetes, urls, networks, versions, authorization)
"""Importing these fills the table of functions."""

PER_CALL_LIMIT = 1_000_000
"""What one evaluation of one expression may cost."""
BUDGET = 10_000_000
"""What all expressions of one binding of a policy, or of one custom resource, may cost together."""
MATCH_CONDITIONS_BUDGET = 2_500_000
"""What the match conditions of one webhook or policy may cost together."""
MAX_EXPRESSION = 64 << 10

_VARIABLE = r"\(\) (?:first |second )?variable name must be a simple identifier"
_MACRO_PROBLEMS = (
    (re.compile(r"has\(\) argument must be a field selection"), "invalid argument to has() macro"),
    (re.compile(rf"(?:map|filter){_VARIABLE}"), "argument is not an identifier"),
    (re.compile(rf"(?:all|exists|exists_one|existsOne|transform\w+){_VARIABLE}"), "argument must be a simple name"),
)
"""What the library says of macros, and Kubernetes' texts."""
_OPERATORS = ("@not_strictly_false", "_&&_", "_||_", "_?_:_", "_==_", "_!=_", "_?._", "_[?_]")


class CompileError(Exception):
    """Not an expression, or one with unknown names or types that do not fit: Kubernetes' text for it."""


class Budget:
    """What may still be spent by several evaluations."""

    __slots__ = ("left",)

    def __init__(self, left: int = BUDGET) -> None:
        self.left = left


class Program:
    """A compiled expression."""

    __slots__ = ("_step", "node", "result", "text")

    def __init__(self, text: str, node: Node, step: Step, result: str) -> None:
        self.text = text
        self.node = node
        self.result = result
        """Name of the type it evaluates to; "dyn" where that shows only at run time."""
        self._step = step

    def evaluate(self, variables: dict[str, Value], budget: Budget | None = None) -> Value:
        """Raises `EvaluationError` where there is no value, `CostExceeded` where it costs too much, `Undecided` where
        an authorizer must be asked first.
        """
        limit = PER_CALL_LIMIT if budget is None else min(PER_CALL_LIMIT, budget.left)
        frame = Frame(variables, limit)
        try:
            value = self._step(frame)
        except RecursionError:
            raise EvaluationError("the expression is nested too deeply") from None
        except (OverflowError, MemoryError):
            raise EvaluationError("integer overflow") from None
        finally:
            if budget is not None:
                budget.left -= limit - max(frame.left, 0)
        if frame.left < 0:
            raise CostExceeded
        return value


async def evaluate(
    program: Program, variables: dict[str, Value], budget: Budget | None = None, checks: Checks | None = None
) -> Value:
    """The same, asking the authorizer what the expression wants to know."""
    return await settled(lambda: program.evaluate(variables, budget), checks)


async def settled(run: Callable[[], Value], checks: Checks | None) -> Value:
    """Run, answering the authorizer's questions, until it needs no more answers."""
    while True:
        try:
            return run()
        except Undecided as undecided:
            if checks is None:
                raise EvaluationError("no authorizer") from None
            await checks.decide(undecided.attributes)


class Environment:
    """Names and their types. `variables` maps each to a type as signatures write it ("dyn", "string", "Authorizer",
    "list(string)"), or to one of the library's own types. `messages` are the beginnings of names of message literals
    that may be written ("JSONPatch", "Object"). `pool` holds descriptors of the messages that variables are.
    """

    def __init__(
        self,
        variables: Mapping[str, Any],
        *,
        escaped: bool = False,
        messages: Iterable[str] = (),
        pool: Any = None,
    ) -> None:
        self._variables = frozenset(variables)
        self._messages = tuple(messages)
        dotted = frozenset(name for name in variables if "." in name)
        self._compiler = Compiler(escaped=escaped, dotted_variables=dotted)
        self._env = _library_environment(variables, pool)

    def compile(self, text: str, returns: Sequence[str] = ()) -> Program:
        """`returns`: the types it may evaluate to; any where empty."""
        parsed = self.parse(text)
        node, result = parsed.root, "dyn"
        if builds_messages(node):
            self._look_up(text, node, parsed)
        else:
            result = self._check(text)
            if returns and result not in returns:
                told = returns[0] if len(returns) == 1 else "one of [" + " ".join(returns) + "]"
                raise CompileError(f"must evaluate to {told}")
        return self.built(text, node, result)

    def built(self, text: str, node: Node, result: str) -> Program:
        """The program of a tree that was checked, by `compile` or by one who knows more of its types."""
        return Program(text, node, self._compiler.build(node), result)

    def parse(self, text: str) -> Parsed:
        """Raises `CompileError` where it is no expression; names and types are not looked at."""
        if len(text.encode()) > MAX_EXPRESSION:
            raise CompileError("compilation failed: expression is too long")
        try:
            return decode(self._env.compile(text, disable_check=True).serialize())
        except RuntimeError as error:
            raise CompileError(_told(error)) from None

    def _check(self, text: str) -> str:
        try:
            return _spelled(self._env.compile(text).return_type())
        except RuntimeError as error:
            raise CompileError(_told(error)) from None

    def _look_up(self, text: str, node: Node, parsed: Parsed) -> None:
        functions = NAMES | set(_OPERATORS)
        wrong = undeclared(node, self._variables | TYPES.keys(), functions, self._messages)
        problems = [_problem(text, name, parsed.positions.get(identity, 0)) for name, identity in wrong]
        if problems:
            raise CompileError("compilation failed: " + "\n".join(problems))


def _problem(text: str, name: str, offset: int) -> str:
    before = text[:offset]
    line, column = before.count("\n") + 1, offset - (before.rfind("\n") + 1)
    shown = text.split("\n")[line - 1]
    return (
        f"ERROR: <input>:{line}:{column + 1}: undeclared reference to '{name}' (in container '')"
        f"\n | {shown}\n | {'.' * column}^"
    )


def _told(error: RuntimeError) -> str:
    text = str(error).removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
    for theirs, ours in _MACRO_PROBLEMS:
        text = theirs.sub(ours, text)
    return f"compilation failed: {text}"


def _spelled(found: cel.Type) -> str:
    """The library's name of a type as Kubernetes writes it: "bool", "list(string)"."""
    name = found.name()
    words = {
        "LIST": "list",
        "MAP": "map",
        "NULL": "null_type",
        "TIMESTAMP": "google.protobuf.Timestamp",
        "DURATION": "google.protobuf.Duration",
    }
    for upper in ("BOOL", "BYTES", "DOUBLE", "DYN", "INT", "STRING", "UINT", "TYPE"):
        words[upper] = upper.lower()
    spelled, word = "", ""
    for character in name + " ":
        if character.isalnum() or character in "._":
            word += character
            continue
        spelled += words.get(word, word) + {"<": "(", ">": ")"}.get(character, character)
        word = ""
    return spelled.rstrip()


def library_type(text: str) -> cel.Type:
    """A type of the library from how signatures write it."""
    from cel_expr_python import cel

    word, _, inner = text.partition("(")
    if inner:
        inside = inner[:-1]
        if word == "optional":
            return cel.Type.DYN  # the library's Python types cannot say "optional of"
        if word == "list":
            return cel.Type.List(library_type(inside))
        key, _, value = inside.partition(",")
        return cel.Type.Map(library_type(key), library_type(value))
    if word in OPAQUE:
        return cel.Type.AbstractType(OPAQUE[word], [])
    plain = {
        "bool": cel.Type.BOOL,
        "bytes": cel.Type.BYTES,
        "double": cel.Type.DOUBLE,
        "dyn": cel.Type.DYN,
        "duration": cel.Type.DURATION,
        "int": cel.Type.INT,
        "null": cel.Type.NULL,
        "string": cel.Type.STRING,
        "timestamp": cel.Type.TIMESTAMP,
        "type": cel.Type.TYPE,
        "uint": cel.Type.UINT,
        "list": cel.Type.LIST,
        "map": cel.Type.MAP,
    }
    return plain[word]


@functools.cache
def _declarations() -> tuple[tuple[str, cel.FunctionDecl], ...]:
    from cel_expr_python import cel

    by_name: dict[str, list[cel.Overload]] = {}
    for overload in OVERLOADS:
        if not overload.standard:
            by_name.setdefault(overload.name, []).append(
                cel.Overload(
                    overload.id,
                    library_type(overload.result),
                    [library_type(parameter) for parameter in overload.parameters],
                    is_member=overload.member,
                )
            )
    return tuple((name, cel.FunctionDecl(name, overloads)) for name, overloads in by_name.items())


_CONFIGURATION = """
name: kubernetes
stdlib:
  exclude_functions:
    - name: string
extensions:
  - name: lists
  - name: sets
  - name: strings
    version: 2
  - name: optional
  - name: two-var-comprehensions
"""
"""What Kubernetes turns on of the library. `string` is declared by ourselves: addresses have one too."""

_FURTHER = ("indexOf", "lastIndexOf")
"""Further overloads of functions that the library declares: only extensions may have those (but none with Kubernetes'
types: extensions cannot tell these apart).
"""


def _library_environment(variables: Mapping[str, Any], pool: Any) -> cel.Env:
    from cel_expr_python import cel

    typed = {name: library_type(kind) if isinstance(kind, str) else kind for name, kind in variables.items()}
    return cel.NewEnv(
        descriptor_pool=pool,
        config=cel.NewEnvConfigFromYaml(_CONFIGURATION),
        variables=typed,
        functions=[declared for name, declared in _declarations() if name not in _FURTHER],
        extensions=[cel.CelExtension("more", [declared for name, declared in _declarations() if name in _FURTHER])],
    )
