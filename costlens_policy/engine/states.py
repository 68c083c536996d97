"""Balances as JSON data: what a decision records of them, so that the same is decided again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from costlens_policy.engine.facts import Approval, Balance
from costlens_policy.money import ZERO, plain

__all__ = ["balance_of", "more_of", "state_of"]


def state_of(balance: Balance) -> dict[str, Any]:
    """Return a balance; what people changed or approved, and what was charged lately, only where there is any."""
    state: dict[str, Any] = {"used": plain(balance.used), "held": plain(balance.held)}
    if balance.override is not None:
        state["override"] = plain(balance.override)
    if balance.topup:
        state["topup"] = plain(balance.topup)
    return state | more_of(balance)


def more_of(balance: Balance) -> dict[str, Any]:
    """Return when a window from first use began, what earlier periods used, what is set aside, what was charged lately
    and what people approved, if any.
    """
    more: dict[str, Any] = {}
    if balance.started_at is not None:
        more["started_at"] = _text(balance.started_at)
    if balance.earlier:
        more["earlier"] = [plain(amount) for amount in balance.earlier]
    if balance.set_aside:
        more["set_aside"] = plain(balance.set_aside)
    if balance.reserved is not None:
        more["reserved"] = plain(balance.reserved)
    if balance.recent:
        more["recent"] = {text: plain(amount) for text, amount in balance.recent}
    if balance.approvals:
        more["approvals"] = [
            {
                "threshold": item.threshold,
                "up_to": None if item.up_to is None else plain(item.up_to),
                "expires_at": None if item.expires_at is None else _text(item.expires_at),
            }
            for item in balance.approvals
        ]
    return more


def balance_of(state: Mapping[str, Any]) -> Balance:
    """Return the balance of a state such as ``state_of`` writes; amounts may be numbers, too, but no floats.

    Raises ``ValueError``, ``TypeError``, ``KeyError`` and ``ArithmeticError`` for others.
    """
    reserved = state.get("reserved")
    override, recent = state.get("override"), state.get("recent") or {}
    if not isinstance(recent, Mapping):
        raise TypeError(f"`recent` must be an object, got `{recent!r}`")
    return Balance(
        _amount(state.get("used", ZERO)),
        _amount(state.get("held", ZERO)),
        None if override is None else _amount(override),
        _amount(state.get("topup", ZERO)),
        _time(state, "started_at"),
        tuple((str(text), _amount(amount)) for text, amount in recent.items()),
        tuple(map(_approval, state.get("approvals") or ())),
        tuple(map(_amount, state.get("earlier") or ())),
        _amount(state.get("set_aside", ZERO)),
        None if reserved is None else _amount(reserved),
    )


def _approval(item: Mapping[str, Any]) -> Approval:
    up_to = item["up_to"]
    return Approval(str(item["threshold"]), None if up_to is None else _amount(up_to), _time(item, "expires_at"))


def _time(item: Mapping[str, Any], name: str) -> datetime | None:
    found = item.get(name)
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    if found is not None and (not isinstance(found, datetime) or found.tzinfo is None):
        raise ValueError(f"`{name}` must be a timestamp with a time zone, got `{found}`")
    return found


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _amount(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise TypeError(f"an amount must be exact, got `{value!r}`")
    amount = Decimal(value)
    if not amount.is_finite():
        raise ValueError(f"an amount must be finite, got `{value}`")
    return amount
