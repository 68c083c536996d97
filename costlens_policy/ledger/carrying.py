"""What a hold takes over from the windows before its own, worked out from the ledger's own records as it is held.

A window may use its limit, and what earlier ones left unused. So a hold takes twice: room of its own window, and of
what later windows may take over from it. It is held only if its own window has the room, and if no later one has spent
already what it would take away, as calls can whose clock is ahead. Both are decided in the one step in which a store
holds, so that the windows together never use more than the rule allows, whatever clocks show and however many ask.

What is charged beyond a hold, or after it has ended, counts all the same, and so does what people adjust. Then a later
window can have used by so much more than was left for it: it has no room then, and nothing of it is carried over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import takewhile
from typing import Final

from costlens_policy.carry_over import CarryOver
from costlens_policy.ledger.account import Account, AccountBalance, Grants
from costlens_policy.ledger.adjustments import Grant, grants_at
from costlens_policy.ledger.amounts import MAX_LIMIT, Unit, limit_of, micros
from costlens_policy.ledger.calls import Carry, Hold, HoldLine

__all__ = ["amounts_before", "carried", "carry_rule", "limit_with_carried", "most_added"]

_NOTHING: Final = Grants()


def carry_rule(rule: CarryOver, unit: Unit) -> CarryOver:
    """Return a rule of the policy in the integers of the ledger. It never carries over more than ``MAX_LIMIT``."""
    most = MAX_LIMIT if rule.most is None else limit_of(rule.most, unit)
    return replace(rule, most=Decimal(most))


def amounts_before(rule: CarryOver, earlier: Iterable[AccountBalance]) -> tuple[int, ...]:
    """Return what earlier windows have used or hold that count for what is carried over, given the latest first.

    What is held there counts as used until it is charged or given back. A window that ended under an override left
    nothing, nor did those before it: the override had replaced what they carried over.
    """
    known = list(takewhile(lambda balance: not balance.grants.replaced, earlier))
    taken = [balance.used + balance.held for balance in known]
    return _counted(rule, [balance.account for balance in known], taken)


def limit_with_carried(
    carry: Carry, limit: int | None, amount: int, taken: Sequence[int | None], grants: Sequence[Grant], now: int
) -> tuple[int | None, tuple[int, ...]]:
    """Return the limit in force for a hold that adds an amount, and what earlier windows have used that counts for it.

    ``limit`` is the policy's, None for one that refuses nothing. ``taken`` is what each of the windows has used and
    holds, None for one of which nothing is on record. Where the hold would take what a later window has spent, the
    limit is what the hold's own window has taken, so that it has no room. While an override is in force, nothing is
    carried over.
    """
    own = carry.windows[carry.place].period
    earlier = _before(carry, carry.place, taken, grants)
    if limit is None:
        return None, earlier
    granted = grants_at(grants, own, now) if grants else _NOTHING
    if granted.override is not None:
        return granted.applied_to(limit), earlier
    in_force = granted.applied_to(limit + carried(carry.rule, limit, earlier))
    for place in range(carry.place):
        if (taken[place] or 0) > limit and _takes_what_is_spent(carry, place, limit, amount, taken, grants, now):
            return min(in_force, taken[carry.place] or 0), earlier
    return in_force, earlier


def _takes_what_is_spent(
    carry: Carry,
    place: int,
    limit: int,
    amount: int,
    taken: Sequence[int | None],
    grants: Sequence[Grant],
    now: int,
) -> bool:
    """Whether a hold of an amount takes something that a later window has spent already."""
    spent = (taken[place] or 0) - limit - grants_at(grants, carry.windows[place].period, now).topup
    before, own = list(taken), taken[carry.place] or 0
    before[carry.place] = own
    after = list(before)
    after[carry.place] = own + amount
    left, was_left = (
        carried(carry.rule, limit, _before(carry, place, known, grants, whatever_is_on_record=True))
        for known in (after, before)
    )
    return left < min(spent, was_left)


def most_added(hold: Hold, line: HoldLine) -> int:
    """Return the most that a line adds to what its window has taken: what shares set aside beside it is not known yet,
    so with them nothing may be taken from a later window.
    """
    return MAX_LIMIT if hold.shares else line.amount


def carried(rule: CarryOver, limit: int, earlier: Sequence[int]) -> int:
    """Return what is carried over in the integers of the ledger, rounded down."""
    return int(rule.amount(Decimal(limit), [Decimal(amount) for amount in earlier]))


def _before(
    carry: Carry,
    place: int,
    taken: Sequence[int | None],
    grants: Sequence[Grant],
    *,
    whatever_is_on_record: bool = False,
) -> tuple[int, ...]:
    """Return what the windows before one have used that count for what it takes over, the latest first."""
    last = place + 1 + carry.rule.periods
    windows, amounts = carry.windows[place + 1 : last], taken[place + 1 : last]
    if grants:
        known = next((at for at, window in enumerate(windows) if _ended_under_override(grants, window)), len(windows))
        windows, amounts = windows[:known], amounts[:known]
    counted = _counted(carry.rule, windows, amounts)
    if whatever_is_on_record:
        count = max((at for at, amount in enumerate(amounts, 1) if amount is not None), default=0)
        return tuple(amount or 0 for amount in amounts[: max(count, len(counted))])
    return counted


def _counted(rule: CarryOver, windows: Sequence[Account], taken: Sequence[int | None]) -> tuple[int, ...]:
    return rule.counted([amount or 0 for amount in taken], [window.period.starts_at for window in windows])


def _ended_under_override(grants: Sequence[Grant], window: Account) -> bool:
    """Whether a window ended under an override, or will as it stands: by another clock, a later one may have begun."""
    end = window.period.resets_at
    return end is not None and any(grant.ended(window.period, micros(end)) for grant in grants)
