"""CL450: a number that looks like another unit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents.catalogue import CatalogueModel
from costlens_policy.expressions import Node, TypedExpr
from costlens_policy.expressions.tree import Call, Literal, Select

__all__ = ["find_unit_slips"]

_FOUND: Final = Finding("CL450")
_COMPARED: Final = frozenset({"_<_", "_<=_", "_>_", "_>=_", "_==_"})


def find_unit_slips(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of comparisons with a number that only makes sense in another unit."""
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            for message, node in _slips(typed):
                yield _FOUND.warning(
                    message, Place(document, path).part(node.extent), "is this the unit?", "convert it"
                )
    for catalogue in subject.bundle.linked.catalogues:
        for name, model in catalogue.document.models.items():
            for message, steps in _facts(name, model):
                place = Place(catalogue, ("models", name, *steps))
                yield _FOUND.warning(message, place.span, "is this the unit?", "convert it")


def _facts(name: str, model: CatalogueModel) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the facts of a model that make sense in another unit only, and where they stand in its entry."""
    if model.latency_ms is not None and 0 < model.latency_ms.p50 < 20:
        message = f"the latency of `{name}` is in milliseconds, and {model.latency_ms.p50} is very little"
        yield message, ("latency_ms", "p50")
    for key, size in (("context_window", model.context_window), ("max_output_tokens", model.max_output_tokens)):
        if size is not None and size < 256:
            yield f"`{key}` of `{name}` counts single tokens, and {size} is very little", (key,)


def _slips(typed: TypedExpr) -> Iterator[tuple[str, Node]]:
    for node in nodes_of(typed.root):
        if not isinstance(node, Call) or node.function not in _COMPARED:
            continue
        left, right = node.arguments
        for subject, literal in ((left, right), (right, left)):
            name = _field(subject)
            if name and isinstance(literal, Literal) and isinstance(literal.value, int | float):
                message = _slip(name, float(literal.value))
                if message:
                    yield message, literal


def _slip(name: str, value: float) -> str:
    if name.endswith("_ms") and 0 < value < 20:
        return f"`{name}` is in milliseconds, and {value:g} is very little"
    if name.endswith("_ratio") and 2 < value <= 100:
        return f"`{name}` is a ratio, where 1 stands for the whole, and {value:g} looks like percent"
    if name.endswith("_usd_per_million_tokens") and 0 < value < 0.01:
        return f"`{name}` is in US dollars per million tokens, and {value:g} looks like a price per thousand"
    if name in ("prompt_tokens", "max_output_tokens") and value >= 50_000_000:
        return f"`{name}` counts tokens, and no model takes {value:,.0f}"
    return ""


def _field(node: Node) -> str:
    if isinstance(node, Call) and node.function == "orValue" and node.target is not None:
        return _field(node.target)
    return node.field if isinstance(node, Select) else ""
