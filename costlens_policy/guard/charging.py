"""What a call cost: the usage that a provider reports, at the prices of the day of the decision."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from costlens_policy.catalogue import Usage
from costlens_policy.catalogue.service_tiers import MULTIPLYING_NAMES, SERVICE_TIER, asked_multiples, tier_asked
from costlens_policy.engine.budgets import NOTHING, BudgetStage
from costlens_policy.engine.decision import BalanceSeen, Decision, Estimate
from costlens_policy.guard.accounts import Place, context_of
from costlens_policy.guard.hold_facts import Recalled
from costlens_policy.guard.tool_charges import NO_FEES, charge_tools
from costlens_policy.ledger.calls import Facts
from costlens_policy.money import ZERO, add, plain, total
from costlens_policy.usage import (
    USUAL_TERMS,
    Held,
    Portion,
    Priced,
    Reported,
    UsageError,
    added,
    count_at_most,
    count_reasoning,
    count_tokens,
    portions_of,
    price_call,
    price_each,
    price_usage,
    read_usage,
    weighs_reasoning,
)
from costlens_policy.usage.tool_uses import BESIDE

__all__ = [
    "Basis",
    "Bill",
    "Portion",
    "at_least",
    "bill_added",
    "bill_assumed",
    "bill_estimated",
    "bill_reported",
    "portions_of",
    "read_reported",
    "who_answered",
]

_LOG: Final = logging.getLogger("costlens_policy.guard")
_NO_FACTS: Final[Facts] = {}
_ONE: Final = Decimal(1)
_TERMS: Final = MULTIPLYING_NAMES | {SERVICE_TIER}
"""The parameters of a request that say on what terms it is to be served."""
_LONGEST_PROBLEM: Final = 500
_NO_PRICE: Final = "which has no price by tokens"
_MOST_NAMED: Final = 20
_MOST_WARNINGS: Final = 1_000
_warned: Final[set[tuple[str, str]]] = set()
_NUMBERS: Final = re.compile(r"[0-9][0-9,.]*")

Basis: TypeAlias = Literal["reported", "estimated", "assumed"]
"""``reported`` by the provider; ``estimated`` from the text that arrived; ``assumed`` to be all that was held."""


class Bill(NamedTuple):
    """What to charge. ``amounts`` are by budget and scope key, in the budget's unit.

    ``cost`` is in US dollars, written as short as it can be, None where nothing of it has a price. ``notes`` say what
    could not be priced.
    """

    model: str
    basis: Basis
    usage: Usage | None
    cost: Decimal | None
    amounts: dict[Place, Decimal]
    facts: Facts
    notes: tuple[str, ...] = ()


def read_reported(value: Any, shape: str | None) -> tuple[Reported | None, str]:
    """Return the usage in a provider's answer, or None and what is wrong with it. Never raises for what was sent."""
    if value is None:
        return None, ""
    try:
        reported = read_usage(value, shape)
    except UsageError as error:
        return None, str(error)
    except Exception as error:  # objects of SDKs may raise whatever they like when they are read
        return None, f"the usage cannot be read: {type(error).__name__}"
    return (None, "the usage reports no tokens") if reported.is_nothing else (reported, "")


def bill_reported(decision: Decision, model: str, reported: Reported, others: Sequence[Portion] = ()) -> Bill:
    """Bill what the provider reported, on the models that it names."""
    facts: dict[str, Any] = {"shape": reported.shape}
    if reported.terms != USUAL_TERMS:
        terms = zip(("service_tier", "inference_geo", "speed"), reported.terms, strict=True)
        facts |= {name: word for name, word in terms if word is not None}
    notes = reported.notes
    if reported.answered is not None:
        model, note = who_answered(decision, model, reported)
        notes = (*notes, note) if note else notes
    for note in notes:
        _warn_once(reported.shape, note)
    portion = next(portions_of(model, reported))
    if not reported.other_models and not others:  # as nearly always
        return _bill_of_one(decision, portion, "reported", facts, notes)
    portions = _merged(decision, portions_of(model, reported))
    return _bill(decision, [*portions, *others], "reported", facts, notes)


