"""Choosing: filter the models, keep to the limits, order by an expression."""

from __future__ import annotations

import math

from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import ByChoice, RouteStep
from costlens_policy.compiler.snapshot import ModelOnDay
from costlens_policy.engine.context import Context
from costlens_policy.engine.facts import Exclusion
from costlens_policy.engine.preparation import Candidate, Preparations
from costlens_policy.expressions import Value
from costlens_policy.expressions.runtime import CelError
from costlens_policy.money import format_usd

__all__ = ["rank"]


def rank(
    context: Context, route: RouteStep, target: ByChoice, prepare: Preparations, excluded: list[Exclusion]
) -> list[str]:
    """Return the names of the models that qualify, best first; equal scores keep the order of the names."""
    scored: list[tuple[float, str]] = []
    for name in target.models:
        try:
            score = _judge(context, route, target, context.offer(name), prepare)
        except _Unfit as unfit:
            excluded.append(Exclusion(name, str(unfit), route.id))
        else:
            if score is not None:
                scored.append((-score if target.descending else score, name))
    scored.sort()
    return [name for _, name in scored]


class _Unfit(Exception):  # noqa: N818 - control flow inside one choice
    """The model is not eligible; the text says why."""


def _judge(
    context: Context, route: RouteStep, target: ByChoice, offer: ModelOnDay, prepare: Preparations
) -> float | None:
    """Return the score of a model, None where the filter leaves it out. Raises ``_Unfit``."""
    if target.among is not None and not _value(context, route, target.among, offer):
        return None
    if offer.refusal:
        raise _Unfit(offer.refusal)
    candidate = prepare.of(offer)
    reason = _beyond(context, target, candidate)
    if reason:
        raise _Unfit(reason)
    return float(_value(context, route, target.score, offer, candidate))


def _value(
    context: Context, route: RouteStep, formula: Formula, offer: ModelOnDay, candidate: Candidate | None = None
) -> Value:
    try:
        value = context.evaluate(formula, route.layer, offer.view, None if candidate is None else _view(candidate))
        if isinstance(value, float) and math.isnan(value):
            raise CelError("CL932", "the score is not a number")
    except CelError as error:
        context.note(formula, route.id, "routes", error)
        raise _Unfit(f"the choice cannot judge it: {error}") from None
    return value


def _view(candidate: Candidate) -> dict[str, Value]:
    """Return the record ``estimate`` of expressions."""
    view: dict[str, Value] = {
        "prompt_tokens": candidate.prepared.prompt_tokens,
        "output_tokens": candidate.output_tokens,
    }
    if candidate.cost is not None:
        view["cost_usd"] = float(candidate.cost)
    return view


def _beyond(context: Context, target: ByChoice, candidate: Candidate) -> str:
    """Return which limit of the choice the model does not keep to; what is not known keeps to nothing."""
    limits, model, cost = target.limits, candidate.offer.model, candidate.cost
    missing = sorted(limits.requires - (model.capabilities or frozenset()))
    if missing:
        return f"the choice requires `{missing[0]}`"
    if limits.max_cost_usd is not None and (cost is None or cost > limits.max_cost_usd):
        amount = "an unknown amount" if cost is None else format_usd(cost)
        return f"it may cost {amount}, the choice allows {format_usd(limits.max_cost_usd)}"
    latency = model.latency_p50_ms
    if limits.max_latency_ms is not None and (latency is None or latency > limits.max_latency_ms):
        known = "not known" if latency is None else f"{latency:g} ms"
        return f"its median latency is {known}, the choice allows {limits.max_latency_ms:g} ms"
    quality = model.quality.get(context.request.get("task", ""))
    if limits.min_quality is not None and (quality is None or quality < limits.min_quality):
        known = "not known" if quality is None else f"{quality:g}"
        return f"its quality for the task is {known}, the choice asks for {limits.min_quality:g}"
    return ""
