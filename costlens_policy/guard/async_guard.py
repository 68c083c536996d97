"""``AsyncGuard``: the guard for code that awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Final

from costlens_policy.api import Engine
from costlens_policy.clock import system_now
from costlens_policy.guard.async_calls import Opening, Worker
from costlens_policy.guard.dialects import Dialect
from costlens_policy.guard.events import Sink
from costlens_policy.guard.guard import DEFAULT_LEASE
from costlens_policy.guard.outcome import Charged
from costlens_policy.guard.service import OnException, Options, Service
from costlens_policy.guard.spending import Spend, spend_of
from costlens_policy.ledger import Store
from costlens_policy.rewrites import is_longer

__all__ = ["AsyncGuard"]

_MOST_IN_LOOP: Final = 20_000
"""Characters of a request that may be rewritten and counted in the event loop: some milliseconds at most."""


class AsyncGuard:
    """As ``Guard``, with ``async with guard.call(request) as call`` and ``await call.settle(usage)``.

    A store is asked in threads, so that the event loop never waits for it; one in memory answers at once, unless a
    request is long: what has more than 20,000 characters is rewritten and counted in a thread, too. A task that
    is cancelled gives back what its call holds.
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
        self._worker = Worker(inline=self._service.in_memory)

    def call(self, request: Mapping[str, Any], *, id: str | None = None, lease: timedelta | None = None) -> Opening:
        """Decide a request and reserve its worst case, once the result is entered or awaited; see ``Guard.call``."""
        opening = partial(self._service.open, request, id, lease)
        return Opening(opening, self._worker, apart=is_longer(request, _MOST_IN_LOOP))

    async def settle(
        self,
        id: str,
        response: Any = None,
        *,
        model: str | None = None,
        output_text: str | Iterable[str] | None = None,
        shape: str | None = None,
    ) -> Charged:
        """Charge a held call by its id; see ``Guard.settle``. What has begun is done, also in a cancelled task."""
        settling = self._worker.run(self._service.settle, id, response, model, output_text, shape)
        charged: Charged = await asyncio.shield(settling)
        return charged

    async def spend(self, budget: str | None = None, key: str | None = None) -> tuple[Spend, ...]:
        """Return what budgets have used, hold and have left at present; see ``Guard.spend``."""
        service = self._service
        service.check_open()
        ask = partial(spend_of, service.plan, service.accounts, service.link, service.now(), budget, key)
        spends: tuple[Spend, ...] = await self._worker.run(ask)
        return spends

    async def flush(self, timeout: float = 5.0) -> bool:
        """Wait until every alert was taken to every sink once; say whether that happened within ``timeout`` seconds."""
        return await asyncio.to_thread(self._service.delivery.flush, timeout)

    async def close(self) -> None:
        """Deliver the alerts under way, write charges that wait, and close the ledger if it was given as a URL."""
        await asyncio.to_thread(self._worker.close)
        await asyncio.to_thread(self._service.close)

    async def __aenter__(self) -> AsyncGuard:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
