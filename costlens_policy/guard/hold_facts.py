"""The facts that a hold keeps: for reports, to decide the same again, and to charge without deciding again.

The hold of a call whose id its caller chose keeps its prices, the budgets of each model that the call may use, the
estimates, and what tells its request from others. So a charge that comes days later, in another process, after
policies or prices have changed, is what it would have been on the day of the decision.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, Final, cast

from costlens_policy.catalogue import Model
from costlens_policy.catalogue.rates import Period, Rates, Tariff, complete
from costlens_policy.catalogue.service_tiers import MULTIPLYING, SERVICE_TIER, asked_multiples, tier_asked
from costlens_policy.checker.attributes import STANDARD_ATTRIBUTES, WARM_TOKENS
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Balance, BalanceSeen, Call, Decision, Estimate
from costlens_policy.engine.states import balance_of, more_of
from costlens_policy.engine.tool_fees import ToolTerms, tool_terms
from costlens_policy.guard.signals import as_asked
from costlens_policy.ledger import Reservation, ReservedLine, decimal_of
from costlens_policy.ledger.calls import Facts
from costlens_policy.ledger.measured import worst_facts, worst_held
from costlens_policy.money import ZERO, plain
from costlens_policy.quantiles import CallKind, Measured

__all__ = [
    "REQUEST", "Recalled", "Recorded", "decide_again", "facts_of", "facts_of_prices", "is_of_plan", "prices_of_facts",
    "recorded_labels", "request_digest",
]  # fmt: skip


_LONGEST: Final = 200
_DIGEST: Final = 16
REQUEST: Final = "request"
"""The fact that tells the request of a call from others; holds of earlier versions have none."""


class Recorded:
    """Which attributes of requests a plan records: standard ones by their names, declared ones under ``attributes``."""

    __slots__ = ("declared", "policy", "standard")

    def __init__(self, plan: Plan) -> None:
        self.standard: Final = tuple(name for name in plan.recorded if name in STANDARD_ATTRIBUTES)
        self.declared: Final = tuple(name for name in plan.recorded if name not in STANDARD_ATTRIBUTES)
        self.policy: Final = plan.policy_digest[:_DIGEST]


def facts_of(decision: Decision, held: Iterable[BalanceSeen], recorded: Recorded, *, replayable: bool) -> Facts:
    """Return the facts of a hold: model, rule, share, way out, policy, and the recorded attributes of the request.

    ``held`` is what is held on each budget.

    A ``replayable`` one carries the time and the balances, with which the same request is decided the same again, and
    what its charge needs.
    """
    request, estimate = decision.request, decision.estimate
    facts: dict[str, Any] = {"model": decision.model, "rule": decision.rule, "policy": recorded.policy}
    if decision.shares:
        facts["share"] = "/".join(decision.shares)
    if decision.ways_out:
        facts["way_out"] = decision.ways_out[-1].way
    if estimate is not None:
        facts["tokens"] = [estimate.prompt_tokens, estimate.output_tokens]
    for name in filter(request.__contains__, recorded.standard):
        value = request[name]
        if value and isinstance(value, str):
            facts[name] = _storable(value[:_LONGEST])
    if recorded.declared and (declared := _declared(request, recorded.declared)):
        facts["attributes"] = declared  # apart from the facts, whose names they may have
    task = decision.task if decision.plan.stages.quantiles else request.get("task")
    less = [(line.budget, line.key, line.call) for line in held if line.hold is not None]
    facts |= worst_facts(_storable(str(task or "")), decision.worst_cases, less)
    if replayable:
        facts["decided"] = {
            "now": decision.now.isoformat(),
            "balances": [[budget, key, *_texts(balance)] for (budget, key), balance in decision.balances_read.items()],
            **_of_session(decision),
        }
        if decision.measured:
            facts["decided"]["measured"] = [
                [*kind, known.cases, plain(known.ratio)] for kind, known in decision.measured.items()
            ]
        facts |= _charging_facts(decision)
    return facts


def _of_session(decision: Decision) -> Facts:
    """Return what was warm of the session when the call was decided, and whose cache it fills, where rules ask that."""
    request = decision.request
    session = request.get("session") if decision.plan.reads_warmth else None
    kept = {"session": session, WARM_TOKENS: request.get(WARM_TOKENS)}
    return {name: value for name, value in kept.items() if value is not None}


def request_digest(request: Mapping[str, Any], id: str) -> str:
    """Return what tells the request of a call from others with the same id, and shows nothing of it.

    It is empty for a request that cannot be written as JSON.
    """
    asked = as_asked(request)
    own = {name: value for name, value in asked.items() if name != "id" or value != id}  # a rule may read it or not
    try:
        text = json.dumps([id, own], sort_keys=True, default=_as_data)
    except (TypeError, ValueError, RecursionError):
        return ""
    return sha256(text.encode()).hexdigest()[:_DIGEST]


def _as_data(value: Any) -> Any:
    """Return an object as JSON data that is the same in every process."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump()
    kind: Any = type(value)
    shows_address = kind.__repr__ is object.__repr__ and kind.__str__ is object.__str__
    return kind.__qualname__ if shows_address else str(value)


