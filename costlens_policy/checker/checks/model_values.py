"""CL422: a comparison with a model, provider or family that the catalogue does not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from costlens_policy.checker.attributes import ASKED_MODEL
from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.diagnostics.suggestion import listed, nearest
from costlens_policy.expressions import Node, TypedExpr
from costlens_policy.expressions.tree import Call, ListLiteral, Literal, Name, Select

__all__ = ["check_model_values"]

_FOUND: Final = Finding("CL422")
_COMPARISONS: Final = ("_==_", "_!=_", "@in")
_WORDS: Final = {"name": "model", "base": "model", "provider": "provider", "family": "family"}


def check_model_values(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about ``model.name == "gtp-5"``, which no model of the catalogue has. Aliases never equal ``model.name``."""
    known = _known(subject)
    unlisted_serve = subject.bundle.policy_set.document.admit.unknown_models
    for document in subject.documents():
        for path, typed in subject.expressions[document].items():
            for read, literal in _compared(typed):
                values = known[read.field]
                if literal.value not in values and not (unlisted_serve and _is_candidate(read.operand)):
                    yield _unknown(subject, read.field, literal, Place(document, path), values)


def _known(subject: Subject) -> Mapping[str, frozenset[str]]:
    models = list(subject.bundle.catalogue)
    return {
        field: frozenset(value for model in models if (value := getattr(model, field)) is not None) for field in _WORDS
    }


def _unknown(subject: Subject, field: str, literal: Literal, place: Place, known: frozenset[str]) -> Diagnostic:
    value = str(literal.value)
    alias = subject.bundle.catalogue.find(value) if field in ("name", "base") else None
    near = alias.name if alias is not None else nearest(value, known)
    if near is not None:
        advice = f"did you mean `{near}`?"
    else:
        advice = f"the catalogue has {listed(sorted(known), most=6)}" if known else ""
    message = f"no model of the catalogue has the {_WORDS[field] if field != 'name' else 'name'} `{value}`"
    label = f"an alias of `{alias.name}`" if alias is not None else "never equal"
    return _FOUND.warning(message, place.part(literal.extent), label, advice)


def _compared(typed: TypedExpr) -> Iterator[tuple[Select, Literal]]:
    """Yield the fields of models that are compared with texts, and the texts."""
    for node in nodes_of(typed.root):
        if isinstance(node, Call) and node.function in _COMPARISONS and len(node.arguments) == 2:
            left, right = node.arguments
            for subject, other in ((left, right), (right, left)):
                if (read := _field(subject)) is not None:
                    for literal in _texts(other):
                        yield read, literal


def _field(node: Node) -> Select | None:
    """Return the read of a field of a model, as ``model.provider`` or ``model.?provider.orValue("")``."""
    if isinstance(node, Call) and node.function == "orValue" and node.target is not None:
        node = node.target
    if not isinstance(node, Select) or node.field not in _WORDS:
        return None
    return node if _is_candidate(node.operand) or _is_asked(node.operand) else None


def _is_candidate(node: Node) -> bool:
    return isinstance(node, Name) and node.name == "model"


def _is_asked(node: Node) -> bool:
    """Return whether a node is the model that the caller asked for, which is always one of the catalogue."""
    return isinstance(node, Select) and node.field == ASKED_MODEL and _is_request(node.operand)


def _is_request(node: Node) -> bool:
    return isinstance(node, Name) and node.name == "request"


def _texts(node: Node) -> Iterator[Literal]:
    for item in node.elements if isinstance(node, ListLiteral) else (node,):
        if isinstance(item, Literal) and isinstance(item.value, str):
            yield item
