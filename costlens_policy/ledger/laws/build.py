"""Short ways to say what tests ask of a ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from costlens_policy.ledger import Account, Charge, Hold, HoldLine, Period, Settlement, Unit

__all__ = [
    "LEASE", "LIFETIME", "NOW", "account", "from_first_use", "hold", "hold_lines", "rolling", "settlement",
    "settlement_lines",
]  # fmt: skip

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=60)
LIFETIME = Period("lifetime")


def account(
    budget: str = "teams/monthly", key: str = "research", unit: Unit = "usd", period: Period = LIFETIME
) -> Account:
    return Account(budget, key, unit, period)


def rolling(seconds: float, budget: str = "teams/rolling", key: str = "research") -> Account:
    return Account(budget, key, "usd", Period(f"rolling:{seconds}s", rolling=timedelta(seconds=seconds)))


def from_first_use(seconds: int, budget: str = "teams/plan", key: str = "research") -> Account:
    return Account(budget, key, "usd", Period(f"first_use:{seconds}s", first_use=timedelta(seconds=seconds)))


def hold(call: str, of: Account, amount: int, limit: int | None, now: datetime = NOW, **more: Any) -> Hold:
    return hold_lines(call, (of, amount, limit), now=now, **more)


def hold_lines(
    call: str, *lines: tuple[Account, int, int | None], now: datetime = NOW, lease: timedelta = LEASE, **facts: Any
) -> Hold:
    return Hold(call, tuple(HoldLine(*line) for line in lines), now, lease, facts)


def settlement(call: str, of: Account, amount: int, now: datetime = NOW, **facts: Any) -> Settlement:
    return settlement_lines(call, (of, amount), now=now, **facts)


def settlement_lines(call: str, *charges: tuple[Account, int], now: datetime = NOW, **facts: Any) -> Settlement:
    return Settlement(call, tuple(Charge(*charge) for charge in charges), now, facts)
