"""``Client``: the service for code that waits."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import httpx

import costlens_policy.client.wire as wire
from costlens_policy.client.call_facts import ServiceCallFacts
from costlens_policy.client.exchange import (
    Asked,
    Asks,
    ServiceError,
    ServiceUnavailableError,
    Tries,
    address_of,
    headers_of,
    joined,
    retries_of,
    timeout_of,
    whole_of,
)

__all__ = ["Client", "ServiceCall"]

_Answer = TypeVar("_Answer", bound=wire.Told)


class Client:
    """A client of the decision service. Safe for threads.

    ``url`` is ``http://host:port``, ``https://…`` or ``unix:/path/of/the.sock``; ``key`` what ``costlens-policy keys
    add`` printed. ``timeout`` is in seconds, for each attempt. ``retries`` is how often a request is repeated that
    met a service out of reach, too busy or too slow; nothing counts twice by that. ``verify`` are the certificates to
    trust, as httpx takes them.

    Every method raises ``ServiceError``: ``ServiceDeniedError`` for a denial of ``reserve`` and ``call``,
    ``ServiceUnavailableError`` where no attempt got an answer. A request that has no JSON, such as
    one with bytes, is refused before it is sent. The constructor raises ``ValueError`` for a URL, a key, a time or a
    number that cannot be one, and does not show the key.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8181",
        key: str | None = None,
        *,
        timeout: float = 10.0,
        retries: int = 3,
        verify: Any = True,
    ) -> None:
        base, path = address_of(url)
        self._http: Final = httpx.Client(
            base_url=base,
            headers=headers_of(key),
            timeout=timeout_of(timeout),
            transport=httpx.HTTPTransport(uds=path, verify=verify),
        )
        self._retries: Final = retries_of(retries)

    def decide(self, request: Mapping[str, Any], *, dialect: wire.Dialect | None = None) -> wire.Decided:
        """Decide a request, and hold nothing. With ``dialect``, ``arguments`` are those of that SDK."""
        return self._send(Asks.decide(request, dialect))

    def decide_all(
        self, requests: Sequence[Mapping[str, Any]], *, dialect: wire.Dialect | None = None, brief: bool = False
    ) -> list[wire.BatchItem]:
        """Decide up to 1,000 requests, each by itself, in their order. ``brief`` answers have no ``decision``."""
        return (self._send(Asks.decide_all(requests, dialect, brief))).answers

    def explain(self, request: Mapping[str, Any]) -> wire.Explained:
        """Decide a request, with its full record."""
        return self._send(Asks.explain(request))

    def models(self, request: Mapping[str, Any]) -> wire.ModelsAnswer:
        """Return which models may serve a request, and why others may not."""
        return self._send(Asks.models(request))

    def reserve(
        self,
        request: Mapping[str, Any],
        *,
        id: str | None = None,
        lease: timedelta | str | None = None,
        dialect: wire.Dialect | None = None,
    ) -> wire.Reserved:
        """Decide a call and hold its worst case. The same ``id`` gives the same hold. ``lease`` may be ``"5m"``."""
        return self._send(Asks.reserve(request, id, lease, dialect))

    def settle(
        self,
        id: str,
        usage: Any = None,
        *,
        model: str | None = None,
        output_text: str | Sequence[str] | None = None,
        shape: str | None = None,
    ) -> wire.Charge:
        """Charge what a held call cost, as ``Guard.settle`` does."""
        return self._send(Asks.settle(id, usage, model, output_text, shape))

    def submit(
        self,
        requests: Mapping[str, Mapping[str, Any]],
        *,
        id: str,
        lease: timedelta | str | None = None,
        whole: bool = False,
        dialect: wire.Dialect | None = None,
    ) -> wire.Submitted:
        """Hold a batch at batch prices before it is handed in, as ``Guard.submit`` does: ``calls`` are to be sent.

        Items are sent in parts of 1,000, a batch that is held as a ``whole`` in one.
        """
        return whole_of(id, [self._send(part) for part in Asks.submit(requests, id, lease, whole, dialect)])

    def settle_batch(self, id: str, results: str | bytes | Iterable[Any]) -> wire.BatchSettled:
        """Charge or give back the items of a batch whose results are there, as ``Guard.settle_batch`` does."""
        return joined(id, [self._send(part) for part in Asks.settle_batch(id, results)])

    def end_run(self, path: str) -> None:
        """End a run, with all runs within it, for every caller and for good, as ``Guard.end_run`` does."""
        self._send(Asks.end_run(path))

    def release(self, id: str) -> None:
        """Give back what a call holds."""
        self._send(Asks.release(id))

    def extend(self, id: str, lease: timedelta | str | None = None) -> datetime | None:
        """Let the lease of a held call begin anew; return when it ends."""
        return (self._send(Asks.extend(id, lease))).expires_at

    def spend(self, budget: str | None = None, key: str | None = None) -> list[wire.SpendLine]:
        """Return what budgets have used, hold and have left."""
        return (self._send(Asks.spend(budget, key))).budgets

    def policies(self) -> wire.PolicyList:
        """Return the policy set that decides. Needs the scope ``admin``."""
        return self._send(Asks.policies())

    def ready(self) -> wire.Ready:
        """Return what is wrong all the same. Raises ``ServiceUnavailableError`` where it cannot do its work."""
        return self._send(Asks.ready())

    def call(
        self,
        request: Mapping[str, Any],
        *,
        id: str | None = None,
        lease: timedelta | str | None = None,
        dialect: wire.Dialect | None = None,
    ) -> ServiceCall:
        """Reserve a call: ``with client.call(request) as call``."""
        return ServiceCall(self, self.reserve(request, id=id, lease=lease, dialect=dialect))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, asked: Asked[_Answer]) -> _Answer:
        """Ask until there is an answer, as often as is allowed."""
        tries = Tries(self._retries)
        while True:
            try:
                return asked.read(self._http.request(**asked.sent))
            except (ServiceUnavailableError, httpx.TransportError) as error:
                pause = tries.pause_after(error)
            time.sleep(pause)


class ServiceCall(ServiceCallFacts):
    """A call whose worst case is held. As a context manager it gives back what is not settled at its end."""

    def __init__(self, client: Client, reserved: wire.Reserved) -> None:
        super().__init__(reserved)
        self._client: Final = client

    def settle(
        self, usage: Any = None, *, output_text: str | Sequence[str] | None = None, shape: str | None = None
    ) -> wire.Charge:
        """Charge the call, once, whether or not a budget counts it. Asked again, the first charge is returned."""
        if self.charged is None:
            self.charged = self._client.settle(self.id, usage, model=self.model, output_text=output_text, shape=shape)
        return self.charged

    def release(self) -> None:
        """Give back what is held, unless the call is settled."""
        if self._is_held:
            try:
                self._client.release(self.id)
            except ServiceError as error:  # a charge whose answer was lost may have come first
                if error.code != "call_conflict":
                    raise
        self._released = True

    def extend(self, lease: timedelta | str | None = None) -> None:
        """Let the lease begin anew, for a call that takes longer than it."""
        self._client.extend(self.id, lease)

    def __enter__(self) -> ServiceCall:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
