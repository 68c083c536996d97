"""The entry point: a few conditions in a line, many by an index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from costlens_policy.expressions.compile.first_match.condition import Condition, OnError, RuleError
from costlens_policy.expressions.compile.first_match.keys import demands_of
from costlens_policy.expressions.compile.first_match.linear import linear, one_by_one
from costlens_policy.expressions.compile.first_match.lookup import lookup
from costlens_policy.expressions.compile.first_match.tables import sort_conditions
from costlens_policy.expressions.runtime.limits import ITERATIONS
from costlens_policy.expressions.typed import TypedExpr

__all__ = ["RuleError", "compile_first_match"]

_INDEXED_FROM: Final = 12
"""From how many indexed conditions on a lookup is faster than trying them in a line."""

_LONGEST_LINE: Final = 500


def compile_first_match(
    conditions: Sequence[TypedExpr | None],
    parameters: tuple[str, ...],
    *,
    on_error: OnError | Sequence[OnError] = "raise",
    iterations: int = ITERATIONS,
) -> Callable[..., int | None]:
    """Return a function of the parameters' values that gives the index of the first condition that holds, or None.

    A condition that is None always holds. One that fails, before another holds, raises ``RuleError``, or counts as not
    holding, as ``on_error`` says for all or for each. The function is pure, and safe to call from any thread.
    """
    policies = [on_error] * len(conditions) if isinstance(on_error, str) else list(on_error)
    line = [
        None if typed is None else Condition(index, typed, (typed.root,), parameters, policy, iterations)
        for index, (typed, policy) in enumerate(zip(conditions, policies, strict=True))
    ]
    if len(line) < _INDEXED_FROM:
        return linear(line, parameters)
    tables = sort_conditions(line, [None if typed is None else demands_of(typed, parameters) for typed in conditions])
    indexed = len(line) - len(tables.rest)
    if indexed >= _INDEXED_FROM:
        return lookup(tables, parameters, one_by_one(line))
    return linear(line, parameters) if len(line) <= _LONGEST_LINE else one_by_one(line)
