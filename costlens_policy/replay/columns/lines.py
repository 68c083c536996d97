"""Which budgets a request counts against, under which key, up to which limit: one answer for many requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from typing import Any, Final

import polars as pl

from costlens_policy.compiler.plan import Plan
from costlens_policy.documents.budgets import FixedWindow
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import BalanceSeen
from costlens_policy.errors import RequestError
from costlens_policy.replay.columns.accounts import Account, Accounts
from costlens_policy.replay.columns.batch import instant, micros
from costlens_policy.replay.columns.deciding import requests_in
from costlens_policy.replay.columns.keys import keys_of, price_changes
from costlens_policy.replay.columns.reads import PROMPT, reads_of_budgets

__all__ = ["UNKNOWN", "Line", "Lines"]

UNKNOWN: Final = -1
"""The code of requests whose budgets have to be asked for each of them."""
_KEPT: Final = 200_000


@dataclass(frozen=True, slots=True)
class Line:
    """A budget that calls count against. Amounts are units of the account.

    From ``alerts_from`` on an alert is due, from ``acts_from`` on a threshold does more than alert; there is room up to
    ``limit``, which is infinite where the budget only watches.
    """

    account: Account
    unit: str
    budget: str
    key: str
    limit: float
    alerts_from: float
    acts_from: float
    alerts: tuple[tuple[int, Decimal, str], ...]
    """Where each alert begins, in units and as an amount, and its text."""


class Lines:
    """The lines of batches; ``rows`` are by code, and ``charged`` the accounts of each with their units."""

    __slots__ = ("_accounts", "_attributes", "_changes", "_fixed", "_known", "_plan", "_reads", "charged", "rows")

    def __init__(self, plan: Plan, attributes: Sequence[str], accounts: Accounts) -> None:
        self._plan = plan
        self._attributes = tuple(attributes)
        self._accounts = accounts
        self._changes = price_changes(plan)
        self._reads = reads_of_budgets(plan, attributes)
        windows = [step.window for layer in plan.layers for step in layer.budgets]
        self._fixed = [window for window in windows if isinstance(window, FixedWindow)]
        self._known: dict[tuple[Any, ...], int] = {}
        self.rows: list[tuple[Line, ...]] = []
        self.charged: list[tuple[tuple[Account, str], ...]] = []

    def codes(self, frame: pl.DataFrame, served: pl.Series) -> pl.Series:
        """Return for each row the code of its lines, or ``UNKNOWN``. ``served`` says which rows some model can serve.

        The others are not asked for.
        """
        if not self._reads.shared or PROMPT in self._reads.exact:
            return pl.repeat(UNKNOWN, frame.height, dtype=pl.Int32, eager=True)
        if len(self._known) >= _KEPT:
            self._known.clear()
            self.rows.clear()
            self.charged.clear()
        spans = [(micros(window.starts_at), micros(window.ends_at)) for window in self._fixed]
        keys = keys_of(frame, self._reads, self._changes).with_columns(
            served.alias("served"),
            *(frame["time"].is_between(*span, closed="left").alias(f"span {at}") for at, span in enumerate(spans)),
        )
        names = keys.columns
        groups = keys.with_row_index("_row").group_by(names, maintain_order=True).agg(pl.col("_row").first())
        requests = requests_in(frame[groups["_row"]], self._attributes)
        found = [
            self._code(key, request, at, prompt) if key[-1 - len(spans)] else UNKNOWN
            for key, (request, at, prompt) in zip(groups.drop("_row").iter_rows(), requests, strict=True)
        ]
        coded = groups.drop("_row").with_columns(pl.Series("_line", found, pl.Int32))
        return keys.join(coded, on=names, how="left", nulls_equal=True, maintain_order="left")["_line"]

    def _code(self, key: tuple[Any, ...], request: Mapping[str, Any], at: int, prompt: int) -> int:
        code = self._known.get(key)
        if code is None:
            lines = self._ask(request, at, prompt if self._reads.cuts[PROMPT] else 1)
            code = UNKNOWN if lines is None else len(self.rows)
            if lines is not None:
                self.rows.append(lines)
                self.charged.append(tuple((line.account, line.unit) for line in lines))
            self._known[key] = code
        return code

    def _ask(self, request: Mapping[str, Any], at: int, prompt: int) -> tuple[Line, ...] | None:
        """Ask what a request counts against while nothing is spent."""
        try:
            decision = decide(self._plan, {**request, PROMPT: prompt}, {}, instant(at))
        except RequestError:
            return None
        if decision.model is None or decision.errors:
            return None
        return tuple(self._line(seen) for seen in decision.balances)

    def _line(self, seen: BalanceSeen) -> Line:
        step = self._plan.budgets[seen.budget][1]
        account = self._accounts.of(seen.budget, seen.key)
        scale = Decimal(1).scaleb(account.digits)
        starts = [(_up(threshold.starts_at(seen.limit), scale), threshold) for threshold in step.thresholds]
        acts = [start for start, threshold in starts if not step.shadow and (threshold.excludes or threshold.steps)]
        alerts = [
            (start, threshold.starts_at(seen.limit), threshold.alert)
            for start, threshold in starts
            if threshold.alert is not None
        ]
        limit = inf if step.shadow else _down(seen.limit, scale)
        first = min((start for start, _, _ in alerts), default=inf)
        return Line(account, step.unit, step.id, seen.key, limit, first, min(acts, default=inf), tuple(alerts))


def _down(amount: Decimal, scale: Decimal) -> int:
    numerator, denominator = amount.as_integer_ratio()
    return numerator * int(scale) // denominator


def _up(amount: Decimal, scale: Decimal) -> int:
    numerator, denominator = amount.as_integer_ratio()
    return -(-numerator * int(scale) // denominator)
