"""Quantile holds under load, on every store: a wrong quantile overspends, and never by more than the bound."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from costlens_policy import DeniedError, Guard
from costlens_policy.guard.guard import Call
from costlens_policy.ledger import EntryQuery, Store, decimal_of
from costlens_policy.ledger.overspend import beyond_holds, overspends
from tests.guard.company import REQUEST, START, write_company

LIMIT = Decimal("0.06")
POLICY = f"""
budgets:
  - {{id: daily, hard_limit_usd: {LIMIT}, hold: {{quantile: 0.9, cases: 10}}, window: {{calendar: day}}}}
"""
CODING = {**REQUEST, "task": "coding", "max_output_tokens": 1000}
"""At most $0.003; the first ten come to $0.0012 each, and what follows to more."""
THREADS = 6


def usage(output: int) -> dict[str, int]:
    return {"prompt_tokens": 1000, "completion_tokens": output}


def crowd(work: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(THREADS) as threads:
        for done in [threads.submit(work, number) for number in range(THREADS)]:
            done.result()


def bound_of(store: Store, now: datetime) -> Decimal:
    """Return what ``budget bound`` prints for the one budget."""
    (found,) = overspends(store, EntryQuery(), now)
    return decimal_of(found.bound, "usd")


def test_spending_exceeds_the_limit_by_the_bound_at_most(store: Store, tmp_path: Path) -> None:
    engine, held = write_company(tmp_path / "p", POLICY), list[Call]()
    with Guard(engine, store, clock=lambda: START, alert_sinks=[], max_age=0) as guard:

        def used() -> Decimal:
            (line,) = guard.spend()
            return line.used

        for _ in range(10):
            with guard.call(CODING) as call:
                call.settle(usage(100))
        guard.measure()

        def hold_all(_: int) -> None:
            while True:
                try:
                    held.append(guard.call(CODING))
                except DeniedError:
                    return

        crowd(hold_all)
        assert used() + len(held) * Decimal("0.0012") <= LIMIT
        under_way = bound_of(store, START)
        (more,) = beyond_holds(store, "p/daily", None, START).values()
        assert (decimal_of(more, "usd"), under_way) == (len(held) * Decimal("0.0018"),) * 2

        def settle_some(number: int) -> None:
            for place, call in enumerate(held[number::THREADS]):
                call.settle(usage(1000 if place % 2 else 900))

        crowd(settle_some)
        assert LIMIT < used() <= LIMIT + under_way, "the quantile was wrong"
        assert used() - LIMIT <= bound_of(store, START) <= under_way
        with pytest.raises(DeniedError):
            guard.call(CODING)