def who_answered(decision: Decision, model: str, reported: Reported) -> tuple[str, str]:
    """Return as which model to charge a call whose response names one, and what is to be said about that."""
    said, find = reported.answered, decision.plan.catalogue.find
    if said is None:
        return model, ""
    asked, other = find(model), find(said)
    if said == model or (asked is not None and asked in (other, find(said.rpartition("/")[2]))):
        return model, ""  # under a gateway's prefix, or with a date
    if other is None:
        return model, f"the response names `{said}`, which the catalogue does not list; charged as `{model}`"
    costs = [price_call(find, portions_of(name, reported), decision.now).cost or ZERO for name in (model, other.name)]
    dearer = other.name if costs[1] > costs[0] else model
    note = f"the response names `{other.name}`, but `{model}` was asked; charged as `{dearer}`, the more expensive"
    return dearer, note


def _as_asked(decision: Decision, portion: Portion) -> Portion:
    """Return a portion on the terms that were asked for where its provider does not report them."""
    params = _params(decision, portion.model)
    if _TERMS.isdisjoint(params):
        return portion
    tier, asked = tier_asked(params), asked_multiples(params)
    if tier is not None:
        portion = portion._replace(asked_tier=tier)
    if asked is None:
        return portion
    terms = portion.terms
    geo, speed = (
        word if word is not None else said for word, said in zip((terms.geo, terms.speed), asked, strict=True)
    )
    return portion._replace(terms=terms._replace(geo=geo, speed=speed))


def _merged(decision: Decision, portions: Iterable[Portion]) -> Iterator[Portion]:
    """Yield the portions; what a further one used on the very model that was asked is part of the first."""
    first, *others = portions
    find = decision.plan.catalogue.find
    known = find(first.model)
    for other in others:
        if other.model == first.model or (known is not None and find(other.model) is known):
            first = first._replace(usage=added(first.usage, other.usage))
    yield first
    yield from (item for item in others if not (item.model == first.model or (known and find(item.model) is known)))


def _warn_once(shape: str, note: str) -> None:
    """Log what was not understood, once for each shape of it: numbers differ from call to call."""
    kind = (shape, _NUMBERS.sub("#", note))
    if kind not in _warned and len(_warned) < _MOST_WARNINGS:
        _warned.add(kind)
        _LOG.warning("usage of shape `%s`: %s", shape, note)


def bill_estimated(decision: Decision, portions: Iterable[Portion]) -> Bill:
    """Bill tokens that were counted here, since no usage came."""
    return _bill(decision, list(portions), "estimated")


def bill_added(decision: Decision, portions: Iterable[Portion]) -> Bill:
    """Bill what was reported of attempts and streams, where nothing else is to be charged."""
    return _bill(decision, list(portions), "reported")


def at_least(bill: Bill, floor: Bill) -> Bill:
    """Return a bill that is nowhere below another one: more may be known than was thought to be the most."""
    amounts = {at: max(amount, floor.amounts.get(at, amount)) for at, amount in bill.amounts.items()}
    cost = max((cost for cost in (bill.cost, floor.cost) if cost is not None), default=None)
    facts = {**bill.facts, **_shortest(cost)[1]}
    return bill._replace(amounts={**floor.amounts, **amounts}, cost=cost, facts=facts)


def bill_assumed(decision: Decision, model: str, problem: str, others: Sequence[Portion] = ()) -> Bill:
    """Bill the most that the call may have cost on a model, since nobody knows better, and what is known of others."""
    bill = _worst(decision, model)
    if others:
        known = _bill(decision, [Portion(model, Usage()), *others], "assumed")
        for at, amount in known.amounts.items():
            if decision.plan.budgets[at[0]][1].unit != "requests":
                bill.amounts[at] = add(bill.amounts.get(at, ZERO), amount)
        cost, fact = _shortest(add(bill.cost or ZERO, known.cost or ZERO))
        bill = bill._replace(cost=cost, facts={**bill.facts, **fact}, notes=(*bill.notes, *known.notes))
    return bill._replace(facts={**bill.facts, "problem": problem}, notes=(*bill.notes, problem))


