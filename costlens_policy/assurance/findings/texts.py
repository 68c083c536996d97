"""The texts that a policy set compares with, and where they are written."""

from __future__ import annotations

from collections.abc import Iterator

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Place
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Span
from costlens_policy.expressions import Node
from costlens_policy.expressions.tree import Call, Index, ListLiteral, Literal, Name, Select
from costlens_policy.frozen import frozen

__all__ = ["Text", "catalogue_words", "compared_texts", "label_of", "read_keys", "tested_texts"]


@frozen
class Text:
    """A text, and the attribute that it is compared with, such as ``team``; empty for another operand.

    Of a name that is not compared with anything, ``attribute`` says what kind of name it is. ``within`` is the place
    of the whole expression.
    """

    value: str
    attribute: str
    span: Span
    is_compared: bool = True
    within: Place | None = None


def compared_texts(subject: Subject) -> Iterator[Text]:
    """Yield each text of ``==``, ``!=`` and ``in``, and each declared value."""
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            place = Place(document, path)
            for node in nodes_of(typed.root):
                if isinstance(node, Call) and node.function in ("_==_", "_!=_", "@in"):
                    name = next((found for side in node.arguments if (found := label_of(side))), "")
                    for literal in (found for side in node.arguments for found in _literals(side)):
                        yield Text(str(literal.value), name, place.part(literal.extent), within=place)
    declared = subject.bundle.linked.policy_set
    for name, attribute in declared.document.attributes.items():
        for at, value in enumerate(attribute.values):
            yield Text(value, name, Place(declared, ("attributes", name, "values", at)).span)


def tested_texts(subject: Subject) -> Iterator[Text]:
    """Yield the texts that attributes are asked to begin or end with."""
    for place, node in _nodes(subject):
        if isinstance(node, Call) and node.function in ("startsWith", "endsWith") and node.target is not None:
            for literal in _literals(node.arguments[0]):
                if label_of(node.target):
                    kind = (
                        f"what `{label_of(node.target)}` {'begins' if node.function == 'startsWith' else 'ends'} with"
                    )
                    yield Text(str(literal.value), kind, place.part(literal.extent), False, place)


def read_keys(subject: Subject) -> Iterator[Text]:
    """Yield the keys of ``request.metadata`` and its like that are read."""
    for place, node in _nodes(subject):
        if not (isinstance(node, Select | Index) and isinstance(node.operand, Select)):
            continue
        if node.operand.field != "metadata" or not _is_request(node.operand.operand):
            continue
        if isinstance(node, Select):
            yield Text(node.field, "a key of `metadata`", place.part(node.field_extent), False)
        elif isinstance(node.key, Literal):
            yield Text(str(node.key.value), "a key of `metadata`", place.part(node.key.extent), False)


def catalogue_words(subject: Subject) -> Iterator[Text]:
    """Yield the words of catalogues that are written out, and, for conditions on ``task``, the tasks twice."""
    for catalogue in subject.bundle.linked.catalogues:
        for name, model in catalogue.document.models.items():
            place = Place(catalogue, ("models", name))
            for key, value in (("provider", model.provider), ("family", model.family)):
                if value is not None:
                    yield Text(value, f"the {key} of a model", place.at(key).span, False)
            for at, region in enumerate(model.regions or ()):
                yield Text(region, "a region of a model", place.at("regions", at).span, False)
            for task in model.quality or {}:
                where = place.at("quality", task).key_span
                yield Text(task, "a task with a quality", where, False)
                yield from (Text(task, "task", where), Text(task, "task", where))


def _nodes(subject: Subject) -> Iterator[tuple[Place, Node]]:
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            place = Place(document, path)
            yield from ((place, node) for node in nodes_of(typed.root))


def _is_request(node: Node) -> bool:
    return isinstance(node, Name) and node.name == "request"


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
