"""What a call cost: the usage that a provider reports, at the prices of the day of the decision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from costlens_policy.catalogue import Usage
from costlens_policy.catalogue.service_tiers import tier_asked
from costlens_policy.engine.decision import BalanceSeen, Decision, Estimate
from costlens_policy.guard.lines import budgets_of
from costlens_policy.ledger.holds import Facts
from costlens_policy.money import ZERO, add, plain, total
from costlens_policy.usage import Priced, Reported, UsageError, price_usage, read_usage

__all__ = [
    "Basis",
    "Bill",
    "Portion",
    "bill_assumed",
    "bill_estimated",
    "bill_reported",
    "portions_of",
    "read_reported",
]

_NOTHING_TOLD: Final[Facts] = {}

Basis: TypeAlias = Literal["reported", "estimated", "assumed"]
"""``reported`` by the provider; ``estimated`` from the text that arrived; ``assumed`` to be all that was held."""


class Portion(NamedTuple):
    """Usage on one model, which may be another than the one that was asked.

    ``service_tier`` is the provider's word for the tier that served it, None where it told none.
    """

    model: str
    usage: Usage
    service_tier: str | None = None


@dataclass(frozen=True, slots=True)
class Bill:
    """What to charge. ``amounts`` are by budget and scope key, in the budget's unit.

    ``cost`` is in US dollars, None where nothing of it has a price. ``notes`` say what could not be priced.
    """

    model: str
    basis: Basis
    usage: Usage | None
    cost: Decimal | None
    amounts: dict[tuple[str, str], Decimal]
    facts: Facts
    notes: tuple[str, ...] = ()


def portions_of(model: str, reported: Reported) -> Iterator[Portion]:
    """Yield what a provider reports for the model that was asked, then for those that it asked on its own."""
    for name, usage in ((model, reported.usage), *reported.other_models):
        yield Portion(name, usage, reported.service_tier)


def read_reported(value: Any, shape: str | None) -> tuple[Reported | None, str]:
    """Return the usage in a provider's answer, or None and what is wrong with it."""
    if value is None:
        return None, ""
    try:
        return read_usage(value, shape), ""
    except UsageError as error:
        return None, str(error)


def bill_reported(decision: Decision, model: str, reported: Reported, others: Iterable[Portion] = ()) -> Bill:
    """Bill what the provider reported, on the models that it names."""
    facts: dict[str, Any] = {"shape": reported.shape}
    if reported.service_tier is not None:
        facts["service_tier"] = reported.service_tier
    return _bill(decision, [*portions_of(model, reported), *others], "reported", facts)


def bill_estimated(decision: Decision, portions: Iterable[Portion]) -> Bill:
    """Bill tokens that were counted here, since no usage came."""
    return _bill(decision, list(portions), "estimated")


def bill_assumed(decision: Decision, model: str, problem: str, others: Sequence[Portion] = ()) -> Bill:
    """Bill the most that the call may have cost on a model, since nobody knows better, and what is known of others."""
    bill = _worst(decision, model)
    if others:
        known = _bill(decision, [Portion(model, Usage()), *others], "assumed")
        for at, amount in known.amounts.items():
            if decision.plan.budgets[at[0]][1].unit != "requests":
                bill.amounts[at] = add(bill.amounts.get(at, ZERO), amount)
        bill = replace(bill, cost=add(bill.cost or ZERO, known.cost or ZERO), notes=(*bill.notes, *known.notes))
    return replace(bill, facts={**bill.facts, "problem": problem}, notes=(*bill.notes, problem))


def _worst(decision: Decision, model: str) -> Bill:
    estimate = dict(_estimates(decision)).get(model)
    if estimate is None:  # a model that was never asked for a worst case: all the tokens, at its own prices
        asked = decision.estimate
        assert asked is not None, "a call that was held was allowed"
        everything = Usage(input=asked.prompt_tokens, output=asked.output_tokens)
        return replace(_bill(decision, [Portion(model, everything)], "assumed"), usage=None)
    amounts = {(line.budget, line.key): line.call for line in budgets_of(decision, model)}
    facts = {"model": model, "basis": "assumed", **_cost_fact(estimate.worst_cost)}
    return Bill(model, "assumed", None, estimate.worst_cost, amounts, facts)


def _bill(decision: Decision, portions: list[Portion], basis: Basis, told: Facts = _NOTHING_TOLD) -> Bill:
    amounts: dict[tuple[str, str], Decimal] = {}
    costs: list[Decimal] = []
    notes: list[str] = []
    for number, portion in enumerate(portions):
        priced = _priced(decision, portion)
        if priced.note:
            notes.append(f"`{portion.model}`: {priced.note}")
        cost = priced.cost
        if cost is not None:
            costs.append(cost)
        for line in budgets_of(decision, portion.model):
            amount = _amount(decision, line, portion, cost, first=number == 0)
            at = (line.budget, line.key)
            amounts[at] = amount if at not in amounts else add(amounts[at], amount)
    first = portions[0]
    cost = total(costs) if costs else None
    facts: dict[str, Any] = {
        "model": first.model,
        "basis": basis,
        "usage": dict(first.usage.counted),
        **_cost_fact(cost),
        **told,
    }
    if len(portions) > 1:
        facts["other_models"] = {portion.model: dict(portion.usage.counted) for portion in portions[1:]}
    if notes:
        facts["problem"] = "; ".join(notes)
    return Bill(first.model, basis, first.usage, cost, amounts, facts, tuple(notes))


def _priced(decision: Decision, portion: Portion) -> Priced:
    """Price a portion on the day of the decision, at the service tier that served it or was asked for."""
    return price_usage(
        decision.plan.catalogue.find(portion.model),
        portion.usage,
        decision.now.date(),
        reported_tier=portion.service_tier,
        asked_tier=tier_asked(_params(decision, portion.model)),
    )


def _params(decision: Decision, model: str) -> Mapping[str, Any]:
    """Return the parameters of the request as the model got it; of the decided one for a model that nobody listed."""
    if model == decision.model:
        return decision.params
    return next((call.params for call in decision.fallback_calls if call.model == model), decision.params)


def _amount(decision: Decision, line: BalanceSeen, portion: Portion, cost: Decimal | None, *, first: bool) -> Decimal:
    if line.unit == "requests":
        return Decimal(1 if first else 0)
    if line.unit == "tokens":
        return Decimal(sum(tokens for _, tokens in portion.usage.counted))
    if cost is not None:
        return cost
    # Without a price, what was held is the nearest to the truth that is known; nothing was held for other models.
    return max((held.call for held in decision.holds if held.budget == line.budget), default=ZERO) if first else ZERO


def _estimates(decision: Decision) -> Iterator[tuple[str, Estimate]]:
    if decision.model is not None and decision.estimate is not None:
        yield decision.model, decision.estimate
    for call in decision.fallback_calls:
        yield call.model, call.estimate


def _cost_fact(cost: Decimal | None) -> dict[str, str]:
    return {} if cost is None else {"cost_usd": plain(cost)}
