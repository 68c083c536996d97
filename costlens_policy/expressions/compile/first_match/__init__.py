"""Many conditions as one function that says which is the first to hold.

A few are tried in their order, in one generated function. Many are indexed: the function looks up, by what the
request's attributes are equal to or start with, the few conditions that can hold at all, and tries those in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from costlens_policy.expressions.compile.first_match.conditions import Condition, OnError, RuleError, linear, one_by_one
from costlens_policy.expressions.compile.first_match.demands import demands_of
from costlens_policy.expressions.compile.first_match.lookup import lookup
from costlens_policy.expressions.compile.first_match.tables import sort_conditions
from costlens_policy.expressions.limits import DEFAULT_RUN_LIMITS, RunLimits
from costlens_policy.expressions.tree import TypedExpr

__all__ = ["RuleError", "compile_first_match"]

_INDEXED_FROM: Final = 12
"""From how many indexed conditions on a lookup is faster than trying them in a line."""

_LONGEST_LINE: Final = 500


def compile_first_match(
    conditions: Sequence[TypedExpr | None],
    parameters: tuple[str, ...],
    *,
    on_error: OnError | Sequence[OnError] = "raise",
    limits: RunLimits = DEFAULT_RUN_LIMITS,
) -> Callable[..., int | None]:
    """Return a function of the parameters' values that gives the index of the first condition that holds, or None.

    A condition that is None always holds; what follows it is never tried. A condition that fails, before another
    holds, raises ``RuleError``, or counts as not holding, as ``on_error`` says for all or for each. The function is
    pure, and safe to call from any thread.
    """
    policies = [on_error] * len(conditions) if isinstance(on_error, str) else on_error
    line: list[Condition] = []
    for typed, policy in zip(conditions, policies, strict=True):
        if typed is None:
            break
        line.append(Condition(len(line), typed, (typed.root,), parameters, policy, limits))
    otherwise = len(line) if len(line) < len(conditions) else None
    if len(line) < _INDEXED_FROM:
        return linear(line, otherwise, parameters)
    tables = sort_conditions(line, [demands_of(condition.typed, parameters) for condition in line])
    if len(line) - len(tables.rest) >= _INDEXED_FROM:
        return lookup(tables, otherwise, parameters, one_by_one(line, otherwise))
    return linear(line, otherwise, parameters) if len(line) <= _LONGEST_LINE else one_by_one(line, otherwise)
