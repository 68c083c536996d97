"""Requests to try where one is to go a certain way: what was found, and that with more asked for and more spent.

The search gives values to what conditions read. Whether a model then serves depends on more: which of its rivals are
excluded, into which share of a split a key falls, how budgets stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import combinations, islice
from typing import Any, Final, TypeAlias

from costlens_policy.assurance import Situation, Subject
from costlens_policy.assurance.domain.states import is_whole
from costlens_policy.compiler.priced_models import PricedModel
from costlens_policy.compiler.rules import BudgetStep, ByExpression, RouteStep, drawn_by, routes_in
from costlens_policy.engine.context import Context
from costlens_policy.engine.decision import Balance
from costlens_policy.engine.request import admit_request
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.expressions.runtime import CelError
from costlens_policy.proof.ways import UNLISTED, Way, priced_model

__all__ = ["attempts"]

_MOST: Final = 1_500
_KEYS: Final = 40
_ONE: Final = Decimal(1)
_ALMOST: Final = Decimal("0.999999")
Edit: TypeAlias = Callable[[Situation], Situation | None]

_NEEDS: Final[tuple[dict[str, Any], ...]] = (
    {"tools": [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}},
    {"response_format": {"type": "json_object"}},
    {"modalities": ["image"]},
    {"modalities": ["audio"]},
)
"""What a request may ask for that only some models have."""


def attempts(subject: Subject, way: Way, begin: Situation, asked: Iterable[dict[str, Any]] = ()) -> Iterator[Situation]:
    """Yield situations to decide, what was found first; each differs from it in one or two respects.

    ``asked`` is what else a request may ask for.
    """
    yield begin
    yield from islice(_varied([list(map(_with, asked)), *_edits(subject, way)], begin), _MOST)


def _varied(groups: list[list[Edit]], begin: Situation) -> Iterator[Situation]:
    """Yield what single edits come to, then those of two groups together."""
    singles = [[found for edit in group if (found := edit(begin)) is not None] for group in groups]
    for group in singles:
        yield from group
    for (one, _), (_, edits) in combinations(zip(singles, groups, strict=True), 2):
        for situation in one:
            yield from (found for edit in edits if (found := edit(situation)) is not None)


def _edits(subject: Subject, way: Way) -> list[list[Edit]]:
    steps = () if way.step is None else tuple(routes_in(way.step))
    models = [priced_model(subject, name) for name in subject.plan.catalogue.models]
    groups = [_asking(way, steps), _keys(subject, steps), list(map(_with, _NEEDS)), _tokens(models), _bounds(models)]
    return [group for group in [*groups, _states(subject)] if group]


def _with(values: dict[str, Any]) -> Edit:
    def edit(situation: Situation) -> Situation:
        request = {**situation.request, **values}
        if "messages" in values:
            request.pop("prompt", None)
        if isinstance(before := situation.request.get("params"), dict) and "params" in values:
            request["params"] = {**before, **values["params"]}
        return replace(situation, request=request)

    return edit


def _asking(way: Way, steps: tuple[RouteStep, ...]) -> list[Edit]:
    if not any(isinstance(step.target, ByExpression) for step in steps):
        return []
    return [_with({"model": "unlisted-model" if way.model == UNLISTED else way.model})]


def _keys(subject: Subject, steps: tuple[RouteStep, ...]) -> list[Edit]:
    """Return other keys for splits, which fall into other shares."""
    names = sorted({name for step in steps for name in drawn_by(step)})
    attributes = {name: subject.plan.attributes.get(name) for name in names}
    declared = {name: item.values for name, item in attributes.items() if item is not None and item.values}
    if not names:
        return []

    def keys(number: int) -> dict[str, str]:
        return {name: declared[name][number % len(declared[name])] if name in declared else f"{name}-{number}"
                for name in names}  # fmt: skip

    return [_with(keys(number)) for number in range(_KEYS)]


def _tokens(models: list[PricedModel]) -> list[Edit]:
    """Return prompts and outputs that some models have no room for."""
    windows = sorted({int(model.window) for model in models if model.model.context_window is not None})
    outputs = sorted({int(model.most_output) for model in models if model.model.max_output_tokens is not None})
    found = [_with({"prompt_tokens": window + 1}) for window in windows]
    found += [_with({"prompt_tokens": window - window // 10}) for window in windows]
    found += [_with({"max_output_tokens": output + 1}) for output in outputs]
    return [_with({"prompt_tokens": 1, "max_output_tokens": 1}), *found, _with({"prompt_tokens": 100_000_000})]


def _bounds(models: list[PricedModel]) -> list[Edit]:
    """Return limits of the request itself that some models do not keep to."""
    latencies = sorted({model.model.latency_p50_ms for model in models if model.model.latency_p50_ms is not None})
    found = [_with({"latency_budget_ms": float(latency)}) for latency in latencies]
    costs = (0.0, 0.0001, 0.001, 0.01, 0.1)
    return [*found, *(_with({"cost_budget": cost}) for cost in costs)]


def _states(subject: Subject) -> list[Edit]:
    """Return each budget at each of its thresholds, and exhausted."""
    found: list[Edit] = []
    for layer, step in {step.id: (layer, step) for layer, step in subject.plan.budgets.values()}.values():
        if not step.per_call:
            ratios = {threshold.at_ratio for threshold in step.thresholds if threshold.at_ratio is not None}
            found += [_spent(subject, layer, step, ratio) for ratio in sorted({*ratios, _ONE, _ALMOST})]
    return found


def _spent(subject: Subject, layer: int, step: BudgetStep, ratio: Decimal) -> Edit:
    def edit(situation: Situation) -> Situation | None:
        try:
            admitted = admit_request(subject.plan, situation.request)
            context = Context(subject.plan, admitted, situation.balances, situation.now)
            key, limit = context.key(step, layer), context.limit(step, layer)
        except (CelError, CostlensPolicyError, TypeError):  # a scope or limit that needs a model has no balance yet
            return None
        used = limit * ratio
        if is_whole(step):
            used = used.to_integral_value(ROUND_FLOOR if ratio == _ALMOST else ROUND_CEILING)
        return replace(situation, balances={**situation.balances, (step.id, key): Balance(used=used)})

    return edit
