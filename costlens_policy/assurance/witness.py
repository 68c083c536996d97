"""Witnesses: a request, the states of budgets and a time, with what the engine decided on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from costlens_policy.diagnostics.model import Shown
from costlens_policy.engine.decision import Balance, Decision, json_value
from costlens_policy.frozen import frozen
from costlens_policy.money import plain

__all__ = ["Balances", "Situation", "Witness", "shown", "smallest"]

Balances = Mapping[tuple[str, str], Balance]
"""By budget (``policy/budget``) and scope key, as the engine takes them."""


@frozen
class Situation:
    """All that a decision depends on beside the policies: ``decide(plan, request, balances, now)``."""

    request: Mapping[str, Any]
    balances: Balances
    now: datetime


@frozen
class Witness:
    """A situation, and what the engine decided on it. ``usual`` is the time that needs no mention."""

    situation: Situation
    decision: Decision
    usual: datetime

    @property
    def request(self) -> Mapping[str, Any]:
        return self.situation.request

    @property
    def balances(self) -> Balances:
        return self.situation.balances

    @property
    def now(self) -> datetime:
        return self.situation.now

    @property
    def names_time(self) -> bool:
        """Whether the finding is about this time; otherwise any serves."""
        return self.now != self.usual

    def __str__(self) -> str:
        """Return the witness in one line: the request as YAML reads it, then budgets and the time where they matter."""
        parts = [shown(self.request)]
        for (budget, key), balance in self.balances.items():
            whose = f" of `{key}`" if key else ""
            held = f" and {plain(balance.held)} held" if balance.held else ""
            limit = "" if balance.override is None else f", its limit set to {plain(balance.override)}"
            parts.append(f"with {plain(balance.used)} used{held} of `{budget}`{whose}{limit}")
        if self.names_time:
            parts.append(f"at {_time(self.now)}")
        return " ".join(parts)

    @property
    def shown(self) -> Shown:
        """The witness as a diagnostic carries it."""
        return Shown(str(self), self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the witness as JSON-like data: amounts as decimal strings, times in RFC 3339.

        ``effect``, ``model`` and ``rule`` are what was decided on it.
        """
        balances = [
            {"budget": budget, "key": key, **_amounts(balance)} for (budget, key), balance in self.balances.items()
        ]
        decision = self.decision
        decided = {"effect": decision.effect, "model": decision.model, "rule": decision.rule}
        return {"request": json_value(self.request), "balances": balances, "now": _time(self.now), "decision": decided}


def _amounts(balance: Balance) -> dict[str, str]:
    found = {"used": plain(balance.used), "held": plain(balance.held)}
    return found if balance.override is None else {**found, "override": plain(balance.override)}


def shown(request: Mapping[str, Any]) -> str:
    """Return a request in one line, as YAML reads it, with very long texts cut short."""
    short = ((name, _cut(value)) for name, value in request.items())
    parts = (f"{name}: {json.dumps(value, ensure_ascii=False, default=str)}" for name, value in short)
    return "{" + ", ".join(parts) + "}"


_LONGEST: Final = 300
"""Characters of a text that is shown as a whole."""


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:60]}… ({len(value):,} characters)"
    if isinstance(value, Mapping):
        return {key: _cut(item) for key, item in value.items()}
    return [_cut(item) for item in value] if isinstance(value, list | tuple) else value


def _time(now: datetime) -> str:
    return now.astimezone(UTC).isoformat().replace("+00:00", "Z")


def smallest(situation: Situation, usual: datetime, keeps: Callable[[Situation], bool]) -> Situation:
    """Return a situation with nothing that ``keeps`` can do without: budgets, the time, attributes, long values.

    ``usual`` is the time that is preferred.
    """
    request, balances, now = situation.request, situation.balances, situation.now
    if keeps(Situation(request, balances, usual)):
        now = usual
    for place in list(balances):
        fewer = {other: balance for other, balance in balances.items() if other != place}
        if keeps(Situation(request, fewer, now)):
            balances = fewer
    for edit in _EDITS:
        for path in list(_paths(request)):
            edited = _edited(request, path, edit)
            if edited is not None and keeps(Situation(edited, balances, now)):
                request = edited
    for path in list(_paths(request)):
        request = _lowered(request, path, lambda tried: keeps(Situation(tried, balances, now)))
    return Situation(request, balances, now)


def _lowered(
    request: Mapping[str, Any], path: tuple[str, ...], keeps: Callable[[Mapping[str, Any]], bool]
) -> Mapping[str, Any]:
    """Return the request with the lowest integer at a place that bisection finds."""
    best = request
    value: Any = request
    for step in path:
        value = value[step]
    low, high = 0, value if type(value) is int else 0
    while high - low > 1:
        middle = (low + high) // 2
        tried = _edited(request, path, lambda _, middle=middle: middle)  # type: ignore[misc]  # of a default's type
        if tried is not None and keeps(tried):
            best, high = tried, middle
        else:
            low = middle
    return best


_NOTHING: Final = object()
"""In the place of what is left out."""
_LONG: Final = 20
"""Characters of a text that is worth shortening."""


def _one(value: Any) -> Any:
    return type(value)(1) if type(value) in (int, float) and value > 1 else value


def _first(value: Any) -> Any:
    return value[:1] if isinstance(value, list) or (isinstance(value, str) and len(value) > _LONG) else value


_EDITS: Final[tuple[Callable[[Any], Any], ...]] = (lambda _: _NOTHING, _one, _first)
"""Each is tried at every place before the next one."""


def _paths(request: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the places of all entries, those of maps before what is inside of them."""
    for name, value in request.items():
        yield (*above, name)
        if isinstance(value, Mapping):
            yield from _paths(value, (*above, name))


def _edited(values: Mapping[str, Any], path: tuple[str, ...], edit: Callable[[Any], Any]) -> dict[str, Any] | None:
    """Return the values with an edit at a place; None where that changes nothing."""
    name, *rest = path
    if name not in values:
        return None
    value = values[name]
    if rest:
        value = _edited(value, tuple(rest), edit) if isinstance(value, Mapping) else None
        return None if value is None else {**values, name: value}
    edited = edit(value)
    if edited is _NOTHING:
        return {other: kept for other, kept in values.items() if other != name}
    return None if edited == value and type(edited) is type(value) else {**values, name: edited}
