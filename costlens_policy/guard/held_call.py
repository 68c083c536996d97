"""One call under way, as both guards know it: held, then settled or released, once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from threading import RLock
from typing import Any, Final

from costlens_policy.catalogue import Usage
from costlens_policy.engine.decision import Decision
from costlens_policy.guard.charging import (
    Bill,
    Portion,
    at_least,
    bill_added,
    bill_assumed,
    bill_estimated,
    bill_reported,
    portions_of,
    read_reported,
)
from costlens_policy.guard.collecting import apart_from_collecting
from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.hold_facts import Recalled
from costlens_policy.guard.recording import Charged, charge_call, first_charge, release_call
from costlens_policy.guard.reserving import Asked, Reserved
from costlens_policy.guard.sending import Sending
from costlens_policy.guard.shared import Shared
from costlens_policy.guard.stream_charges import Verdict, bill_of_streams, doubtful, judge_streams, portions_so_far
from costlens_policy.guard.streams import StreamMeter
from costlens_policy.guard.streams.meter import Ending, unwrapped
from costlens_policy.guard.warmth import learn_warmth
from costlens_policy.ledger import CallState, LedgerError, Reservation

__all__ = ["HeldCall"]

_LOG: Final = logging.getLogger("costlens_policy.guard")


class HeldCall:
    """A call that was decided and whose worst case is held. Safe for threads.

    ``found`` is what the ledger knows of one that is looked up by its id: it may have been charged or given back.
    """

    __slots__ = (
        "__weakref__", "_failed_attempts", "_in_block", "_lock", "_released", "_reserved", "_shared", "_streams",
        "asked", "charged", "decision", "expires_at", "sending",
    )  # fmt: skip

    def __init__(self, shared: Shared, asked: Asked, reserved: Reserved, found: Reservation | None = None) -> None:
        self.asked: Final = asked
        self.decision: Final[Decision] = reserved.decision
        self.sending: Final = Sending(
            reserved.decision, shared.options.dialect, ignores_names=shared.options.named_models == "ignore"
        )
        self.expires_at: datetime | None = reserved.expires_at
        settled = None if found is None else found.settled
        self.charged = None if found is None or settled is None else first_charge(asked.id, found.facts, settled)
        self._shared = shared
        self._reserved = reserved
        self._lock = RLock()
        self._released = found is not None and found.state == "released"
        self._failed_attempts: list[Portion] = []
        self._streams: list[StreamMeter] = []
        self._in_block = False

    @property
    def id(self) -> str:
        return self.asked.id

    @property
    def is_open(self) -> bool:
        """Whether the call is neither settled nor released."""
        return self.charged is None and not self._released

    @property
    def state(self) -> CallState:
        """What became of the call so far, in a word."""
        return "settled" if self.charged is not None else "released" if self._released else "held"

    @property
    def is_half_over(self) -> bool:
        """Whether more than half of the lease has passed."""
        return self.expires_at is not None and self.expires_at - self._shared.clock() <= self.asked.lease / 2

    @property
    def open_sources(self) -> list[Any]:
        """What gives the chunks of the streams that did not end, to be closed once the block is over."""
        return [meter.source for meter in self._streams if meter.ending != "ended"]

    def add(self, usage: Any, model: str | None, shape: str | None) -> None:
        """Count usage of an attempt that failed, beside what the call is settled with."""
        usage = unwrapped(usage)
        reported, problem = read_reported(usage, shape)
        if reported is None:
            raise GuardError(problem or "there is no usage to add")
        self._failed_attempts.extend(portions_of(self.sending.answered_by(model, usage), reported))

    def settle(
        self, response: Any, model: str | None, output_text: str | Iterable[str] | None, shape: str | None
    ) -> Charged:
        """Charge the call once; asked again, the first charge is returned, as ``repeated``."""
        with self._lock:
            if self.charged is not None:
                return self.charged._replace(repeated=True)
            if self._streams:
                self._count_broken_streams()
            return self._charge(self._with_streams(self._bill(response, model, output_text, shape)))

    def _with_streams(self, bill: Bill) -> Bill:
        """Return a bill that is not below what the streams of the call have reported so far."""
        reported = [portion for meter in self._streams for portion in portions_so_far(self.sending, meter)]
        if not reported:
            return bill
        raised = at_least(bill, bill_added(self.decision, [*reported, *self._failed_attempts]))
        if raised.amounts == bill.amounts and raised.cost == bill.cost:
            return bill
        return raised._replace(notes=(*bill.notes, "a stream of the call has reported more, which is charged"))

    def settle_with_hold(self, problem: str) -> Charged:
        """Charge the most that the call may have cost."""
        with self._lock:
            return self.charged or self._charge(self._assumed(self.sending.model, problem))

    def release(self) -> CallState:
        """Give back what is held, unless the call is settled; return which of the two it is.

        Attempts that were charged count all the same.
        """
        with self._lock:
            if not self.is_open:
                return self.state
            if self._failed_attempts:
                self._charge(bill_added(self.decision, self._failed_attempts))
                return "released"
            self._released = True
            if not release_call(self._shared, self.asked, self._reserved):
                return "settled"
            if self._shared.log is not None:
                self._shared.log.released(self.decision, self.id, self._shared.clock())
            return "released"

    def extend(self, lease: timedelta | None) -> CallState:
        """Let the lease begin anew; return whether the call is held. One that is not stays so, and may be charged."""
        if not self.is_open or self.expires_at is None:
            return self.state
        length, now = lease or self.asked.lease, self._shared.clock()
        extended = self._shared.link.ask(lambda store: store.extend(self._reserved.hold, length, now))
        self.expires_at = extended.expires_at
        return extended.state

    def extend_in_time(self) -> None:
        """Let the lease begin anew when half of it has passed; a ledger that cannot be reached is left alone."""
        if not self.is_half_over:
            return
        try:
            self.extend(None)
        except LedgerError as error:
            _LOG.warning("the lease of call `%s` was not extended: %s", self._reserved.hold, error)
            self.expires_at = None

    def enter(self) -> None:
        """Begin the block of the call."""
        self._in_block = True

    def leave(self, error: BaseException | None) -> None:
        """End the block of the call: what is not settled is given back, unless it cost something, or may have.

        A stream under way is charged by what has arrived of it, and gives nothing more.
        """
        apart_from_collecting(self._leave, error)

    def _leave(self, error: BaseException | None) -> None:
        self._in_block = False
        try:
            if self.is_open:
                self._leave_open(error)
        finally:
            for meter in self._streams:
                meter.over = True

    def _leave_open(self, error: BaseException | None) -> None:
        for meter in self._streams:
            if not meter.is_complete:
                meter.look_back()
        if any(meter.may_have_cost for meter in self._streams):
            self._settle_streams(failed=error is not None and not isinstance(error, GeneratorExit))
        elif error is None or not self._charges_hold or _was_refused(error):
            self.release()
        else:
            self.settle_with_hold(f"the call failed: {type(error).__name__}")

    def open_stream(self, source: Any) -> StreamMeter:
        """Return the meter of a stream that is handed over. Raises ``GuardError`` where it could not be charged."""
        if self.charged is not None:
            raise GuardError("the call is settled, so another stream would be free; make another call for it")
        meter = StreamMeter(source, self.sending.model)
        self._streams.append(meter)
        self._shared.streaming.add(self)
        return meter

    def end_stream(self, meter: StreamMeter, ending: Ending) -> None:
        """Settle with what a stream has reported, unless the block of the call may still bring more.

        One that did not report its whole usage waits for the end of the block: its reader may know the whole answer,
        or a fallback follows. One that has not begun is left to that, too.
        """
        meter.end(ending)
        apart_from_collecting(self._settle_ended, meter)

    def _settle_ended(self, meter: StreamMeter) -> None:
        with self._lock:
            others = any(other.ending is None for other in self._streams)
            if meter.may_have_cost and ((meter.is_complete and not others) or not self._in_block):
                self._settle_streams()

    def _settle_streams(self, *, failed: bool = False) -> None:
        """Charge all the streams of the call, once. ``failed``: the block of the call was left by an exception."""
        with self._lock:
            if self.charged is None:
                verdicts = list(self._judged(self._streams, failed=failed))
                self._charge(bill_of_streams(self.sending, verdicts, self._failed_attempts, self._reserved.hold))

    def _judged(self, meters: list[StreamMeter], *, failed: bool = False) -> Iterator[Verdict]:
        return judge_streams(self.sending, meters, charge_hold=self._charges_hold, failed=failed)

    def _count_broken_streams(self) -> None:
        """Count the streams that failed before another attempt answered, beside what the call is settled with."""
        broken = [meter for meter in self._streams if meter.ending == "failed"]
        for verdict in self._judged(broken):
            self._failed_attempts.extend(verdict.portions)
        self._streams = [meter for meter in self._streams if meter.ending != "failed"]

    @property
    def _charges_hold(self) -> bool:
        return self._shared.options.on_exception == "charge_hold"

    def _charge(self, bill: Bill) -> Charged:
        self.charged = charged = charge_call(self._shared, self.asked, self._reserved, bill)
        if not charged.repeated:
            learn_warmth(self._shared.plan, self.decision, bill, self._shared.warm)
        if self._shared.log is not None and not charged.repeated:  # whoever charged it has told
            self._shared.log.charged(self.decision, charged, self._shared.clock())
        return charged

    def _bill(
        self, response: Any, model: str | None, output_text: str | Iterable[str] | None, shape: str | None
    ) -> Bill:
        """Bill the usage; a text where none is given; and the most of all that is known where it is not understood."""
        response = unwrapped(response)
        name = self.sending.answered_by(model, response)
        texts = () if output_text is None else (output_text,) if isinstance(output_text, str) else tuple(output_text)
        if response is None and output_text is not None and self._knows_tokens:
            return bill_estimated(self.decision, [self._estimated(name, texts), *self._failed_attempts])
        reported, problem = read_reported(response, shape)
        if reported is not None:
            if self.sending.ignores_names:
                reported = reported._replace(answered=None)
            problem = doubtful(reported, response, texts, self.decision.plan.tokenizer.count)
        known = None if reported is None else bill_reported(self.decision, name, reported, self._failed_attempts)
        if known is not None and not problem:
            return known
        if not problem:
            unknown = "the hold does not record how long the prompt was"
            problem = "no usage was reported" if output_text is None else unknown
        bill = self._assumed(name, problem)
        if texts:
            bill = at_least(bill, bill_estimated(self.decision, [self._estimated(name, texts), *self._failed_attempts]))
        return bill if known is None else at_least(bill, known)

    @property
    def _knows_tokens(self) -> bool:
        """Whether it is known how long the prompt was: a hold of an earlier version may not record it."""
        return not isinstance(self.decision, Recalled) or self.decision.knows_tokens

    def _assumed(self, model: str, problem: str) -> Bill:
        _LOG.warning("call `%s` is charged the most that it may have cost: %s", self._reserved.hold, problem)
        return bill_assumed(self.decision, model, problem, self._failed_attempts)

    def _estimated(self, model: str, texts: Iterable[str]) -> Portion:
        written = sum(map(self.decision.plan.tokenizer.count, texts))
        return Portion(model, Usage(input=self.sending.estimate.prompt_tokens, output=written), is_reported=False)


def _was_refused(error: BaseException) -> bool:
    """Whether the provider refused the request (4xx) instead of working on it. A timeout of the request is none."""
    status = getattr(error, "status_code", None)
    return isinstance(status, int) and 400 <= status < 500 and status != 408
