"""What every store answers alike."""

from __future__ import annotations

from collections.abc import Sequence

from costlens_policy.ledger.charges import Charge
from costlens_policy.ledger.errors import CallConflictError, UnknownCallError
from costlens_policy.ledger.history import ReservedLine
from costlens_policy.ledger.holds import CallState, Held, Hold, LineState
from costlens_policy.ledger.instants import SECOND

__all__ = ["call_state", "charged_without_hold", "held_again", "match_charges", "unknown_call"]


def call_state(end: int | None, released: bool, settled: bool, now: int) -> CallState:
    """Return what became of a call; ``end`` is in seconds and None where it was never held, ``now`` in microseconds."""
    if settled or end is None:
        return "settled"
    if released:
        return "released"
    return "expired" if now >= end * SECOND else "held"


def held_again(hold: Hold, lines: tuple[LineState, ...], end: int, state: CallState) -> Held:
    """Return the first answer to a call that is reserved again.

    Raises ``CallConflictError`` where it asks for something else.
    """
    if not lines and state == "released":
        return Held(hold.call, (), end, state, repeated=True)  # it was voided before it came
    first = [(line.account.scope, line.amount) for line in lines]
    if first != [(line.account.scope, line.amount) for line in hold.lines]:
        raise CallConflictError(f"the id `{hold.call}` is that of another call, which held other amounts; use a new id")
    return Held(hold.call, lines, end, state, repeated=True)


def charged_without_hold(call: str) -> CallConflictError:
    return CallConflictError(f"the call `{call}` was charged without a hold; use a new id")


def unknown_call(call: str) -> UnknownCallError:
    return UnknownCallError(f"the call `{call}` was never held here; use `charge` to record it without a hold")


def match_charges(
    held: Sequence[LineState | ReservedLine], charges: Sequence[Charge]
) -> tuple[list[int | None], Sequence[Charge]]:
    """Return what is charged on each line held, None where nothing is, and the charges on other accounts."""
    if len(held) == len(charges):
        amounts: list[int | None] = []
        for line, charge in zip(held, charges, strict=True):
            if line.account.name != charge.account.name:
                break
            amounts.append(charge.amount)
        else:
            return amounts, ()
    left = {charge.account.scope: charge for charge in charges}
    found = [left.pop(line.account.scope, None) for line in held]
    return [None if charge is None else charge.amount for charge in found], tuple(left.values())
