"""What a decision comes to, without the request that it was made for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.context import Balances
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Call, Decision, Estimate
from costlens_policy.errors import RequestError
from costlens_policy.money import to_units
from costlens_policy.replay.columns.reads import PROMPT
from costlens_policy.replay.columns.units import Prices
from costlens_policy.replay.simulation import errors_of, refusal_of

__all__ = ["REFUSED", "Choice", "Facts", "FactsTable", "facts_of", "in_between", "probe", "with_costs"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A model that can serve.

    ``limit`` are the output tokens that the call is allowed, ``shift`` by how many tokens rewrites made the prompt
    longer. A call may cost ``fixed + per_token * prompt`` units at most; ``per_token`` is None where that is not known.
    """

    model: str
    rewrites: tuple[str, ...]
    limit: int
    shift: int
    fixed: int = 0
    per_token: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """``choices`` are the models in the order in which they are tried; none where the request is denied.

    ``refused`` is as in ``Outcome``, and ``unacceptable`` where the policy set does not accept the request at all.
    """

    rule: str
    refused: str
    choices: tuple[Choice, ...]
    errors: tuple[str, ...]

    @property
    def winner(self) -> Choice | None:
        return self.choices[0] if self.choices else None


REFUSED: Final = Facts("", "unacceptable", (), ())
_NO_BALANCES: Final[Balances] = {}
_TELLING: Final = Decimal("1e-12")
"""Doubles tell costs apart that differ by more than this share."""


class FactsTable:
    """Facts by code: equal ones share one."""

    __slots__ = ("_codes", "rows")

    def __init__(self) -> None:
        self.rows: list[Facts] = []
        self._codes: dict[Facts, int] = {}

    def code(self, facts: Facts) -> int:
        """Return the code of some facts."""
        code = self._codes.get(facts)
        if code is None:
            code = self._codes[facts] = len(self.rows)
            self.rows.append(facts)
        return code

    def __getitem__(self, code: int) -> Facts:
        return self.rows[code]


def facts_of(decision: Decision, prompt: int) -> Facts:
    """Return what a decision came to. ``prompt`` are the tokens of the request that it was made for."""
    errors = errors_of(decision)
    if decision.model is None:
        outcome = refusal_of(decision)
        return Facts(outcome.rule, outcome.refused, (), errors)
    estimate = decision.estimate
    assert estimate is not None
    first = Choice(decision.model, decision.rewrites, estimate.output_tokens, estimate.prompt_tokens - prompt)
    others = (_choice(call, prompt) for call in decision.fallback_calls)
    return Facts(decision.rule, "", (first, *others), errors)


def _choice(call: Call, prompt: int) -> Choice:
    return Choice(call.model, call.rewrites, call.estimate.output_tokens, call.estimate.prompt_tokens - prompt)


def probe(plan: Plan, request: Mapping[str, Any], now: datetime, prompt: int) -> tuple[Facts, list[Estimate]]:
    """Decide a request with a prompt of a length; return the facts, and what the call may cost on each model."""
    try:
        decision = decide(plan, {**request, PROMPT: prompt}, _NO_BALANCES, now)
    except RequestError:
        return REFUSED, []
    estimates = [] if decision.estimate is None else [decision.estimate]
    return facts_of(decision, prompt), estimates + [call.estimate for call in decision.fallback_calls]


def in_between(one: tuple[Facts, list[Estimate]], other: tuple[Facts, list[Estimate]]) -> Facts | None:
    """Return the facts that hold for all prompts between two lengths, or None where that is not sure.

    A longer prompt excludes models and makes costs rise along straight lines. So what can serve at both ends can serve
    in between, and what is clearly cheaper at both ends is so in between: doubles, which rank, tell costs apart.
    """
    if one[0] != other[0]:
        return None
    return one[0] if all(_clear(estimates) for estimates in (one[1], other[1])) else None


def _clear(estimates: Sequence[Estimate]) -> bool:
    costs = [item.cost for item in estimates]
    pairs = [(a, b) for a, b in pairwise(costs) if a is not None and b is not None]
    return all(a == b or abs(a - b) > _TELLING * max(a, b) for a, b in pairs)


def with_costs(
    facts: Facts, ends: tuple[int, int], low: Sequence[Estimate], high: Sequence[Estimate], prices: Prices
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
