"""CL475: a comparison that goes by characters where numbers were meant, or whose sides are never of one type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions.tree import Call, Literal, Node

__all__ = ["find_odd_comparisons"]

_FOUND: Final = Finding("CL475")
_ORDERS: Final = frozenset({"_<_", "_<=_", "_>_", "_>=_"})
_NUMBER: Final = re.compile(r"\d+(\.\d+)*")


def find_odd_comparisons(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of orders between texts that are numbers, and of a text beside a value that is a number by default."""
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            for node in nodes_of(typed.root):
                for literal in _texts(node):
                    assert isinstance(node, Call)
                    place = Place(document, path).part(literal.extent)
                    if node.function in _ORDERS:
                        message = f"`{literal.value}` is compared as a text, by which `9` comes after `10`"
                        advice = "compare numbers: declare the attribute as `int`, or convert it with `int(…)`"
                        yield _FOUND.warning(message, place, "goes by characters", advice)
                    else:
                        message = f"`{literal.value}` is a text, and the other side is a number by default"
                        yield _FOUND.warning(message, place, "equal to no number", "write both as one type")


def _texts(node: Node) -> Iterator[Literal]:
    """Yield the text of an order that looks like a number, or of an equality beside a number."""
    if not isinstance(node, Call) or len(node.arguments) != 2:
        return
    for side, other in (node.arguments, node.arguments[::-1]):
        if isinstance(side, Literal) and isinstance(side.value, str):
            is_order = node.function in _ORDERS and _NUMBER.fullmatch(side.value)
            if is_order or (node.function in ("_==_", "_!=_") and _is_number_by_default(other)):
                yield side


def _is_number_by_default(node: Node) -> bool:
    if not (isinstance(node, Call) and node.function == "orValue"):
        return False
    default = node.arguments[0]
    return isinstance(default, Literal) and type(default.value) in (int, float)
