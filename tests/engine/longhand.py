"""Decisions the long way: the same engine with each shortcut replaced by the plain reading of docs/semantics.md."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any
from unittest.mock import patch

from costlens_policy.carry_over import CarryOver
from costlens_policy.catalogue.service_tiers import expected_rates
from costlens_policy.compiler.plan import Stages
from costlens_policy.compiler.priced_models import PricedModel
from costlens_policy.compiler.rules import (
    BudgetStep,
    ByChoice,
    BySplit,
    Combinations,
    RewriteRule,
    RouteStep,
)
from costlens_policy.compiler.thresholds import BurnRate, Forecast, Outlook
from costlens_policy.engine import budgets, decide, preparation, request, routes
from costlens_policy.engine.access import refused_model
from costlens_policy.engine.budgets import AppliedBudget, BudgetStage, Ratios
from costlens_policy.engine.candidate import Candidate, Prepared, obstacle
from costlens_policy.engine.context import Context
from costlens_policy.engine.facts import Exclusion
from costlens_policy.engine.signals import SignalValues
from costlens_policy.expressions.runtime import CelError
from costlens_policy.periods import forecast
from costlens_policy.rewrites import Content, Step, combine, content_tokens
from costlens_policy.signals import Signal
from costlens_policy.signals.measures import Length
from costlens_policy.signals.terms import Labels, Term
from costlens_policy.tokens import TokenCounter, Tokenizer
from costlens_policy.units import Measure

__all__ = ["carried_in_lots", "longhand"]


@contextmanager
def longhand() -> Iterator[None]:
    """Decide without shortcuts: signals read off their texts by plain expressions, each model of a choice judged by
    itself, each budget read for each candidate, routes asked one by one, rewrites combined and tokens counted anew for
    every model.
    """
    never, always = property(lambda _: False), property(lambda _: True)
    with ExitStack() as patches:
        for owner, name, value in (
            (ByChoice, "by_cost", never),
            (Stages, "only_routes", never),
            (Stages, "one_request_for_all", never),
            (Stages, "budgets_read_model", always),
            (CarryOver, "amount", carried_in_lots),
            (BudgetStep, "first", property(lambda _: None)),
            (BudgetStep, "_firsts", property(lambda _: {})),
            (BudgetStep, "lowest", property(lambda step: step.levels)),
            (Forecast, "is_met", _is_expected),
            (BurnRate, "is_met", _burns),
            (Combinations, "of", _combined),
            (preparation, "count_request", _counted),
            (Candidate, "weighed", _weighed),
            (BudgetStage, "_ratios", _ratios),
            (budgets, "held", _held),
            (AppliedBudget, "give", _give),
            (AppliedBudget, "reached", _reached),
            (routes._Choice, "_within", _within),
            (preparation.Preparations, "_with_caches", _with_caches),
            (decide, "decide_route", _first_route),
            (decide, "drawn", _drawn),
            (decide, "following", _following),
            (decide, "admit_request", request._admit_each),
            (SignalValues, "_worked_out", _signal),
        ):
            patches.enter_context(patch.object(owner, name, value))
        yield


def carried_in_lots(terms: CarryOver, limit: Decimal, earlier: Sequence[Decimal]) -> Decimal:
    """Spend the limit of each period first, and then what is left of the ones before it, the latest first.

    What is carried beyond the cap goes at once, the oldest first; the rest after ``periods`` periods.
    """
    lots: list[Decimal] = []
    for used in reversed(earlier):
        _take(lots, used - limit)
        lots = [*lots, max(limit - used, Decimal(0)) * terms.share][-terms.periods :]
        if terms.most is not None:
            _take(excess := lots[::-1], sum(lots, Decimal(0)) - terms.most)
            lots = excess[::-1]
    return sum(lots, Decimal(0))


def _take(lots: list[Decimal], amount: Decimal) -> None:
    """Take an amount from lots, from the last one first, as far as they go."""
    for index in reversed(range(len(lots))):
        taken = min(max(amount, Decimal(0)), lots[index])
        lots[index] -= taken
        amount -= taken


def _combined(_: Combinations, rules: Sequence[tuple[int, RewriteRule]]) -> tuple[Step, ...]:
    return combine((rule.merge, rule.steps) for _, rule in rules)


def _counted(content: Content, request: Mapping[str, Any], tokenizer: Tokenizer) -> tuple[int, str]:
    tally = TokenCounter(tokenizer)
    total = content_tokens(content, tally) + tally.tools(content.tools)
    total += tally.form(request.get("response_format"))
    return total, tally.basis


def _weighed(candidate: Candidate, measure: Measure) -> int:
    """Weigh each token of the prompt as the heaviest kind that it may be, and each of the output likewise."""
    assert candidate.kinds is not None
    inputs = {*candidate.kinds._input, *candidate.kinds._writes(candidate.priced.model, candidate.prepared.params)}
    outputs = candidate.kinds._output
    heaviest = [max(measure.per_token[kind] for kind in kinds) for kinds in (inputs, outputs)]
    return heaviest[0] * candidate.prompt_tokens + heaviest[1] * candidate.output_tokens


def _is_expected(threshold: Forecast, at: Outlook) -> bool:
    """Ask a forecast as S-THR-2 to S-THR-4 say."""
    start, end = at.period.starts_at, at.period.resets_at
    if start is None or end is None or at.now <= start:
        return False
    if _ratio(at.now - start, end - start) < Fraction(threshold.min_elapsed):
        return False
    ahead = forecast(at.used, at.left, at.limit, start, end, at.now)
    if threshold.exhausted_in is None:
        return ahead.projected_ratio is not None and not ahead.projected_ratio < threshold.projected_ratio
    lasts = ahead.exhausted_in
    return lasts is not None and not lasts > threshold.exhausted_in and at.now + lasts < end


def _burns(threshold: BurnRate, at: Outlook) -> bool:
    """Compare rates as S-THR-6 says, with fractions."""
    if at.length is None or not at.limit:
        return False
    spent = [(Fraction(at.recent.get(text, 0)), span) for text, span in threshold.windows]
    rates = [amount / Fraction(at.limit) / _ratio(span, at.length) for amount, span in spent]
    return min(rates) >= Fraction(threshold.rate)


def _ratio(one: timedelta, other: timedelta) -> Fraction:
    return Fraction(one // timedelta.resolution, other // timedelta.resolution)


def _ratios(stage: BudgetStage, call: Any) -> Ratios:
    """Find what is known of such calls as S-HLD-2 and S-HLD-3 say, for every budget of the plan."""
    context, task, band = stage._context, _task(stage._context), 0
    while 2**band <= call.output_tokens:
        band += 1
    found = Ratios(sure=call.sure)
    for step in (step for layer in context.plan.layers for step in layer.budgets):
        for kind, known in context.measures.items():
            if step.hold and task and kind == (step.id, call.priced.model.name, task, band):
                context.measured[tuple(kind)] = known
                if known.cases >= step.hold.cases:
                    found[step.id] = known.ratio
    return found


def _held(step: BudgetStep, costs: Any, call: Decimal) -> Decimal | None:
    """Hold a part of the worst case as S-HLD-2 says, in fractions."""
    if step.id not in costs.ratios:
        return None
    units = 10**step.measure.digits
    prompt = Fraction(min(costs.ratios._sure(step.measure), call))
    exact = max(Fraction(call) * Fraction(costs.ratios[step.id]), prompt) * units
    return Decimal(-(-exact.numerator // exact.denominator)).scaleb(-step.measure.digits)


def _give(whole: AppliedBudget, shares: Sequence[AppliedBudget]) -> None:
    """Remember which budgets are reserved from this one, and ask for each call what that comes to."""
    whole.own = sum((share.balance.reserved or Decimal(0) for share in shares), Decimal(0))
    whole.waiting = tuple((_rest(share), share) for share in shares if share.balance.reserved is None)
    whole.taken = whole.balance.used + whole.balance.held - min(whole.own, whole.balance.held)
    whole.room = Decimal("-Infinity")


def _rest(share: AppliedBudget) -> Decimal:
    """Return what a scope key may still use: what it has set aside itself, it may."""
    balance = share.balance
    return max(share.limit - balance.used - max(balance.held - balance.set_aside, Decimal(0)), Decimal(0))


def _reached(whole: AppliedBudget, takes: Decimal) -> Decimal:
    """Take what S-RSV-1 and S-RSV-2 say."""
    wanted = [rest for rest, _ in whole.waiting]
    if len(wanted) == 1:
        return whole.taken + max(takes, wanted[0])
    return whole.taken + takes + sum((rest - takes for rest in wanted if rest > takes), Decimal(0))


def _with_caches(
    prepare: preparation.Preparations, priced: PricedModel, prepared: Prepared, output: int, warm: Mapping[str, int]
) -> Decimal | None:
    """Add up what S-CCH-3 to S-CCH-5 say, in fractions, of models whose caches the catalogue states."""
    if priced.period is None:
        return None
    prompt, held, cache = prepared.prompt_tokens, warm.get(priced.model.name, 0), priced.model.prompt_cache
    read = held if held <= prompt else 0
    write = "input"
    if read or (cache is not None and prompt >= cache.min_tokens):
        asked = json.dumps([prepare.request.get("messages"), prepare.request.get("tools"), prepared.params])
        write = "cache_write_1h" if '"ttl": "1h"' in asked else "cache_write"
    tier = prepared.tier
    rates = priced.period.rates_for(prompt) if tier is None else expected_rates(priced.period, prompt, tier)
    prices = {kind: Fraction(price) / 10**6 for kind, price in rates.usd_per_million_tokens.items()}
    cost = prices["cache_read"] * read + prices[write] * (prompt - read) + prices["output"] * output
    units = (cost + Fraction(rates.usd_per_request)) * rates.units_per_usd
    assert units.denominator == 1
    return rates.usd(units.numerator)


def _first_route(context: Context) -> RouteStep:
    for index, layer in enumerate(context.plan.layers):
        for step in layer.routes:
            if context.holds(step.when, index, step.id, "routes"):
                return step
    return context.plan.defaults.route


def _drawn(context: Context, route: RouteStep) -> RouteStep:
    """Draw as S-RTE-11 to S-RTE-13, S-RTE-25 and S-RTE-26 say, with fractions in place of shifted integers."""
    target = route.target
    if not isinstance(target, BySplit):
        return route
    if target.key is not None:
        key = routes._text(context, route, target.key)
    elif "id" in context.request:
        key = str(context.request["id"])
    else:
        since = context.now - datetime(1970, 1, 1, tzinfo=UTC)
        key = str((since.days * 86_400 + since.seconds) * 10**6 + since.microseconds)
    text = target.salt.encode() + bytes(1) + key.encode("utf-8", "surrogatepass")
    at = Fraction(int(hashlib.sha256(text).hexdigest()[:16], 16), 2**64) * target.bounds[-1]
    share = next(share for share, bound in zip(target.shares, target.bounds, strict=True) if at < bound)
    return _drawn(context, share)


def _within(choice: routes._Choice, names: Sequence[str]) -> tuple[set[str], float | None]:
    """Compare with the best as S-RTE-36 to S-RTE-38 say, in tenths of a millionth."""
    context, limits = choice._context, choice._target.limits
    assert limits.within is not None
    known = {
        name: context.models[name].view[limits.quality].get(_task(context))  # type: ignore[union-attr]
        for name in names
    }
    able = [
        value
        for name, value in known.items()
        if value is not None
        and not refused_model(context, choice._access, context.models[name])
        and not obstacle(context.request, choice._prepare.of(context.models[name]))
    ]
    best = max(able) if able else None
    left = set()
    for name, value in known.items():
        if value is not None and (best is None or round((best - value) * 10**7) <= round(limits.within * 10**7)):
            left.add(name)
        else:
            reason = routes.too_far_behind(context.models[name], best, limits, _task(context) or "")
            choice._excluded.append(Exclusion(name, reason, choice._route.id))
    return left, best


def _task(context: Context) -> Any:
    """Return the task as S-SIG-13 says: that of the request, else what the policy set makes of it, if it has one."""
    formula = context.plan.defaults.task
    if context.request.get("task") or formula is None:
        return context.request.get("task")
    try:
        return context.evaluate(formula, len(context.plan.layers))
    except CelError:
        return None


def _signal(values: SignalValues, signal: Signal) -> Any:
    """Work out a signal as S-SIG-2, S-SIG-3 and S-SIG-6 say: labels by words and patterns, lengths in words."""
    text = _text_of(values._request, signal)
    if text is None:
        return signal.default
    if isinstance(signal.kind, Length):
        return len(text.split())
    assert isinstance(signal.kind, Labels)
    sums = {label: sum(map(partial(_adds, text), terms)) for label, terms in signal.kind.terms.items()}
    total = sum(sums.values())
    best = min((label for label in sums if sums[label] == max(sums.values())), default=None)
    sure = total and best is not None and sums[best] / total >= signal.min_confidence
    return best if sure else signal.default


def _adds(text: str, term: Term) -> float:
    if term.pattern:
        return term.weight if re.search(term.pattern, text) else 0.0
    found = [
        re.search(rf"(?<!\w){re.escape(word)}(?!\w)", " ".join(text.split()), re.IGNORECASE)
        for word in {word.lower() for word in term.words}
    ]
    return term.weight * sum(match is not None for match in found)


def _text_of(request: Mapping[str, Any], signal: Signal) -> str | None:
    system = request.get("params", {}).get("system") if signal.reads == "all_messages" else None
    if "prompt" in request:
        return "\n".join([*_texts(system), str(request["prompt"])])[: signal.max_characters]
    every = [*([{"role": "system", "content": system}] if system else []), *request.get("messages", ())]
    mine = [item for item in every if not isinstance(item, dict) or item.get("role", "user") == "user"]
    read = every if signal.reads == "all_messages" else mine
    texts = [text for text in ("\n".join(_texts(item)) for item in read) if text]
    if not texts:
        return "" if any(isinstance(item, dict) and item.get("content") == "" for item in read) else None
    only_the_last = signal.reads == "last_user_message" and len(mine) < len(every)
    return (texts[-1] if only_the_last else "\n".join(texts))[: signal.max_characters]


def _texts(part: Any) -> list[str]:
    if isinstance(part, str):
        return [part] if part else []
    if isinstance(part, list):
        return [text for item in part for text in _texts(item)]
    if isinstance(part, dict):
        return [text for key in ("text", "content", "parts", "input", "output") for text in _texts(part.get(key))]
    return []


def _following(context: Context, route: RouteStep) -> RouteStep:
    every = [(index, step) for index, layer in enumerate(context.plan.layers) for step in layer.routes]
    place = [step.id for _, step in every].index(route.id)
    for index, step in every[place + 1 :]:
        if context.holds(step.when, index, step.id, "routes"):
            return step
    return context.plan.defaults.route