def _worst(decision: Decision, model: str) -> Bill:
    estimate = dict(_estimates(decision)).get(model)
    if estimate is None:  # a model that was never asked for a worst case: all the tokens, at its own prices
        asked = decision.estimate
        assert asked is not None, "a call that was held was allowed"
        everything = Usage(input=asked.prompt_tokens, output=asked.output_tokens)
        return _bill(decision, [Portion(model, everything, is_reported=False)], "assumed")._replace(usage=None)
    amounts = {(line.budget, line.key): line.call for line in _budgets_of(decision, model)}
    cost, fact = _shortest(estimate.worst_cost)
    return Bill(model, "assumed", None, cost, amounts, {"model": model, "basis": "assumed", **fact})


def _bill(
    decision: Decision,
    portions: Sequence[Portion],
    basis: Basis,
    facts: Facts = _NO_FACTS,
    notes: tuple[str, ...] = (),
) -> Bill:
    first, *others = portions
    bill = _bill_of_one(decision, first, basis, facts, notes)
    return _with_others(decision, bill, first, others) if others else bill


def _bill_of_one(decision: Decision, portion: Portion, basis: Basis, more: Facts, notes: tuple[str, ...]) -> Bill:
    """Bill the portion of the model that was asked."""
    portion = _as_asked(decision, portion)
    model, usage, terms, unknown, asked_tier, *_ = portion
    found = decision.plan.catalogue.find(model)
    priced = price_usage(found, usage, decision.now, terms=terms, asked_tier=asked_tier, unknown=unknown)
    exactly, note, usage = priced
    if note:
        notes = (*notes, f"`{model}`: {note}")
    tools = charge_tools(decision, portion)
    if tools is not NO_FEES:
        exactly = None if exactly is None else add(exactly, tools.fees)
        priced = priced._replace(cost=exactly)
        notes = (*(text for text in notes if not _is_priced(text, tools.uses)), *tools.notes)
        more = {**more, "tool_uses": tools.uses} if tools.uses else more
    cost, fact = _shortest(exactly)
    facts: dict[str, Any] = {"model": model, "basis": basis, "usage": usage.counted, **fact, **more}
    lines = _budgets_of(decision, model)
    if (
        portion.usage.output
        and _may_have_reasoned(decision, portion)
        and any(weighs_reasoning(at.unit) for at in lines)
    ):
        notes = (
            *notes,
            f"`{model}`: nobody reports its reasoning, which weighs more; all of its output counts as that",
        )
    if notes:
        facts["problem"] = "; ".join(notes)[:_LONGEST_PROBLEM]
    amounts = {(line.budget, line.key): _amount(decision, line, portion, priced) for line in lines}
    return Bill(model, basis, usage, cost, amounts, facts, notes)


def _is_priced(note: str, uses: Mapping[str, int]) -> bool:
    """Whether a note says of what has a fee that it has no price."""
    counted = [name for name, word in BESIDE.items() if word in uses]
    return _NO_PRICE in note and any(word in note for word in (*uses, *counted))


def _with_others(decision: Decision, bill: Bill, first: Portion, others: Iterable[Portion]) -> Bill:
    """Return a bill with what other models cost on top. They are no further request."""
    amounts, notes, used = dict(bill.amounts), list(bill.notes), list[tuple[str, dict[str, int]]]()
    costs = [] if bill.cost is None else [bill.cost]
    asked = [_as_asked(decision, portion) for portion in (first, *others)]
    for portion, priced in islice(price_each(decision.plan.catalogue.find, asked, decision.now), 1, None):
        used.append((portion.model, priced.usage.counted))
        if priced.note:
            notes.append(f"`{portion.model}`: {priced.note}")
        fees = charge_tools(decision, portion, asked=False).fees
        if priced.cost is not None:
            priced = priced._replace(cost=add(priced.cost, fees))
        if priced.cost is not None:
            costs.append(priced.cost)
        for line in _budgets_of(decision, portion.model):
            amount, place = _further_amount(decision, line, portion, priced), (line.budget, line.key)
            amounts[place] = add(amounts.get(place, ZERO), amount)
    cost, fact = _shortest(total(costs) if costs else None)
    facts = {**bill.facts, **fact, "other_models": dict(used[: _MOST_NAMED - 1])}
    if notes:
        facts["problem"] = "; ".join(notes)[:_LONGEST_PROBLEM]
    return bill._replace(cost=cost, amounts=amounts, facts=facts, notes=tuple(notes))


