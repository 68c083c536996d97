"""CL477: a choice whose order prefers what nobody wants, or prefers nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.bundle import all_targets_of
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions import TypedExpr
from costlens_policy.expressions.tree import Call, Index, Name, Node, Select

__all__ = ["find_wrong_orders"]

_FOUND: Final = Finding("CL477")
_LESS_IS_BETTER: Final = frozenset({
    "cost_usd", "latency_p50_ms", "latency_p95_ms", "input_usd_per_million_tokens", "output_usd_per_million_tokens",
})  # fmt: skip


def find_wrong_orders(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of choices of the dearest, the slowest or the worst model, and of those among which all are equal."""
    for document in subject.documents.documents():
        for path, target in all_targets_of(document.document):
            for key in ("maximize", "minimize") if target.choose is not None else ():
                place = Place(document, (*path, "choose", key))
                typed = subject.documents.typed(place)
                reason = _reason(typed, key) if typed is not None else None
                if reason is not None:
                    message, advice = reason
                    yield _FOUND.warning(message, place.span, "decides which model comes first", advice)


def _reason(typed: TypedExpr, key: str) -> tuple[str, str] | None:
    name = _fact(typed.root)
    if key == "maximize" and name in _LESS_IS_BETTER:
        return f"the choice prefers the highest `{name}`", "write `minimize`"
    if key == "minimize" and name == "quality":
        return "the choice prefers the lowest quality", "write `maximize`"
    roots = {reference[0] for reference in typed.references}
    if not roots & {"model", "estimate", "variables"}:
        advice = "order them by what differs, such as `estimate.cost_usd`"
        return "all models of the choice are equal in its order", advice
    return None


def _fact(node: Node) -> str:
    """Return the fact of a model, or of the estimate, that is all of an order; empty for anything else."""
    if isinstance(node, Call) and node.function == "orValue" and node.target is not None:
        return _fact(node.target)
    if isinstance(node, Index):
        return _fact(node.operand)
    if not isinstance(node, Select):
        return ""
    if isinstance(node.operand, Name) and node.operand.name in ("model", "estimate"):
        return node.field
    return _fact(node.operand)
