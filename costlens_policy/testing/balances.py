"""From the balances of a case, as they are written, to those that one decision is made on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

from costlens_policy.clock import duration_of
from costlens_policy.compiler.budgets import key_problem
from costlens_policy.documents.suite import BalanceInput, TemporaryAmount
from costlens_policy.engine.decision import Balance
from costlens_policy.money import ZERO
from costlens_policy.source.located import Path
from costlens_policy.testing.matrix import SingleCase
from costlens_policy.testing.problems import SuiteProblems
from costlens_policy.testing.series import SeriesError, series_values, value_at
from costlens_policy.testing.vocabulary import Vocabulary

__all__ = ["BalancesOfCases", "later"]

_SERIES_HELP: Final = "give `every: 1m`, and a `now` within the series"


def later(text: str, start: datetime) -> datetime:
    """Return a moment that is written as ``+12m`` after another. Raises ``ValueError`` for what is none."""
    try:
        return start + duration_of(text.removeprefix("+"))
    except (ValueError, OverflowError):
        raise ValueError(f"`{text}` is not a length of time after the suite's `now`") from None


class BalancesOfCases:
    """Reads the balances of one suite's cases. ``start`` is the suite's ``now``, None where it has none.

    What cannot be read is reported.
    """

    def __init__(
        self,
        defaults: tuple[BalanceInput, ...],
        vocabulary: Vocabulary,
        problems: SuiteProblems,
        start: datetime | None,
    ) -> None:
        self._defaults = defaults
        self._known = vocabulary
        self._problems = problems
        self._start = start

    def at(self, item: SingleCase, now: datetime | None) -> dict[tuple[str, str], Balance]:
        """Return the balances of a case at its time, by budget (``policy/budget``) and scope key."""
        written: list[tuple[BalanceInput, Path]] = [
            (entry, ("defaults", "balances", index)) for index, entry in enumerate(self._defaults)
        ]
        written += [(entry, (*item.path, "balances", index)) for index, entry in enumerate(item.case.balances)]
        return dict(self._read(written, now))

    def _read(
        self, written: list[tuple[BalanceInput, Path]], now: datetime | None
    ) -> Iterator[tuple[tuple[str, str], Balance]]:
        for entry, path in written:
            budget = self._known.budget(entry.budget)
            if budget is None:  # which has been reported
                continue
            override = self._in_force(entry.override, now, (*path, "override"))
            topup = self._in_force(entry.topup, now, (*path, "topup"))
            try:
                balance = Balance(self._used(entry, now), entry.held or ZERO, override, topup or ZERO)
            except SeriesError as error:
                self._problems.report("CL611", str(error), (*path, "used"), help=_SERIES_HELP)
            except ValueError as error:
                self._problems.report("CL611", str(error), path)
            else:
                if problem := key_problem(entry.key):
                    self._problems.report("CL611", f"a scope key {problem}", (*path, "key"))
                yield (budget, entry.key), balance

    def _used(self, entry: BalanceInput, now: datetime | None) -> Decimal:
        if isinstance(entry.used, Decimal):
            return entry.used
        values = series_values(entry.used)
        if len(values) == 1:
            return values[0]
        if entry.every is None:
            raise SeriesError("the series does not say how far its values lie apart")
        if self._start is None or now is None:
            raise SeriesError("the series starts at the suite's `now`, which is not there")
        return value_at(entry.used, now - self._start, duration_of(entry.every))

    def _in_force(self, written: Decimal | TemporaryAmount | None, now: datetime | None, path: Path) -> Decimal | None:
        """Return what somebody allowed, where it holds at the time of a case."""
        if not isinstance(written, TemporaryAmount):
            return written
        expires_at = self._moment(written.expires_at, (*path, "expires_at"))
        return written.amount if expires_at is None or now is None or now < expires_at else None

    def _moment(self, written: datetime | str, path: Path) -> datetime | None:
        if isinstance(written, datetime):
            return written
        if self._start is None:
            message = "the end counts from the suite's `now`, which is not there"
            self._problems.report("CL610", message, path, help="add `now: 2026-11-01T12:00:00Z` to the suite")
            return None
        try:
            return later(written, self._start)
        except ValueError as error:
            self._problems.report("CL610", str(error), path, help="write it as `+12m` or `+3d`")
            return None
