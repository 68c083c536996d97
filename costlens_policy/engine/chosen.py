"""Why a choice put the models that serve in this order: their scores with the parts, their quality, and ties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

from costlens_policy.catalogue import Evidence
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.priced_models import PricedModel
from costlens_policy.compiler.rules import ByChoice, RouteStep
from costlens_policy.engine.candidate import Candidate
from costlens_policy.engine.context import Context, Refusal, task_of
from costlens_policy.engine.decided import Decided
from costlens_policy.engine.preparation import Preparations
from costlens_policy.engine.routes import estimate_view
from costlens_policy.engine.within import not_its_own
from costlens_policy.expressions import Extent
from costlens_policy.expressions.runtime import CelError
from costlens_policy.expressions.tree import Call, Literal, Name, Node, Select
from costlens_policy.money import format_usd

__all__ = ["notes_on_choice"]

_UNITS: Final[Mapping[tuple[str, ...], str]] = {
    ("estimate", "cost_usd"): "USD",
    ("estimate", "likely_cost_usd"): "USD",
    ("model", "input_usd_per_million_tokens"): "USD per million tokens",
    ("model", "output_usd_per_million_tokens"): "USD per million tokens",
    ("model", "latency_p50_ms"): "ms",
    ("model", "latency_p95_ms"): "ms",
    ("estimate", "prompt_tokens"): "tokens",
    ("estimate", "output_tokens"): "tokens",
}
_SIGNS: Final = {"_+_": "+", "_-_": "-"}


def notes_on_choice(decision: Decided, context: Context) -> Iterator[str]:
    """Yield what to know of the models that serve, if the route chose them. ``context`` is that of the decision."""
    route = decision.route
    if route is None or not isinstance(route.target, ByChoice) or decision.model is None:
        return
    target, scores = route.target, dict[str, float]()
    try:
        prepare = Preparations(context, route)
        for name in (decision.model, *decision.fallbacks):
            if name in target.models:
                candidate = prepare.of(context.priced_model(name))
                scores[name], text = _score(context, route, target, candidate)
                yield f"`{name}` {text}"
                if _asks_for_quality(target):
                    yield f"`{name}` {_quality(candidate.priced, task_of(context))}"
    except (CelError, Refusal):  # another decision by the same inputs would have failed there, too
        return
    for (one, first), (other, second) in pairwise(scores.items()):
        if first == second:
            yield f"`{one}` and `{other}` have equal values, so the order of their names decides"


def _score(context: Context, route: RouteStep, target: ByChoice, candidate: Candidate) -> tuple[float, str]:
    """Return the value by which a model is ordered, and how it comes about. Raises ``CelError``."""
    formula = target.score
    if formula is None:
        assert candidate.cost is not None, "a model of unknown cost is excluded where the cost decides"
        return float(candidate.cost), f"costs {format_usd(candidate.cost)}"
    trace = formula.trace(
        context.view, context.variables[route.layer], context.budgets, candidate.priced.view, estimate_view(candidate),
        context.instant,
    )  # fmt: skip
    if isinstance(trace.value, CelError):
        raise trace.value
    assert isinstance(trace.value, int | float)
    values: dict[Extent, object] = {part.extent: part.value for part in trace.parts}
    unit, summands = _unit(formula), list(_summands(formula.typed.root))
    values |= {node.extent: node.value for _, node in summands if isinstance(node, Literal)}
    shown = [f"{sign} {_part(formula, node.extent, values, unit)}" for sign, node in summands]
    total = f"has {_amount(trace.value, unit)} to {'maximize' if target.descending else 'minimize'}"
    if len(summands) < 2:
        return float(trace.value), f"{total}: `{_folded(formula.source)}`"
    return float(trace.value), f"{total}: {' '.join(shown).removeprefix('+ ')}"


def _part(formula: Formula, extent: Extent, values: Mapping[Extent, object], unit: str) -> str:
    return f"{_amount(values[extent], unit)} of `{_folded(formula.source[extent.start : extent.end])}`"


def _amount(value: object, unit: str) -> str:
    shown = f"{value:.6g}" if isinstance(value, int | float) else str(value)
    return f"{shown} {unit}".rstrip()


def _folded(text: str) -> str:
    return " ".join(text.split())


def _summands(node: Node, sign: str = "+") -> Iterator[tuple[str, Node]]:
    """Yield the parts of a sum, each with the sign that it has; one that is no sum is its own only part."""
    if isinstance(node, Call) and node.function in _SIGNS and node.target is None and len(node.arguments) == 2:
        first, second = node.arguments
        yield from _summands(first, sign)
        negative = (sign == "-") != (_SIGNS[node.function] == "-")
        yield from _summands(second, "-" if negative else "+")
    else:
        yield sign, node


def _unit(formula: Formula) -> str:
    """Return the unit of a value: that of a part of the sum which is a quantity by itself. All parts have the same."""
    fields = (node for _, node in _summands(formula.typed.root) if isinstance(node, Select))
    found = (_UNITS.get((node.operand.name, node.field)) for node in fields if isinstance(node.operand, Name))
    return next((unit for unit in found if unit is not None), "")


def _asks_for_quality(target: ByChoice) -> bool:
    limits = target.limits
    formulas = [formula for formula in (target.score, target.among) if formula is not None]
    reads = any(path[1].startswith("quality") for item in formulas for path in item.typed.references if path[1:])
    return reads or limits.within is not None or limits.min_quality is not None


def _quality(priced: PricedModel, task: str) -> str:
    value = priced.model.quality.get(task)
    if value is None:
        return f"has no measured quality for the task{not_its_own(priced.model, task)}"
    evidence = priced.model.evidence.get(task)
    return f"has a quality of {value:g} for the task{'' if evidence is None else _evidence(evidence)}"


def _evidence(known: Evidence) -> str:
    parts = []
    if known.low is not None and known.high is not None:
        parts.append(f"{known.low:g} to {known.high:g} at {known.level:.4g}")
    if known.cases is not None:
        parts.append(f"{known.cases:,} cases")
    if known.measured is not None:
        parts.append(f"measured {known.measured}")
    return f" ({', '.join(parts)})" if parts else ""
