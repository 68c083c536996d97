"""What a ledger has on record of runs: that budgets have counted them, and that they have ended.

Both are calls of the ledger, under ids that no other call may have. A run that begins is held on the budget that counts
runs, and charged at once; asked for again, by any process, it is the same call. The end of a run is a call that was
given back before it was held: as long as the ledger remembers it, every hold that names it is barred.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from itertools import count, islice
from typing import Final, Literal

from costlens_policy.guard.link import Link
from costlens_policy.ledger import (
    CallConflictError,
    Hold,
    HoldLine,
    LedgerUnavailableError,
    Refused,
    Settled,
    Settlement,
    Store,
)
from costlens_policy.ledger.account import MAX_LEASE, Account
from costlens_policy.ledger.calls import Charge
from costlens_policy.ledger.history import Reservation
from costlens_policy.runs import lineage_of

__all__ = [
    "RESERVED", "BegunRuns", "EndedRuns", "begin_run", "begin_run_later", "end_run", "end_run_soon", "ended_by",
    "ends_of", "has_begun", "has_ended",
]  # fmt: skip

RESERVED: Final = "~run"
"""What ids of calls must not begin with."""
_BEGUN: Final = "~run:"
_ENDED: Final = "~run-end:"
_KEPT: Final = 50_000
_MOST_TRIES: Final = 100
_LOG: Final = logging.getLogger("costlens_policy.guard")


class BegunRuns:
    """Which accounts have counted which runs, as far as this process knows. Safe for threads."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: set[tuple[str, str]] = set()

    def knows(self, account: Account, run: str) -> bool:
        return (account.name, run) in self._known

    def add(self, account: Account, run: str) -> None:
        if len(self._known) >= _KEPT:
            self._known = set()
        self._known.add((account.name, run))


class EndedRuns:
    """Which runs have ended, as far as this process knows; the ledger may not know it yet. Safe for threads."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: set[str] = set()

    def add(self, run: str) -> None:
        if len(self._known) >= _KEPT:
            self._known = set()
        self._known.add(run)

    def over(self, run: str | None) -> str | None:
        """Return which run has ended, this one or the outermost one around it; None where none has."""
        if run is None or not self._known:
            return None
        return next((path for path in lineage_of(run) if path in self._known), None)


@lru_cache(maxsize=4096)
def ends_of(run: str) -> tuple[str, ...]:
    """Return the calls of which one is on record once a run, or one around it, has ended."""
    return tuple(_ENDED + path for path in lineage_of(run))


def ended_by(end: str) -> str:
    """Return the run whose end a call is."""
    return end.removeprefix(_ENDED)


def end_run(store: Store, run: str, now: datetime) -> None:
    """Put the end of a run on record. Raises ``LedgerError``."""
    store.void(_ENDED + run, now)


def end_run_soon(link: Link, run: str, now: datetime) -> None:
    """Put the end of a run on record, or let it wait in memory for a ledger that cannot be reached."""
    try:
        link.end_run(_ENDED + run, now)
    except LedgerUnavailableError as fault:
        _LOG.warning("the end of run `%s` waits for the ledger: %s", run, fault)


def has_ended(store: Store, run: str, now: datetime) -> bool:
    """Whether the end of a run itself is on record. Raises ``LedgerError``."""
    return store.reservation(_ENDED + run, now) is not None


def has_begun(link: Link, account: Account, run: str, now: datetime) -> Literal["held", "settled"] | None:
    """Return how an account counts a run: as one that is about to begin, or for good; None where it does not.

    Raises ``LedgerUnavailableError``.
    """
    for name in _names(account, run):
        found: Reservation | None = link.ask(lambda store, name=name: store.reservation(name, now))  # type: ignore[misc]
        if found is None:
            return None
        if found.state in ("held", "settled"):
            return found.state
    return None


def begin_run(link: Link, account: Account, limit: int | None, run: str, now: datetime) -> Refused | Settled:
    """Let an account count a run, once; a refusal says that it has no room. Raises ``LedgerUnavailableError``.

    A process that is killed in between leaves a hold of the longest lease, which the next call of the run charges.
    """
    for name in _names(account, run):
        answer = link.reserve(Hold(name, (HoldLine(account, 1, limit),), now, MAX_LEASE, {"begins": run}))
        if isinstance(answer, Refused):
            return answer
        if answer.state in ("held", "settled"):
            return link.settle(Settlement(name, (Charge(account, 1),), now))
    raise CallConflictError(f"the run `{run}` began {_MOST_TRIES} times and was never counted; use a new name")


def begin_run_later(link: Link, account: Account, run: str, now: datetime) -> None:
    """Let an account count a run once the ledger can be reached again, unless it has counted it by then."""
    name = next(_names(account, run))
    link.settle_later(Settlement(name, (Charge(account, 1),), now, {"begins": run}))


def _names(account: Account, run: str) -> Iterator[str]:
    """Yield the ids under which an account may count a run: a further one where an earlier hold has expired."""
    digest = sha256(account.name.encode()).hexdigest()[:16]
    return islice((f"{_BEGUN}{digest}:{number}:{run}" for number in count(1)), _MOST_TRIES)
