"""What calls have come to, from the ledger's own history: recent charges as ratios of their worst case.

Each hold keeps the worst case of every model that it is for. A charge is compared with that of the model which
answered, so that like is compared with like whatever was held. One that had to be assumed counts as its worst case:
what nobody knows must not make later holds smaller. A call that was given back cost nothing, and is no case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import takewhile
from typing import Any, Final

from costlens_policy.ledger.account import Account
from costlens_policy.ledger.amounts import Unit, amount_of
from costlens_policy.ledger.calls import Facts
from costlens_policy.ledger.errors import AmountError
from costlens_policy.ledger.history import Entry, EntryQuery, Page, Reservation
from costlens_policy.money import plain
from costlens_policy.quantiles import LONGEST_TASK, CallKind, Measures, Ratios, band_of, ratio_of

__all__ = ["CallHistory", "beyond_hold", "worst_facts", "worst_held"]

_WORST: Final = "worst"
"""The fact that has the worst cases of a call; holds of earlier versions have none."""
_MOST_MODELS: Final = 16
_MOST_KINDS: Final = 2_000
_MOST_READ: Final = 10_000
"""Entries that are read at first."""
_MOST_NEW: Final = 2_000
"""Entries that are read each time after that."""
_PAGE: Final = 500
_WHOLE: Final = ratio_of(1, 1)


def worst_facts(
    task: str,
    calls: Iterable[tuple[str, int, Mapping[Unit, Decimal]]],
    less: Iterable[tuple[str, str, Decimal]] = (),
) -> dict[str, Any]:
    """Return the fact of a hold by which its charge is measured: model, output limit and worst case, by unit, of calls.

    ``less`` are the budgets and scope keys of which less than the worst case is held, each with that. There is no fact
    for a call without a task, which is of no kind, or that counts on no budget in dollars or tokens.
    """
    if not task:
        return {}
    rows = [
        [model, output, {unit: plain(amount) for unit, amount in amounts.items()}]
        for model, output, amounts in list(calls)[:_MOST_MODELS]
        if amounts
    ]
    if not rows:
        return {}
    found: dict[str, Any] = {"task": task, "calls": rows}
    if kept := [[budget, key, plain(amount)] for budget, key, amount in less]:
        found["less"] = kept
    return {_WORST: found}


def worst_held(facts: Facts, account: Account) -> int | None:
    """Return the worst case of a call on an account, in whole units, where less is held; otherwise None."""
    kept = facts.get(_WORST)
    try:
        for budget, key, amount in kept.get("less", ()) if isinstance(kept, Mapping) else ():
            if (budget, key) == (account.budget, account.key):
                return amount_of(Decimal(amount), account.unit)
    except (TypeError, ValueError, ArithmeticError, AmountError):  # not as this version writes it
        return None
    return None


def beyond_hold(reservation: Reservation) -> Iterator[tuple[Account, int]]:
    """Yield by how much the worst case of a call exceeds what is held for it, on each account where it does."""
    for line in reservation.lines:
        worst = worst_held(reservation.facts, line.account)
        if worst is not None and worst > line.amount:
            yield line.account, worst - line.amount


def _rows(facts: Facts) -> list[tuple[str, int, dict[Unit, int]]]:
    """Return the worst cases of a hold; nothing where they are not as this version writes them."""
    kept = facts.get(_WORST)
    try:
        return [
            (str(model), int(output), {unit: amount_of(Decimal(amount), unit) for unit, amount in amounts.items()})
            for model, output, amounts in (kept["calls"] if isinstance(kept, Mapping) else ())
        ]
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, AmountError):
        return []


def _case(entry: Entry) -> tuple[CallKind, int] | None:
    """Return the kind of a charge and its ratio, in millionths; None where it cannot be told."""
    kept = entry.facts.get(_WORST)
    task = kept.get("task") if isinstance(kept, Mapping) else None
    if entry.kind != "charge" or not (isinstance(task, str) and 0 < len(task) <= LONGEST_TASK):
        return None
    unit, answered = entry.account.unit, entry.facts.get("model")
    for model, output, amounts in _rows(entry.facts):
        if model == answered and unit in amounts:
            assumed = entry.facts.get("basis") == "assumed"
            ratio = _WHOLE if assumed else ratio_of(entry.amount, amounts[unit])
            return CallKind(entry.account.budget, model, task, band_of(output)), ratio
    return None


class CallHistory:
    """The ratios of recent calls on some budgets, by kind: at most the ``MOST_CASES`` charged last of each.

    ``units`` are those of the budgets: a charge in another unit, from before a budget was changed, is no case. Not safe
    for threads.
    """

    def __init__(self, units: Mapping[str, Unit]) -> None:
        self.units: Final = dict(units)
        self._ratios: dict[CallKind, Ratios] = {}
        self._last = ""
        """The latest entry that was read."""

    def read(self, entries: Callable[[EntryQuery], Page[Entry]]) -> None:
        """Take in what was charged since it was read last, but of long histories only the latest entries.

        ``entries`` is that of a store; what it raises, if it cannot be reached, leaves all as it was.
        """
        found: list[Entry] = []
        query, most = EntryQuery(newest_first=True, limit=_PAGE), _MOST_NEW if self._last else _MOST_READ
        while len(found) < most:
            page = entries(query)
            new = list(takewhile(lambda entry: entry.id != self._last, page.items))
            found += new
            if len(new) < len(page.items) or not page.next:
                break
            query = EntryQuery(newest_first=True, limit=_PAGE, after=page.next)
        for entry in reversed(found):
            self._add(entry)
        self._last = found[0].id if found else self._last

    def _add(self, entry: Entry) -> None:
        case = _case(entry) if self.units.get(entry.account.budget) == entry.account.unit else None
        if case is None:
            return
        kind, ratio = case
        ratios = self._ratios.pop(kind, None) or Ratios()
        ratios.add(ratio)
        self._ratios[kind] = ratios  # behind all others: the kinds that were not seen for longest go first
        if len(self._ratios) > _MOST_KINDS:
            del self._ratios[next(iter(self._ratios))]

    def measures(self, quantiles: Mapping[str, Decimal]) -> Measures:
        """Return what is known of each kind, by the quantile of its budget. The mapping is never changed."""
        return {kind: ratios.measured(quantiles[kind.budget]) for kind, ratios in self._ratios.items()}
