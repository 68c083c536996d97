"""CL478: a scope or key that joins two texts so that different callers may get the same one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions import TypedExpr
from costlens_policy.expressions.tree import Call, Literal, Name, Node, Select

__all__ = ["find_ambiguous_keys"]

_FOUND: Final = Finding("CL478")


def find_ambiguous_keys(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of ``request.team + request.user``, which is `ab` + `c` for one caller and `a` + `bc` for another."""
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            if path[-1] not in ("scope", "key"):
                continue
            for one, other in pairwise(_joined(typed.root)):
                if _is_free(subject, one) and _is_free(subject, other):
                    first, second = _source(typed, one), _source(typed, other)
                    yield _FOUND.warning(
                        f"`{first}` and `{second}` are joined without anything between: `ab` and `c` give the same as "
                        "`a` and `bc`",
                        Place(document, path).part(other.extent),
                        "begins where the other one ends",
                        'put a text between them, such as `+ "/" +`',
                    )


def _joined(node: Node) -> Iterator[Node]:
    if isinstance(node, Call) and node.function == "_+_":
        for side in node.arguments:
            yield from _joined(side)
    else:
        yield node


def _is_free(subject: Subject, node: Node) -> bool:
    """Say whether an operand is a text of the request that may be anything."""
    if isinstance(node, Call) and node.function == "orValue" and node.target is not None:
        return isinstance(node.arguments[0], Literal) and _is_free(subject, node.target)
    if not isinstance(node, Select):
        return False
    if not isinstance(node.operand, Name):
        return _is_free(subject, node.operand) if isinstance(node.operand, Select) else False
    attribute = subject.plan.attributes.get(node.field) if node.operand.name == "request" else None
    return attribute is not None and not attribute.values and attribute.type.name in ("string", "map")


def _source(typed: TypedExpr, node: Node) -> str:
    return typed.source[node.extent.start : node.extent.end]
