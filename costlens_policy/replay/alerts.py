"""The first alerts of a replay, in an order that does not depend on how its rows were read or shared out."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, TypeAlias

__all__ = ["Shown", "first_alerts", "show_alert"]

Shown: TypeAlias = dict[str, str]
"""An alert with its time, budget, scope key, amount and text."""

_SHOWN: Final = 50
_KEPT: Final = 20 * _SHOWN


def show_alert(alerts: list[Shown], alert: Shown) -> None:
    """Add an alert that is not earlier than the others, unless it cannot be among the first."""
    if len(alerts) >= _KEPT:
        alerts[:] = first_alerts(alerts)
    if len(alerts) < _SHOWN or alert["time"] <= alerts[-1]["time"]:
        alerts.append(alert)


def first_alerts(alerts: list[Shown]) -> list[Shown]:
    """Return the first alerts by time; those of one moment by budget, scope key and amount."""
    return sorted(alerts, key=_order)[:_SHOWN]


def _order(alert: Shown) -> tuple[str, str, str, Decimal, str]:
    return alert["time"], alert["budget"], alert["key"], Decimal(alert["at"]), alert["text"]