def _params(decision: Decision, model: str) -> Mapping[str, Any]:
    """Return the parameters of the request as the model got it; of the decided one for a model that nobody listed."""
    if model == decision.model:
        return decision.params
    return next((call.params for call in decision.fallback_calls if call.model == model), decision.params)


def _amount(decision: Decision, line: BalanceSeen, portion: Portion, priced: Priced) -> Decimal:
    unit, cost = line.unit, priced.cost
    if unit == "usd" and cost is not None:
        return cost
    if unit == "requests":
        return _ONE
    if unit != "usd":
        return _tokens(decision, line, portion)
    # Without a price: what was held, or these tokens on the model that was decided, whichever is more.
    held = max((held.call for held in decision.holds if held.budget == line.budget), default=ZERO)
    decided = decision.plan.catalogue.find(decision.model or "")
    return max(held, price_usage(decided, priced.usage, decision.now).cost or ZERO)


def _tokens(decision: Decision, line: BalanceSeen, portion: Portion) -> Decimal:
    """Return what the tokens of a model count as: at most where nobody reported their kinds.

    Where those are no more than was estimated, that is not more than what was held for them.
    """
    usage, unknown = portion.usage, portion.unknown
    if portion.is_reported:
        count = count_reasoning if _may_have_reasoned(decision, portion) else count_tokens
        return count(line.unit, usage, unknown)
    estimate = dict(_estimates(decision)).get(portion.model)
    held = None if estimate is None else Held(line.call, estimate.prompt_tokens, estimate.output_tokens)
    return count_at_most(line.unit, usage, unknown, held)


def _may_have_reasoned(decision: Decision, portion: Portion) -> bool:
    """Return whether the output may hold reasoning that nobody reported, on a model that can, or may be able to."""
    if portion.tells_reasoning or not portion.is_reported:
        return False
    model = decision.plan.catalogue.find(portion.model)
    return model is None or model.capabilities is None or "reasoning" in model.capabilities


def _further_amount(decision: Decision, line: BalanceSeen, portion: Portion, priced: Priced) -> Decimal:
    if line.unit == "requests":
        return ZERO
    if line.unit != "usd":
        return _tokens(decision, line, portion)
    return priced.cost or ZERO  # other models without a price are charged as the first


def _estimates(decision: Decision) -> Iterator[tuple[str, Estimate]]:
    if decision.model is not None and decision.estimate is not None:
        yield decision.model, decision.estimate
    for call in decision.fallback_calls:
        yield call.model, call.estimate


def _shortest(cost: Decimal | None) -> tuple[Decimal | None, dict[str, str]]:
    """Return a cost as short as it can be written, and the fact that records it."""
    if cost is None:
        return None, {}
    text = plain(cost)
    return Decimal(text), {"cost_usd": text}


def _budgets_of(decision: Decision, model: str) -> tuple[BalanceSeen, ...]:
    """Return the budgets that a call counts against on a model, also on one that the decision does not list.

    For a listed model ``call`` is the most that it may add, for others zero.
    """
    if isinstance(decision, Recalled):
        return decision.budgets_of(model)
    if model == decision.model:
        lines = decision.balances
    else:
        listed = next((call.balances for call in decision.fallback_calls if call.model == model), None)
        lines = _asked_anew(decision, model) if listed is None else listed
    budgets = decision.plan.budgets
    return tuple([line for line in lines if budgets[line.budget][1].charged_by_calls])


def _asked_anew(decision: Decision, model: str) -> tuple[BalanceSeen, ...]:
    """Return the budgets of a model that the decision does not list.

    Where the call is held on an overflow, and not on the budget that this stands in for, the overflow is charged.
    """
    lines = _matching(decision, model)
    held = {line.budget: line._replace(call=ZERO) for line in decision.holds}
    charged = [line if line.budget in held else _standing_in(decision, line, held) for line in lines]
    return tuple({(line.budget, line.key): line for line in charged}.values())


def _standing_in(decision: Decision, line: BalanceSeen, held: Mapping[str, BalanceSeen]) -> BalanceSeen:
    overflows = decision.plan.overflows_of(line.budget)
    return next((held[step.id] for step in overflows if step.id in held), line)


def _matching(decision: Decision, model: str) -> tuple[BalanceSeen, ...]:
    context = context_of(decision)
    return BudgetStage(context).judge_each(context.priced_model(model), NOTHING).seen(NOTHING)
