"""What this process itself keeps while the ledger cannot be reached: what is to be written, and what may be spent."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from datetime import datetime
from decimal import Decimal
from threading import Lock
from typing import Final, TypeAlias

from costlens_policy.frozen import frozen
from costlens_policy.ledger.calls import Settlement
from costlens_policy.ledger.errors import LedgerBusyError, LedgerUnavailableError
from costlens_policy.ledger.protocol import Store
from costlens_policy.money import ZERO, total

__all__ = ["Allowance", "Journal", "Release", "RunEnd"]

_LOOK_AGAIN: Final = 0.002
_LOG: Final = logging.getLogger("costlens_policy.guard")


class Allowance:
    """A bound in US dollars on calls whose charges no ledger has yet. It starts anew once the ledger has them.

    Safe for threads. It is in memory: each process has its own, and a new process a new one. The allowance of another
    version of the policies goes on with what is taken of the one ``before`` it.
    """

    def __init__(self, limit: Decimal, before: Allowance | None = None) -> None:
        self.limit: Final = limit
        self._taken: _Taken = _Taken() if before is None else before._taken

    @property
    def taken(self) -> Decimal:
        """What is spent and held of it."""
        return total((self._taken.used, *self._taken.held.values()))

    def take(self, call: str, amount: Decimal) -> bool:
        """Hold an amount for a call; return whether there is room for it."""
        with self._taken.lock:
            if total((self.taken, amount)) > self.limit:
                return False
            self._taken.held[call] = amount
            return True

    def spend(self, call: str, amount: Decimal) -> None:
        """Replace what is held for a call by what it cost."""
        with self._taken.lock:
            self._taken.held.pop(call, None)
            self._taken.used = total((self._taken.used, amount))

    def give_back(self, call: str) -> None:
        """Free what is held for a call: it was released, or the ledger has its charge."""
        with self._taken.lock:
            self._taken.held.pop(call, None)

    def renew(self) -> None:
        """Forget what was spent: the ledger has it now."""
        with self._taken.lock:
            self._taken.used = ZERO


class _Taken:
    """What is spent of an allowance, and held of it by the id of each call."""

    __slots__ = ("held", "lock", "used")

    def __init__(self) -> None:
        self.lock = Lock()
        self.held: dict[str, Decimal] = {}
        self.used = ZERO


@frozen
class Release:
    """A hold to give back. The request for it may still be on its way to the store."""

    call: str
    now: datetime


@frozen
class RunEnd:
    """The end of a run to put on record, as the call whose id says so."""

    call: str
    now: datetime


_Waiting: TypeAlias = Settlement | Release | RunEnd


class Journal:
    """What waits for the store in memory, one entry for each call, the oldest first. Safe for threads.

    What others have locked in the store is put off, so that nobody who asks for something else waits for it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._writing = Lock()
        self._due: OrderedDict[str, _Waiting] = OrderedDict()
        self._put_off: OrderedDict[str, _Waiting] = OrderedDict()
        self._written = 0

    def __len__(self) -> int:
        return len(self._due) + len(self._put_off)

    @property
    def is_due(self) -> bool:
        """Whether something waits that is not put off, or is being written just now."""
        return bool(self._due) or self._writing.locked()

    @property
    def lasting(self) -> int:
        """How many charges and ends of runs wait: what is lost with them does not come right by itself."""
        with self._lock:
            return sum(not isinstance(entry, Release) for entry in (*self._due.values(), *self._put_off.values()))

    def add(self, entry: _Waiting, *, put_off: bool) -> None:
        """Keep an entry. A charge takes the place of a release, never the other way round."""
        self._keep(entry, self._put_off if put_off else self._due)

    def drop_release(self, call: str) -> bool:
        """Forget that a hold is to be given back; return whether it was."""
        with self._lock:
            for entries in (self._due, self._put_off):
                if isinstance(entries.get(call), Release):
                    del entries[call]
                    return True
        return False

    def write(self, store: Store, patience: float) -> bool:
        """Write what is due; say whether that was done within some seconds, others writing first included."""
        deadline = time.monotonic() + patience
        while self._writing.locked():  # looked at again and again: an interrupted `acquire` may leave it locked
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_AGAIN)
        with self._writing:
            while self._write_first(self._due, store):
                if time.monotonic() > deadline:
                    return False
        return True

    def write_put_off(self, store: Store) -> None:
        """Try once more what was put off; what is still locked is put off again."""
        for _ in range(len(self._put_off)):
            self._write_first(self._put_off, store)

    def take_written(self) -> int:
        """Return how many charges were written since this was asked last."""
        with self._lock:
            written, self._written = self._written, 0
            return written

    def _write_first(self, entries: OrderedDict[str, _Waiting], store: Store) -> bool:
        """Write the first of some entries; return whether there was one."""
        with self._lock:
            if not entries:
                return False
            _, entry = entries.popitem(last=False)
        try:
            written = _written(store, entry)
        except LedgerBusyError:
            self._keep(entry, self._put_off)
        except BaseException:
            self._keep(entry, entries, first=True)
            raise
        else:
            with self._lock:
                self._written += written
        return True

    def _keep(self, entry: _Waiting, entries: OrderedDict[str, _Waiting], *, first: bool = False) -> None:
        with self._lock:
            known = self._due.pop(entry.call, None) or self._put_off.pop(entry.call, None)
            kept = known if isinstance(known, Settlement) and isinstance(entry, Release) else entry
            entries[entry.call] = kept
            if first:
                entries.move_to_end(entry.call, last=False)


def _written(store: Store, entry: _Waiting) -> int:
    """Write an entry, and return how many charges that were."""
    try:
        if not isinstance(entry, Settlement):
            store.void(entry.call, entry.now)
            return 0
        store.charge(entry)
    except LedgerUnavailableError:
        raise
    except Exception as error:  # the store answers, and will say the same again
        _LOG.error("what waits for the ledger as call `%s` cannot be written and is lost: %s", entry.call, error)
        return 0
    return 1
