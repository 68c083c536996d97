"""What every store does with shares, in whole units: what is set aside, drawn from it, and put back.

A share is the part of what an account holds that waits for the calls of another one. Whatever a call holds moves from
the one to the other within the account, so that what the account holds in all stays the same, and nobody else can take
it meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from costlens_policy.ledger.calls import LineState, Share
from costlens_policy.periods import Period

__all__ = ["Draw", "draw_on", "lease_of", "put_back"]


def lease_of(idle: timedelta, now: datetime, period: Period | None) -> timedelta:
    """Return for how long a share is set aside without a call: not beyond the period that its account is of.

    What is set aside for an account that nobody can charge any more would be of use to nobody.
    """
    ends = None if period is None else period.resets_at
    return idle if ends is None or ends <= now else min(idle, ends - now)


class Draw(NamedTuple):
    """What a call takes of a share, and what is ``left`` of that then.

    ``of`` and ``place`` are the numbers of the lines: that of the account of which it is a share, and its own. Where
    the share ``begins`` with the call, all that was set aside for it is in the two amounts.
    """

    share: Share
    of: int
    place: int
    amount: int
    left: int
    begins: bool


def draw_on(
    shares: Sequence[Share],
    lines: Sequence[LineState],
    left_of: Callable[[int, int], int | None],
    set_aside_for: Callable[[int], int],
) -> tuple[tuple[LineState, ...], list[Draw]]:
    """Return the lines of a call as its shares leave them, and what it takes of each share.

    ``left_of`` returns what is left of the share of a line in another one, None where it has none; ``set_aside_for``
    what a line has set aside for shares in it. What a share begins with is all that its account may still spend: what
    that has set aside itself is held nowhere else yet, so it is part of that.
    """
    found, draws = list(lines), []
    places = {line.account.name: number for number, line in enumerate(lines)}
    for share in shares:
        of, place = places[share.of.name], places[share.account.name]
        line, owner = found[of], lines[place]
        if owner.limit is None:
            continue
        left = left_of(place, of)
        begins = left is None
        if left is None:
            left = max(0, owner.limit - owner.used - owner.held + set_aside_for(place))
        amount = min(left, line.amount)
        draws.append(Draw(share, of, place, amount, left - amount, begins))
        if begins:
            found[of] = line._replace(aside=line.aside + left - amount)
        else:
            found[of] = line._replace(own=line.own + left, drawn=line.drawn + amount)
    return tuple(found), draws


def put_back(left: int, drawn: int, held: int, charged: int) -> int:
    """Return what is left of a share once a call is charged that was held with so much of it.

    What was drawn and not used returns. What the call cost beyond its hold is no longer there for the share either, as
    its account has spent it.
    """
    return max(0, left + max(0, drawn - charged) - max(0, charged - held))
