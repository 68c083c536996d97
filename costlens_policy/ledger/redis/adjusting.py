"""Adjustments in Redis."""

from __future__ import annotations

from typing import Final

from costlens_policy.ledger.account import AccountBalance
from costlens_policy.ledger.adjustments import Adjusted, Adjustment
from costlens_policy.ledger.amounts import join_limbs, split_limbs
from costlens_policy.ledger.errors import LedgerUnavailableError
from costlens_policy.ledger.grants import adjusted_grants, grants_at
from costlens_policy.ledger.instants import micros
from costlens_policy.ledger.json_text import facts_text
from costlens_policy.ledger.redis.server import Server
from costlens_policy.ledger.redis.wire import grants_of, grants_text, span_arguments

__all__ = ["adjust"]

_ATTEMPTS: Final = 100


def adjust(server: Server, adjustment: Adjustment, remember: int, history: int) -> Adjusted:
    """Work out the new grants here, and put them there unless others were first; then begin again with theirs."""
    account, now = adjustment.account, micros(adjustment.now)
    facts = facts_text(adjustment.facts())
    about = adjustment.id, now, adjustment.kind, *split_limbs(adjustment.amount), facts, remember, history
    for _ in range(_ATTEMPTS):
        answer = _put(server, adjustment, about)
        if answer is not None:
            what, (used_high, used_low, held_high, held_low), grants = answer
            used, held = join_limbs(used_high, used_low), join_limbs(held_high, held_low)
            in_force = grants_at(grants_of(grants), account.period.id, now)
            return Adjusted(adjustment.id, AccountBalance(account, used, held, in_force), what == "known")
    raise LedgerUnavailableError(f"too many others adjust `{account.budget}` at the same time; try again")


def _put(server: Server, adjustment: Adjustment, about: tuple[object, ...]) -> tuple[str, list[int], str] | None:
    account = adjustment.account
    grants_key, adjustment_key = f"g:{account.scope}", f"j:{adjustment.id}"
    seen, known = server.commands(
        [("GET", f"{server.prefix}{grants_key}"), ("EXISTS", f"{server.prefix}{adjustment_key}")]
    )
    seen = new = seen or ""
    if adjustment.kind != "set" and not known:
        new = grants_text(adjusted_grants(grants_of(seen), adjustment))
    keys = adjustment_key, grants_key
    answer = server.run("adjust", keys, *about, seen, new, account.name, *span_arguments(account))
    return None if answer[0] == "changed" else tuple(answer)