def _declared(request: Mapping[str, Any], names: Iterable[str]) -> dict[str, str | int | float | bool]:
    """Return the recorded attributes that a policy set declares: numbers, booleans and short texts."""
    declared: dict[str, str | int | float | bool] = {}
    for name in names:
        value = request.get(name)
        if isinstance(value, str):
            if 0 < len(value) <= _LONGEST:  # what is longer may be a prompt, of which no part is kept
                declared[name] = _storable(value)
        elif isinstance(value, int | float):
            declared[name] = value
    return declared


def _storable(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()


def is_of_plan(facts: Facts, plan: Plan) -> bool:
    """Whether it was this plan that decided a call."""
    return bool(facts.get("policy") == plan.policy_digest[:_DIGEST])


def decide_again(plan: Plan, request: Mapping[str, Any], facts: Facts) -> Decision | None:
    """Decide a request on the balances and at the time of its hold; None where the hold does not have them."""
    decided = facts.get("decided")
    if not isinstance(decided, Mapping):
        return None
    balances = {
        (budget, key): balance_of(dict(zip(("used", "held", "override", "topup"), kept, strict=False)) | _more(kept))
        for budget, key, *kept in decided["balances"]
    }
    warm = decided.get(WARM_TOKENS)
    request = {name: value for name, value in request.items() if name != WARM_TOKENS}
    if warm is not None:
        request[WARM_TOKENS] = warm
    measures = {
        CallKind(budget, model, task, band): Measured(cases, Decimal(ratio))
        for budget, model, task, band, cases, ratio in decided.get("measured", ())
    }
    return decide(plan, request, balances, datetime.fromisoformat(decided["now"]), measures)


def _texts(balance: Balance) -> list[Any]:
    override = None if balance.override is None else plain(balance.override)
    more = more_of(balance)
    return [plain(balance.used), plain(balance.held), override, plain(balance.topup), *((more,) if more else ())]


def _more(kept: list[Any]) -> dict[str, Any]:
    """Return what a hold keeps of a balance behind its amounts."""
    return dict(kept[4]) if len(kept) > 4 and isinstance(kept[4], Mapping) else {}


_MOST_CALLS: Final = 16
"""Of longer lists of fallbacks the rest is charged at the prices of the policies at hand."""
_NO_LIMIT: Final = Decimal(10) ** 15
_GIVEN: Final = ("input", "output")


def _charging_facts(decision: Decision) -> Facts:
    """Return what the charge of a call needs, as JSON data: its models in order, each with prices and budgets."""
    calls: tuple[Decision | Call, ...] = (decision, *decision.fallback_calls)
    return {
        "calls": [
            {**_call_facts(decision, *_parts(call)), **_tool_facts(decision, call)} for call in calls[:_MOST_CALLS]
        ]
    }


def _tool_facts(decision: Decision, call: Decision | Call) -> Facts:
    """Return the tools of a call that its provider bills by use, with the most uses of all completions."""
    completions = 1 if call.estimate is None else call.estimate.completions
    known = decision.plan.catalogue.find(call.model or "")
    terms = () if known is None else tool_terms(known, call.tools, call.params)
    kept = [[name, None if fee is None else plain(fee), most and most * completions] for name, fee, most in terms]
    return {"tools": kept} if kept else {}


def _parts(call: Decision | Call) -> tuple[str, Mapping[str, Any], Estimate, tuple[BalanceSeen, ...]]:
    assert call.model is not None, "what is held was allowed"
    assert call.estimate is not None, "what is held was allowed"
    return call.model, call.params, call.estimate, call.balances


def _call_facts(
    decision: Decision, model: str, params: Mapping[str, Any], estimate: Estimate, balances: tuple[BalanceSeen, ...]
) -> Facts:
    known = decision.plan.catalogue.find(model)
    period = None if known is None else known.period_on(decision.now.date())
    budgets = decision.plan.budgets
    kept: dict[str, Any] = {
        "model": model,
        "tokens": [estimate.prompt_tokens, estimate.output_tokens],
        "worst": None if estimate.worst_cost is None else plain(estimate.worst_cost),
        "budgets": [
            [line.budget, line.key, line.unit, plain(line.limit), plain(line.call)]
            for line in balances
            if budgets[line.budget][1].charged_by_calls
        ],
        "prices": None if period is None else facts_of_prices(period),
    }
    tier, terms = tier_asked(params), asked_multiples(params)
    if tier is not None:
        kept["tier"] = tier
    if terms is not None:
        kept["terms"] = list(terms)
    return kept


def facts_of_prices(period: Period) -> Facts:
    kept: dict[str, Any] = _tariff(Tariff(period.rates, period.long_context))
    if period.service_tiers:
        kept["tiers"] = {name: _tariff(tariff) for name, tariff in period.service_tiers.items()}
    if period.hours:
        kept["hours"] = [[minute, facts_of_prices(part)] for minute, part in period.hours]
    return kept


def _tariff(tariff: Tariff) -> dict[str, Any]:
    kept: dict[str, Any] = {"rates": _rates(tariff.rates)}
    if tariff.long_context:
        kept["long"] = [[above, _rates(rates)] for above, rates in tariff.long_context]
    return kept


def _rates(rates: Rates) -> dict[str, str]:
    """Return the prices that do not follow from those of input and output."""
    prices = rates.usd_per_million_tokens
    usual = complete({"input": prices["input"], "output": prices["output"]})
    kept = {kind: plain(price) for kind, price in prices.items() if kind in _GIVEN or price != usual[kind]}
    return {**kept, "request": plain(rates.usd_per_request)} if rates.usd_per_request else kept


class Recalled(Decision):
    """The decision of a call that is held, as far as charging needs it.

    What the hold does not record, since its caller gave it no id or it was made by an earlier version, is taken from
    the policies at hand: then each model counts on every budget that is held, at the catalogue's prices of that day.
    """

    __slots__ = ("_calls", "_holds", "_labels", "_now", "_plan", "_tools", "knows_tokens", "session")

    def __init__(self, plan: Plan, found: Reservation) -> None:
        super().__init__(cast(Any, None), cast(Any, None), None, (), (), str(found.facts.get("rule") or ""))
        limits = {step.id: step.limit for _, step in plan.budgets.values() if isinstance(step.limit, Decimal)}
        kept = _calls_kept(found.facts)
        calls = tuple(_call_of(call) for call in kept)
        known = {(line.budget, line.key): line.limit for call in calls for line in call.balances}
        self.knows_tokens = bool(calls) or _tokens_kept(found.facts) is not None
        self._labels = recorded_labels(found.facts)
        decided = found.facts.get("decided")
        self.session = decided.get("session") if isinstance(decided, Mapping) else None
        self._now = found.reserved_at
        self._holds = tuple(
            _seen(
                line,
                known.get((line.account.budget, line.account.key), limits.get(line.account.budget, _NO_LIMIT)),
                worst_held(found.facts, line.account),
            )
            for line in found.lines
        )
        self._calls = calls or (self._assumed(found.facts),)
        self._tools = {call["model"]: _tools_of(call) for call in kept}
        units = {line.budget: line.unit for line in self._holds}
        budgets = {name: (0, SimpleNamespace(id=name, unit=unit, per_call=False)) for name, unit in units.items()}
        self._plan = cast(
            Plan,
            SimpleNamespace(
                catalogue=_PricesAsHeld(plan, kept),
                budgets=budgets,
                attributes=plan.attributes,
                recorded=tuple(self._labels),
                tokenizer=plan.tokenizer,
                policy_digest=plan.policy_digest,
                catalogue_digest=plan.catalogue_digest,
            ),
        )

    @property
    def allowed(self) -> bool:
        return True

    @property
    def model(self) -> str:
        return self._calls[0].model

    @property
    def fallbacks(self) -> tuple[str, ...]:
        return tuple(call.model for call in self._calls[1:])

    @property
    def fallback_calls(self) -> tuple[Call, ...]:
        return self._calls[1:]

    @property
    def params(self) -> Mapping[str, Any]:
        return self._calls[0].params

    @property
    def estimate(self) -> Estimate:
        return self._calls[0].estimate

    @property
    def balances(self) -> tuple[BalanceSeen, ...]:
        return self._calls[0].balances

    @property
    def holds(self) -> tuple[BalanceSeen, ...]:
        return self._holds

    @property
    def now(self) -> datetime:
        return self._now

    @property
    def request(self) -> Mapping[str, Any]:
        """The attributes that the hold keeps for reports."""
        return self._labels

    @property
    def balances_read(self) -> Mapping[tuple[str, str], Balance]:
        return {}

    @property
    def plan(self) -> Plan:
        return self._plan

    def budgets_of(self, model: str) -> tuple[BalanceSeen, ...]:
        """Return the budgets that a model counts on: all that are held for one that the hold does not record."""
        return next((call.balances for call in self._calls if call.model == model), self._holds)

    def tools_of(self, model: str) -> tuple[ToolTerms, ...]:
        """Return the tools that were offered to a model, with the fees of the day of the hold."""
        return self._tools.get(model, ())

    def _assumed(self, facts: Facts) -> Call:
        prompt, output = _tokens_kept(facts) or (0, 0)
        worst = max((line.call for line in self._holds if line.unit == "usd"), default=None)
        estimate = Estimate(None, prompt, output, 1, "", worst)
        return Call(str(facts.get("model") or ""), None, None, None, {}, (), estimate, self._holds)


class _PricesAsHeld:
    """The models of a plan, at the prices that a hold was made with where it records them."""

    def __init__(self, plan: Plan, kept: list[Facts]) -> None:
        self._found = plan.catalogue
        self._prices = {call["model"]: prices_of_facts(call["prices"]) for call in kept if call["prices"] is not None}
        self._made: dict[str, Model] = {}

    def find(self, name: str) -> Model | None:
        """Return a model by a name; the same object for the same model."""
        found = self._found.find(name)
        own = name if found is None else found.name
        if own not in self._prices:
            return found
        if own not in self._made:
            self._made[own] = replace(found or Model(own), periods=(self._prices[own],))
        return self._made[own]


def _tokens_kept(facts: Facts) -> tuple[int, int] | None:
    """Return the estimated tokens of prompt and output, where a hold records them."""
    match facts.get("tokens"):
        case [int(prompt), int(output)]:
            return prompt, output
    return None


def recorded_labels(facts: Facts) -> dict[str, Any]:
    """Return the recorded attributes of the request."""
    declared = facts.get("attributes")
    kept = {name: facts[name] for name, item in STANDARD_ATTRIBUTES.items() if item.recorded and name in facts}
    return {**kept, **declared} if isinstance(declared, Mapping) else kept


def _calls_kept(facts: Facts) -> list[Facts]:
    """Return what a hold records of its calls; nothing where that is not as this version writes it."""
    calls = facts.get("calls")
    try:
        for call in calls if isinstance(calls, list) else ():
            _call_of(call)
            _tools_of(call)
            if call["prices"] is not None:
                prices_of_facts(call["prices"])
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
        return []
    return calls if isinstance(calls, list) else []


def _call_of(kept: Facts) -> Call:
    prompt, output = kept["tokens"]
    worst = None if kept["worst"] is None else Decimal(kept["worst"])
    params = {SERVICE_TIER: kept["tier"]} if "tier" in kept else {}
    params |= zip(MULTIPLYING, kept.get("terms", ()), strict=False)
    balances = tuple(
        BalanceSeen(budget, key, unit, Decimal(limit), ZERO, ZERO, Decimal(call))
        for budget, key, unit, limit, call in kept["budgets"]
    )
    estimate = Estimate(None, prompt, output, 1, "", worst)
    return Call(kept["model"], None, None, None, params, (), estimate, balances)


def _tools_of(kept: Facts) -> tuple[ToolTerms, ...]:
    return tuple(
        ToolTerms(str(name), None if fee is None else Decimal(fee), most) for name, fee, most in kept.get("tools", ())
    )


def _seen(line: ReservedLine, limit: Decimal, worst: int | None) -> BalanceSeen:
    """Return what is held on a budget; the most that the call may add is more where a quantile is held."""
    account = line.account
    hold = decimal_of(line.amount, account.unit)
    if worst is None or worst <= line.amount:
        return BalanceSeen(account.budget, account.key, account.unit, limit, ZERO, ZERO, hold)
    call = decimal_of(worst, account.unit)
    return BalanceSeen(account.budget, account.key, account.unit, limit, ZERO, ZERO, call, False, hold)


def prices_of_facts(kept: Facts) -> Period:
    usual = _tariff_of(kept)
    tiers = {name: _tariff_of(tariff) for name, tariff in kept.get("tiers", {}).items()}
    hours = tuple((minute, prices_of_facts(part)) for minute, part in kept.get("hours", ()))
    return Period(None, usual.rates, usual.long_context, tiers, hours)


def _tariff_of(kept: Facts) -> Tariff:
    return Tariff(_rates_of(kept["rates"]), tuple((above, _rates_of(rates)) for above, rates in kept.get("long", ())))


def _rates_of(kept: Mapping[str, str]) -> Rates:
    prices = {kind: Decimal(price) for kind, price in kept.items()}
    request = prices.pop("request", ZERO)
    return Rates(prices, request)
