"""Adjustments in Redis."""

from __future__ import annotations

from typing import Any, Final

from costlens_policy.ledger.account import AccountBalance
from costlens_policy.ledger.adjustments import Adjusted, Adjustment
from costlens_policy.ledger.amounts import split_limbs
from costlens_policy.ledger.errors import LedgerUnavailableError
from costlens_policy.ledger.grants import adjusted_grants, grants_at
from costlens_policy.ledger.instants import micros
from costlens_policy.ledger.json_text import facts_text
from costlens_policy.ledger.redis.server import Server
from costlens_policy.ledger.redis.wire import amounts_of, grants_of, grants_text, span_numbers

__all__ = ["adjust"]

_ATTEMPTS: Final = 100


def adjust(server: Server, adjustment: Adjustment, remember: int, history: int) -> Adjusted:
    """Work out the new grants here, and put them there unless others were first; then begin again with theirs."""
    account, now = adjustment.account, micros(adjustment.now)
    for _ in range(_ATTEMPTS):
        answer = _put(server, adjustment, remember, history)
        if answer is not None:
            known, numbers, grants = answer
            used, held = amounts_of(numbers.split("\0")[:4])
            in_force = grants_at(grants_of(grants), account.period.id, now)
            return Adjusted(adjustment.id, AccountBalance(account, used, held, in_force), bool(known))
    raise LedgerUnavailableError(f"too many others adjust `{account.budget}` at the same time; try again")


def _put(server: Server, adjustment: Adjustment, remember: int, history: int) -> Any:
    """Return the answer, or None where the grants were changed meanwhile."""
    account, grants_key, own_key = adjustment.account, f"g:{adjustment.account.scope}", f"j:{adjustment.id}"
    seen, known = server.commands([("GET", f"{server.prefix}{grants_key}"), ("EXISTS", f"{server.prefix}{own_key}")])
    seen = new = seen or ""
    if adjustment.kind != "set" and not known:
        new = grants_text(adjusted_grants(grants_of(seen), adjustment))
    texts = adjustment.id, adjustment.kind, account.name
    numbers = micros(adjustment.now), *split_limbs(adjustment.amount), remember, history, *span_numbers(account)
    return server.run("adjust", (own_key, grants_key), texts, numbers, facts_text(adjustment.facts()), seen, new)
