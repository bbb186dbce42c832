"""Names that mean nothing, found without types: how an expression with message literals is checked.

The CEL library checks types, but would need descriptors of every message (`Object.spec.template{…}`) to check one that
builds them. So names are looked up here, and types are left to the evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from ropewalk.kube.machinery.cel.syntax import (
    Comprehension,
    Identifier,
    Invocation,
    MapLiteral,
    Node,
    Select,
    children,
    dotted,
)


def parts(node: Node) -> Iterator[Node]:
    """All nodes directly under one."""
    if isinstance(node, Comprehension):
        yield from (node.range, node.initial, node.condition, node.step, node.result)
    else:
        yield from children(node)


def builds_messages(node: Node) -> bool:
    if isinstance(node, MapLiteral) and node.message:
        return True
    return any(map(builds_messages, parts(node)))


def undeclared(
    root: Node, variables: Set[str], functions: Set[str], messages: Iterable[str]
) -> Iterator[tuple[str, int]]:
    """Names that mean nothing: (name, node id)."""
    known = tuple(messages)

    def walk(node: Node, scope: Set[str]) -> Iterator[tuple[str, int]]:
        if isinstance(node, Identifier):
            if node.name not in scope:
                yield node.name, node.id
        elif isinstance(node, Comprehension):
            yield from walk(node.range, scope)
            yield from walk(node.initial, scope)
            inner = scope | {node.accumulator, node.variable, node.second}
            for part in (node.condition, node.step, node.result):
                yield from walk(part, inner)
        elif isinstance(node, Invocation):
            namespaced = f"{dotted(node.target)}.{node.function}" if node.target is not None else ""
            if namespaced in functions:
                for argument in node.arguments:
                    yield from walk(argument, scope)
                return
            if node.function not in functions:
                yield node.function, node.id
            for child in children(node):
                yield from walk(child, scope)
        elif isinstance(node, Select) and dotted(node).startswith("google.protobuf."):
            return
        else:
            if isinstance(node, MapLiteral) and node.message and not node.message.startswith(known):
                yield node.message, node.id
            for child in children(node):
                yield from walk(child, scope)

    yield from walk(root, variables)
