"""Deciding a batch: requests without relevant differences share one decision."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

import polars as pl

from costlens_policy.catalogue import Model
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.candidate import TokenKinds
from costlens_policy.engine.context import Balances
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Call, Decision, Estimate
from costlens_policy.engine.request import needs_of
from costlens_policy.errors import RequestError
from costlens_policy.frozen import frozen
from costlens_policy.money import to_units
from costlens_policy.replay.columns.batch import ATTRIBUTE, MOST_TOKENS, instant
from costlens_policy.replay.columns.reads import PROMPT, Reads, keys_of, price_changes, reads_of_rules
from costlens_policy.replay.columns.units import UnitPrices
from costlens_policy.replay.simulation import errors_of, refusal_of
from costlens_policy.units import Unit, measure

__all__ = ["ALONE", "REFUSED", "Choice", "Deciding", "Facts", "FactsTable", "facts_of", "requests_in", "token_units"]


@frozen
class Choice:
    """A model that can serve.

    ``limit`` are the output tokens that the call is allowed, ``shift`` by how many tokens rewrites made the prompt
    longer. A call may cost ``fixed + per_token * prompt`` units at most; ``per_token`` is None where that is not known.
    ``weights`` are the most that a token of the prompt, and one of the output, adds in each unit of ``token_units``.
    """

    model: str
    rewrites: tuple[str, ...]
    limit: int
    shift: int
    fixed: int = 0
    per_token: int | None = None
    weights: tuple[tuple[int, int], ...] = ()

    def tokens(self, place: int, prompt: int) -> int:
        """Return the most that the tokens of a call add in the unit at a place of ``token_units``, in whole units."""
        inputs, outputs = self.weights[place]
        return inputs * (prompt + self.shift) + outputs * self.limit


def token_units(plan: Plan) -> tuple[Unit, ...]:
    """Return the units in which budgets of a plan count tokens."""
    return tuple(sorted({step.unit for _, step in plan.budgets.values() if step.measure.base == "tokens"}))


@frozen
class Facts:
    """``choices`` are the models in the order in which they are tried; none where the request is denied.

    ``refused`` is as in ``Outcome``, and ``unacceptable`` where the policy set does not accept the request at all.
    ``way_out``: others may serve if these have no room in a budget. ``task`` is the one whose quality counts, where the
    policy set says how to find it.
    """

    rule: str
    refused: str
    choices: tuple[Choice, ...]
    errors: tuple[str, ...]
    way_out: bool = False
    task: str = ""

    @property
    def winner(self) -> Choice | None:
        return self.choices[0] if self.choices else None


REFUSED: Final = Facts("", "unacceptable", (), ())
_NO_BALANCES: Final[Balances] = {}
_TELLING: Final = Decimal("1e-12")
"""Doubles distinguish costs that differ by more than this share."""


class FactsTable:
    """Facts by code: equal ones share one."""

    __slots__ = ("_codes", "_denied", "_shorter", "rows")

    def __init__(self) -> None:
        self.rows: list[Facts] = []
        self._codes: dict[Facts, int] = {}
        self._denied: dict[tuple[int, str], int] = {}
        self._shorter: dict[tuple[int, int], int] = {}

    def code(self, facts: Facts) -> int:
        """Return the code of some facts."""
        code = self._codes.get(facts)
        if code is None:
            code = self._codes[facts] = len(self.rows)
            self.rows.append(facts)
        return code

    def without_first(self, code: int, models: int) -> int:
        """Return the code of the same facts where the first models have no room."""
        known = self._shorter.get((code, models))
        if known is None:
            facts = self.rows[code]
            known = self._shorter[code, models] = self.code(replace(facts, choices=facts.choices[models:]))
        return known

    def denied(self, code: int, budget: str) -> int:
        """Return the code of the same facts where no model has room, the first for want of it in a budget."""
        known = self._denied.get((code, budget))
        if known is None:
            known = self._denied[code, budget] = self.code(Facts(budget, "budget", (), self.rows[code].errors))
        return known

    def __getitem__(self, code: int) -> Facts:
        return self.rows[code]


def facts_of(decision: Decision, prompt: int, units: Sequence[Unit] = ()) -> Facts:
    """Return what a decision came to, with the weights of tokens in some units.

    ``prompt`` are the tokens of the request that the decision was made for.
    """
    errors = errors_of(decision)
    if decision.model is None:
        outcome = refusal_of(decision)
        return Facts(outcome.rule, outcome.refused, (), errors)
    estimate = decision.estimate
    assert estimate is not None
    kinds = TokenKinds(decision.request, needs_of(decision.request)) if units else None

    def choice(call: Call | Decision, name: str, estimate: Estimate) -> Choice:
        model = decision.plan.catalogue.find(name) or Model(name)
        weights = () if kinds is None else tuple(kinds.heaviest(measure(unit), model, call) for unit in units)
        shift = estimate.prompt_tokens - prompt
        return Choice(name, call.rewrites, estimate.output_tokens, shift, weights=weights)

    first = choice(decision, decision.model, estimate)
    others = (choice(call, call.model, call.estimate) for call in decision.fallback_calls)
    task = "" if decision.plan.defaults.task is None else decision.task
    return Facts(decision.rule, "", (first, *others), errors, decision.may_take_a_way_out, task)


def _probe(
    plan: Plan, request: Mapping[str, Any], now: datetime, prompt: int, units: Sequence[Unit]
) -> tuple[Facts, list[Estimate]]:
    """Decide a request with a prompt of a length; return the facts, and what the call may cost on each model."""
    try:
        decision = decide(plan, {**request, PROMPT: prompt}, _NO_BALANCES, now)
    except RequestError:
        return REFUSED, []
    estimates = [] if decision.estimate is None else [decision.estimate]
    return facts_of(decision, prompt, units), estimates + [call.estimate for call in decision.fallback_calls]


def _in_between(one: tuple[Facts, list[Estimate]], other: tuple[Facts, list[Estimate]]) -> Facts | None:
    """Return the facts that hold for all prompts between two lengths, or None where that is not sure.

    A longer prompt excludes models and makes costs rise along straight lines. So what can serve at both ends can serve
    in between, and what is clearly cheaper at both ends is so in between: doubles, which rank, distinguish costs.
    """
    if one[0] != other[0]:
        return None
    return one[0] if all(_clear(estimates) for estimates in (one[1], other[1])) else None


def _clear(estimates: Sequence[Estimate]) -> bool:
    costs = [item.cost for item in estimates]
    pairs = [(a, b) for a, b in pairwise(costs) if a is not None and b is not None]
    return all(a == b or abs(a - b) > _TELLING * max(a, b) for a, b in pairs)


def _with_costs(
    facts: Facts, ends: tuple[int, int], low: Sequence[Estimate], high: Sequence[Estimate], prices: UnitPrices
) -> Facts:
    """Return the facts with what each choice may cost at most between two lengths where prices do not change."""
    length = ends[1] - ends[0]
    choices = []
    for choice, short, long in zip(facts.choices, low, high, strict=True):
        if short.worst_cost is None or long.worst_cost is None:
            choices.append(choice)
            continue
        least, most = to_units(short.worst_cost, prices.digits), to_units(long.worst_cost, prices.digits)
        per_token, rest = divmod(most - least, length) if length else (0, 0)
        assert not rest, "costs rise evenly between two lengths where prices do not change"
        choices.append(replace(choice, fixed=least - per_token * ends[0], per_token=per_token))
    return replace(facts, choices=tuple(choices))


ALONE: Final = -1
"""The code of a request that has to be decided individually."""
_KEPT: Final = 200_000
_MOST_CUTS: Final = 2_000
_WORTH_SHARING: Final = 4
"""From as many like requests on they are decided together, which takes two decisions or more."""


def _all_that_serve(plan: Plan) -> Plan:
    """Return a plan that decides as if every budget had room, and lists all models that can serve."""
    layers = tuple(replace(layer, budgets=()) for layer in plan.layers)
    defaults = replace(plan.defaults, max_fallbacks=len(plan.catalogue) + len(plan.layers) + 1000)
    return replace(plan, layers=layers, defaults=defaults, budgets={})


class Deciding:
    """Decides batches without their budgets. ``facts`` are by code; ``made`` counts the decisions made."""

    __slots__ = (
        "_changes",
        "_cuts",
        "_known",
        "_outputs",
        "_plan",
        "_prices",
        "_probed",
        "_reads",
        "_seen",
        "_units",
        "attributes",
        "facts",
        "made",
    )

    def __init__(self, plan: Plan, attributes: Sequence[str], facts: FactsTable, prices: UnitPrices) -> None:
        """``attributes`` are those that batches have columns for."""
        self._plan = plan
        self._probed = _all_that_serve(plan)
        self._units = token_units(plan)
        self.attributes = tuple(attributes)
        self._reads: Reads = reads_of_rules(plan, attributes)
        budgets = [step for layer in plan.layers for step in layer.budgets]
        self._prices = prices if budgets else None
        if any(step.unit == "usd" for step in budgets) and not prices.is_coarse:
            self._reads = replace(self._reads, shared=False)
        self._changes = price_changes(plan)
        self._outputs: set[int] = set()
        self._cuts: list[int] = []
        self._known: dict[tuple[Any, ...], int] = {}
        self._seen: dict[tuple[Any, ...], int] = {}
        self.facts = facts
        self.made = 0
        self._widen([plan.defaults.max_output_tokens, *(v for n, v in plan.filled_in if n == "max_output_tokens")])

    @property
    def shares(self) -> bool:
        """Whether requests can share decisions at all."""
        return self._reads.shared

    def codes(self, frame: pl.DataFrame) -> pl.Series:
        """Return for each row the code of its facts, or ``ALONE``."""
        if not self._reads.shared:
            return pl.repeat(ALONE, frame.height, dtype=pl.Int32, eager=True)
        column = f"{ATTRIBUTE}max_output_tokens"
        if column in frame.columns:
            self._widen([value for value in frame[column].unique().to_list() if value is not None and value >= 0])
        codes = None
        while codes is None:
            codes = self._codes(frame)
        return codes

    def _codes(self, frame: pl.DataFrame) -> pl.Series | None:
        """Return the codes; None once a cut was found, since the stretches between cuts have other numbers then."""
        known_cuts = len(self._cuts)
        cuts = {**self._reads.cuts, **({PROMPT: tuple(self._cuts)} if PROMPT in self._reads.cuts else {})}
        keys = keys_of(frame, replace(self._reads, cuts=cuts), self._changes)
        names = keys.columns
        groups = keys.with_row_index("_row").group_by(names, maintain_order=True).agg(pl.col("_row").first(), pl.len())
        requests = requests_in(frame[groups["_row"]], self.attributes)
        sizes = groups["len"].to_list()
        groups = groups.drop("_row", "len")
        found = []
        for key, rows, request in zip(groups.iter_rows(), sizes, requests, strict=True):
            found.append(self._code(key, rows, *request))
            if len(self._cuts) != known_cuts:
                self._forget()  # what was found last is under an old number
                return None
        coded = groups.with_columns(pl.Series("_code", found, pl.Int32))
        return keys.join(coded, on=names, how="left", nulls_equal=True, maintain_order="left")["_code"]

    def alone(self, request: Mapping[str, Any], at: int, prompt: int) -> int:
        """Decide one request individually; return the code of its facts."""
        self.made += 1
        try:
            decision = decide(self._plan, {**request, PROMPT: prompt}, {}, instant(at))
        except RequestError:
            return self.facts.code(REFUSED)
        return self.facts.code(_first_only(facts_of(decision, prompt)))

    def _widen(self, outputs: Sequence[int]) -> None:
        """Cut prompt lengths where, with these output limits, some model can no longer serve, or costs otherwise."""
        fresh = set(outputs) - self._outputs
        if not fresh:
            return
        self._outputs |= fresh
        cuts = {int(cut) for cut in self._reads.cuts.get(PROMPT, ())} | {
            above for model in self._plan.catalogue for period in model.periods for above, _ in period.long_context
        }
        for model in self._plan.catalogue:
            if model.context_window is not None:
                most = model.max_output_tokens
                fitted = {out if most is None else min(out, most) for out in self._outputs} | self._outputs
                cuts |= {model.context_window - out for out in fitted}
        self._cuts = sorted(cut for cut in cuts if 0 < cut < MOST_TOKENS)
        self._forget()

    def _forget(self) -> None:
        self._known.clear()
        self._seen.clear()

    def _code(self, key: tuple[Any, ...], rows: int, request: Mapping[str, Any], at: int, prompt: int) -> int:
        code = self._known.get(key)
        if code is None:
            seen = rows + self._seen.get(key, 0)
            if seen < _WORTH_SHARING:
                if len(self._seen) >= _KEPT:
                    self._seen.clear()
                self._seen[key] = seen
                return ALONE
            if len(self._known) >= _KEPT:
                self._known.clear()
            code = self._known[key] = self._probe(request, at, prompt)
        return code

    def _probe(self, request: Mapping[str, Any], at: int, prompt: int) -> int:
        cuts = PROMPT in self._reads.cuts
        ends = _region(self._cuts, prompt) if cuts else (prompt, prompt)
        low, high = (self._at(request, at, end) for end in ends)
        facts = _in_between(low, high)
        if facts is None:
            if low[0] != high[0] and len(self._cuts) < _MOST_CUTS:
                self._cut(request, at, prompt, ends)
            return ALONE
        if facts.errors and any(self._fails_otherwise(facts, request, at, end) for end in ends):
            return ALONE
        if self._prices is None:
            return self.facts.code(_first_only(facts))
        return self.facts.code(_with_costs(facts, ends, low[1], high[1], self._prices))

    def _fails_otherwise(self, facts: Facts, request: Mapping[str, Any], at: int, prompt: int) -> bool:
        """Return whether a decision fails in other places than one that tries all models."""
        self.made += 1
        return _probe(self._plan, request, instant(at), prompt, self._units)[0].errors != facts.errors

    def _at(self, request: Mapping[str, Any], at: int, prompt: int) -> tuple[Facts, list[Estimate]]:
        self.made += 1
        return _probe(self._probed, request, instant(at), prompt, self._units)

    def _cut(self, request: Mapping[str, Any], at: int, prompt: int, ends: tuple[int, int]) -> None:
        """Find a length near the prompt's where the decision changes, and cut there."""
        facts = self._at(request, at, prompt)[0]
        low, high = ends
        same, other = (prompt, low) if self._at(request, at, low)[0] != facts else (prompt, high)
        while abs(same - other) > 1:
            middle = (same + other) // 2
            if self._at(request, at, middle)[0] == facts:
                same = middle
            else:
                other = middle
        self._cuts = sorted({*self._cuts, other})
        self._forget()


def _first_only(facts: Facts) -> Facts:
    return replace(facts, choices=facts.choices[:1]) if len(facts.choices) > 1 else facts


def _region(cuts: Sequence[int], value: int) -> tuple[int, int]:
    """Return the ends of the stretch between two cuts that a prompt length lies in; a cut is a stretch of its own."""
    low, high = bisect_left(cuts, value), bisect_right(cuts, value)
    if low != high:
        return value, value
    return (cuts[low - 1] + 1 if low else 1), (cuts[low] - 1 if low < len(cuts) else MOST_TOKENS)


def requests_in(frame: pl.DataFrame, attributes: Sequence[str]) -> Iterator[tuple[dict[str, Any], int, int]]:
    """Yield for each row its request without the prompt's length, its time, and the prompt's length."""
    names = [name for name in attributes if f"{ATTRIBUTE}{name}" in frame.columns]
    columns = frame.select("time", "prompt", *(f"{ATTRIBUTE}{name}" for name in names))
    for at, prompt, *values in columns.iter_rows():
        yield {name: value for name, value in zip(names, values, strict=True) if value is not None}, at, prompt
