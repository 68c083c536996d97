"""The critical states of a budget: between them all that conditions can tell apart of what is used, held and left.

A state is a balance as ledgers report it, so that the engine itself works out the ratios that conditions read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise, product
from typing import Any, Final

from costlens_policy.checker.attributes import BUDGET
from costlens_policy.checker.reads import nodes_of
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.engine.facts import Balance
from costlens_policy.expressions.tree import Literal
from costlens_policy.money import ZERO

__all__ = ["FIELDS", "critical_states", "is_whole", "state_of"]

FIELDS: Final = tuple(BUDGET.fields)
_EXPECTED: Final = frozenset({"used_per_day", "projected_ratio", "exhausted_in"})
_MOST: Final = 2_000
_HUNDRED: Final = Decimal(100)


def critical_states(step: BudgetStep, compared: Mapping[str, Iterable[Any]]) -> tuple[list[Balance], str]:
    """Return the states, an unused budget last, and why there may be others; empty where there are none.

    ``compared`` has, by the name of each field that conditions read, the numbers that they compare it with.
    """
    limits = _limits(step)
    amounts = {name: set(_numbers(values)) for name, values in compared.items()}
    spent = amounts.keys() & {"used", "held"}
    used = {amount for limit in limits for amount in _amounts(limit, amounts)}
    held = set(_around(amounts["held"])) if "held" in amounts else {ZERO}
    if is_whole(step):
        used, held = set(_whole_near(used)), set(_whole_near(held))
    states = [
        Balance(used=one, held=other) for other, one in product(sorted(held, reverse=True), sorted(used, reverse=True))
    ]
    if not isinstance(step.limit, Decimal):  # whatever it comes to; ``state_of`` puts the limit of a request in place
        ratios = sorted(_around(amounts.get("used_ratio", set())), reverse=True)
        states = [*(Balance(used=ratio * _HUNDRED, override=_HUNDRED) for ratio in ratios), *states]
    why = ""
    if len(amounts.keys() - {"used", "held"}) + bool(spent) > 1 or "limit" in amounts or step.limit == 0:
        why = "people may change the limit of a budget"
    if step.carry_over is not None and amounts.keys() - {"used", "held"}:
        why = "unused amounts of earlier windows may be carried over into the limit of a budget"
    if amounts.keys() & _EXPECTED:
        why = "what is expected of a budget depends on how far its window has got"
    if len(states) > _MOST:
        states, why = states[-_MOST:], "the state of a budget is compared with very many amounts"
    return states, why


def is_whole(step: BudgetStep) -> bool:
    """Say whether a budget counts in whole numbers, as ledgers keep them: calls, or tokens without weights."""
    return step.measure.digits == 0


def state_of(step: BudgetStep, state: Balance, limit: Decimal) -> Balance:
    """Return a critical state as it may be under the limit of a request, which nobody has changed."""
    used = state.used if state.override is None else state.used / state.override * limit
    used, held = ((_ceiling(amount) if is_whole(step) else amount) for amount in (used, state.held))
    return Balance(used=used, held=held)


def _ceiling(amount: Decimal) -> Decimal:
    return amount.to_integral_value(ROUND_CEILING)


def _whole_near(amounts: Iterable[Decimal]) -> Iterator[Decimal]:
    """Yield the whole numbers between which amounts are passed."""
    for amount in amounts:
        low = amount.to_integral_value(ROUND_FLOOR)
        yield from (near for near in (low - 1, low, low + 1, _ceiling(amount)) if near >= 0)


def _limits(step: BudgetStep) -> list[Decimal]:
    """Return the limit, or the amounts that its expression writes out."""
    if isinstance(step.limit, Decimal):
        return [step.limit]
    literals = [node.value for node in nodes_of(step.limit.typed.root) if isinstance(node, Literal)]
    return [amount for amount in _numbers(literals) if amount > 0][:8] or [_HUNDRED]


def _numbers(values: Iterable[Any]) -> Iterator[Decimal]:
    for value in values:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield Decimal(repr(float(value)))


def _amounts(limit: Decimal, amounts: Mapping[str, set[Decimal]]) -> Iterator[Decimal]:
    """Yield what is used where a field has each number, or nearly so."""
    named = {*amounts.get("used", ()), *(limit * ratio for ratio in amounts.get("used_ratio", ()))}
    named |= {limit - left for left in amounts.get("left", ())}
    yield from _around(named)
    yield ZERO
    if amounts.keys() & _EXPECTED:
        yield from (limit * part / 20 for part in range(21))


def _around(named: set[Decimal]) -> Iterator[Decimal]:
    """Yield amounts from zero on: those named, their neighbors, and one between any two."""
    known = sorted({ZERO, *(amount for amount in named if amount >= 0)})
    yield from known
    yield from ((one + other) / 2 for one, other in pairwise(known))
    for amount in known:
        near = max(amount / 1000, Decimal("0.001"))
        yield from (other for other in (amount - near, amount + near) if other >= 0)
    yield known[-1] * 2 + 1
