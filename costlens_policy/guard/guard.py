"""``Guard``: a decision that is held to. What a call may cost is reserved before it, what it did cost is charged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final

from costlens_policy.api import Engine
from costlens_policy.clock import system_now
from costlens_policy.guard.calls import Call
from costlens_policy.guard.dialects import Dialect
from costlens_policy.guard.events import Sink
from costlens_policy.guard.outcome import Charged
from costlens_policy.guard.service import OnException, Options, Service
from costlens_policy.guard.spending import Spend, spend_of
from costlens_policy.ledger import Store

__all__ = ["DEFAULT_LEASE", "Guard"]

DEFAULT_LEASE: Final = timedelta(minutes=10)


class Guard:
    """Decides calls of one policy set and keeps its budgets in a ledger. Safe for any number of threads.

    ``ledger`` is a URL (``sqlite:///spend.db``, ``redis://``, ``postgresql://``, ``memory:``) or an open store.
    ``lease`` is how long a call stays held whose client does not come back. ``on_exception`` says what leaving the
    block of a call by an exception does: ``release`` gives back what is held, ``charge_hold`` charges it, for who
    would rather count too much than too little. ``dialect`` is in whose words a call tells its messages and
    parameters. ``alert_sinks`` are functions that take each ``Event``; a log when left out. ``clock`` gives the
    present, aware. ``max_age`` is how many seconds old a balance may be that rules only look at; what is reserved or
    refused is always fresh. ``retry_delay`` is how many seconds pass before a sink that failed is asked again, doubled
    each time.

    Raises ``LedgerUnavailableError`` where the ledger cannot be opened, unless the policy set lets calls through then.
    """

    def __init__(
        self,
        engine: Engine,
        ledger: str | Store = "memory:",
        *,
        lease: timedelta = DEFAULT_LEASE,
        on_exception: OnException = "release",
        dialect: Dialect = "openai-chat",
        alert_sinks: Sequence[Sink] | None = None,
        clock: Callable[[], datetime] = system_now,
        max_age: float | None = None,
        retry_delay: float = 1.0,
    ) -> None:
        options = Options(lease, on_exception, dialect, clock, max_age, retry_delay)
        self._service = Service(engine.plan, ledger, alert_sinks, options)

    def call(self, request: Mapping[str, Any], *, id: str | None = None, lease: timedelta | None = None) -> Call:
        """Decide a request and reserve its worst case on every budget that it counts against.

        Use it as a context manager, or settle or release the call yourself. ``id`` makes asking again harmless: the
        same id gives the same hold, across processes and restarts, and a conflict once the call is settled. Raises
        ``RequestError``, ``DeniedError`` and ``CallConflictError``.
        """
        return Call(self._service.open(request, id, lease))

    def settle(
        self,
        id: str,
        response: Any = None,
        *,
        model: str | None = None,
        output_text: str | Iterable[str] | None = None,
        shape: str | None = None,
    ) -> Charged:
        """Charge a held call by its id, as ``Call.settle`` does, and without deciding it again.

        The call may have been made in another process, and policies and prices may have changed since: what counts is
        what its hold remembers. Settled already, it is not charged again, and ``repeated`` says so. Raises
        ``UnknownCallError`` for an id under which nothing was ever held, ``LedgerUnavailableError`` where the hold
        cannot be read: ask again later.
        """
        return self._service.settle(id, response, model, output_text, shape)

    def spend(self, budget: str | None = None, key: str | None = None) -> tuple[Spend, ...]:
        """Return what budgets have used, hold and have left at present; all of them, or one, or one scope key.

        ``budget`` is ``policy/budget``, or the budget's id where only one policy has it. Raises ``GuardError`` for one
        that there is not, ``RequestError`` for a key that no ledger could keep, ``LedgerUnavailableError``.
        """
        service = self._service
        service.check_open()
        return spend_of(service.plan, service.accounts, service.link, service.now(), budget, key)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until every alert was taken to every sink once; say whether that happened within ``timeout`` seconds."""
        return self._service.delivery.flush(timeout)

    def close(self) -> None:
        """Deliver the alerts under way, write charges that wait, and close the ledger if it was given as a URL."""
        self._service.close()

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
