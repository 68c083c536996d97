"""One call under way, as both guards know it: held, then settled or released, once."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from costlens_policy.catalogue import Usage
from costlens_policy.guard.charging import (
    Bill,
    Portion,
    bill_assumed,
    bill_estimated,
    bill_reported,
    portions_of,
    read_reported,
)
from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.outcome import Charged
from costlens_policy.guard.recording import Recorder
from costlens_policy.guard.reserving import Asked, Reserved
from costlens_policy.guard.sending import Sending
from costlens_policy.guard.streams import StreamMeter
from costlens_policy.ledger import LedgerError

if TYPE_CHECKING:  # the service opens calls, and a call goes back to it
    from costlens_policy.guard.service import Service

__all__ = ["HeldCall"]

_LOG: Final = logging.getLogger("costlens_policy.guard")


class HeldCall:
    """A call that was decided and whose worst case is held. Safe for threads."""

    def __init__(self, service: Service, asked: Asked, reserved: Reserved) -> None:
        self.asked: Final = asked
        self.decision: Final = reserved.decision
        self.sending: Final = Sending(reserved.decision, service.options.dialect)
        self.expires_at: datetime | None = reserved.expires_at
        self.charged: Charged | None = None
        self._service = service
        self._hold = reserved.hold
        self._recorder = Recorder(service, asked, reserved)
        self._lock = RLock()
        self._released = False
        self._failed_attempts: list[Portion] = []

    @property
    def is_open(self) -> bool:
        """Whether the call is neither settled nor released."""
        return self.charged is None and not self._released

    @property
    def state(self) -> str:
        """What became of the call so far, in a word."""
        return "settled" if self.charged is not None else "released" if self._released else "held"

    @property
    def is_half_over(self) -> bool:
        """Whether more than half of the lease has passed."""
        return self.expires_at is not None and self.expires_at - self._service.now() <= self.asked.lease / 2

    def add(self, usage: Any, model: str | None, shape: str | None) -> None:
        """Count usage of an attempt that failed, beside what the call is settled with."""
        reported, problem = read_reported(usage, shape)
        if reported is None:
            raise GuardError(problem or "there is no usage to add")
        self._failed_attempts.extend(portions_of(self.sending.answered_by(model, usage), reported))

    def settle(
        self, response: Any, model: str | None, output_text: str | Iterable[str] | None, shape: str | None
    ) -> Charged:
        """Charge the call once; asked again, the first charge is returned."""
        with self._lock:
            if self.charged is None:
                self.charged = self._recorder.charge(self._bill(response, model, output_text, shape))
            return self.charged

    def settle_with_hold(self, problem: str) -> Charged:
        """Charge the most that the call may have cost."""
        with self._lock:
            if self.charged is None:
                self.charged = self._recorder.charge(self._assumed(self.sending.model, problem))
            return self.charged

    def settle_stream(self, meter: StreamMeter, *, failed: bool = False) -> None:
        """Settle with what a stream has told; one that has not begun is left to the end of the block."""
        if meter.is_complete:
            self.settle(meter.usage, None, None, None)
        elif meter.started and failed and self._service.options.on_exception == "charge_hold":
            self.settle_with_hold("the stream broke off")
        elif meter.started:
            self.settle(None, None, meter.text, None)

    def release(self) -> None:
        """Give back what is held, unless the call is settled."""
        with self._lock:
            if self.is_open:
                self._released = True
                self._recorder.release()

    def leave(self, error: BaseException | None) -> None:
        """End the block of the call: what is not settled is given back, unless a failure counts as charged."""
        if not self.is_open:
            return
        if error is None or self._service.options.on_exception == "release" or _was_refused(error):
            self.release()
        else:
            self.settle_with_hold(f"the call failed: {type(error).__name__}")

    def extend(self, lease: timedelta | None) -> None:
        """Let the lease begin anew. A hold that has ended stays ended; its charge counts all the same."""
        if self.expires_at is not None:
            length, now = lease or self.asked.lease, self._service.now()
            extended = self._service.link.ask(lambda store: store.extend(self._hold, length, now))
            self.expires_at = extended.expires_at

    def extend_in_time(self) -> None:
        """Let the lease begin anew when half of it has passed; a ledger that cannot be reached is left alone."""
        if not self.is_half_over:
            return
        try:
            self.extend(None)
        except LedgerError as error:
            _LOG.warning("the lease of call `%s` was not extended: %s", self._hold, error)
            self.expires_at = None

    def _bill(
        self, response: Any, model: str | None, output_text: str | Iterable[str] | None, shape: str | None
    ) -> Bill:
        name = self.sending.answered_by(model, response)
        if output_text is not None:
            return bill_estimated(self.decision, [self._estimated(name, output_text), *self._failed_attempts])
        reported, problem = read_reported(response, shape)
        if reported is not None:
            return bill_reported(self.decision, name, reported, self._failed_attempts)
        return self._assumed(name, problem or "no usage was reported")

    def _assumed(self, model: str, problem: str) -> Bill:
        _LOG.warning("call `%s` is charged what was held for it: %s", self._hold, problem)
        return bill_assumed(self.decision, model, problem, self._failed_attempts)

    def _estimated(self, model: str, output_text: str | Iterable[str]) -> Portion:
        texts = (output_text,) if isinstance(output_text, str) else output_text
        written = sum(map(self.decision.plan.tokenizer.count, texts))
        return Portion(model, Usage(input=self.sending.estimate.prompt_tokens, output=written))


def _was_refused(error: BaseException) -> bool:
    """Whether the provider refused the request (4xx) instead of working on it. A timeout of the request is none."""
    status = getattr(error, "status_code", None)
    return isinstance(status, int) and 400 <= status < 500 and status != 408
