"""The texts that a policy set compares with, and where they are written."""

from __future__ import annotations

from collections.abc import Iterator

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Place
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Span
from costlens_policy.expressions import Node
from costlens_policy.expressions.tree import Call, Index, ListLiteral, Literal, Select
from costlens_policy.frozen import frozen

__all__ = ["Text", "compared_texts", "label_of"]


@frozen
class Text:
    """A text, and the attribute that it is compared with, such as ``team``; empty for another operand."""

    value: str
    attribute: str
    span: Span


def compared_texts(subject: Subject) -> Iterator[Text]:
    """Yield each text of ``==``, ``!=`` and ``in``, and each declared value."""
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            place = Place(document, path)
            for node in nodes_of(typed.root):
                if isinstance(node, Call) and node.function in ("_==_", "_!=_", "@in"):
                    name = next((found for side in node.arguments if (found := label_of(side))), "")
                    for literal in (found for side in node.arguments for found in _literals(side)):
                        yield Text(str(literal.value), name, place.part(literal.extent))
    declared = subject.bundle.linked.policy_set
    for name, attribute in declared.document.attributes.items():
        for at, value in enumerate(attribute.values):
            yield Text(value, name, Place(declared, ("attributes", name, "values", at)).span)


def label_of(node: Node) -> str:
    """Return the name of what is compared: an attribute of the request, or a key of one of its maps."""
    if isinstance(node, Call) and node.function == "orValue" and node.target is not None:
        return label_of(node.target)
    if isinstance(node, Index) and isinstance(node.key, Literal):
        return str(node.key.value)
    return node.field if isinstance(node, Select) else ""


def _literals(node: Node) -> Iterator[Literal]:
    for item in node.elements if isinstance(node, ListLiteral) else (node,):
        if isinstance(item, Literal) and isinstance(item.value, str):
            yield item
