"""One call under way, as both guards know it: held, then settled or released, once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from costlens_policy.catalogue import Usage
from costlens_policy.engine.decision import Call as CallOfModel
from costlens_policy.engine.decision import Decision, Estimate
from costlens_policy.guard.alerts import Standing
from costlens_policy.guard.amounts import shown_amount
from costlens_policy.guard.charging import (
    Bill,
    Portion,
    bill_assumed,
    bill_estimated,
    bill_reported,
    read_reported,
)
from costlens_policy.guard.dialects import Spoken, speak
from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.outcome import Charged, ChargedBudget
from costlens_policy.guard.reserving import Asked, Reserved
from costlens_policy.guard.streams import StreamMeter
from costlens_policy.ledger import (
    Account,
    Charge,
    ChargedLine,
    LedgerError,
    LedgerUnavailableError,
    Settled,
    Settlement,
    amount_of,
    decimal_of,
)
from costlens_policy.money import ZERO

if TYPE_CHECKING:  # the service opens calls, and a call goes back to it
    from costlens_policy.guard.service import Service

__all__ = ["HeldCall"]

_LOG: Final = logging.getLogger("costlens_policy.guard")


class HeldCall:
    """A call that was decided and whose worst case is held. Safe for threads."""

    def __init__(self, service: Service, asked: Asked, reserved: Reserved) -> None:
        self._service = service
        self._lock = RLock()
        self._released = False
        self._extras: list[Portion] = []
        self.asked: Final = asked
        self.reserved: Final = reserved
        self.decision: Final[Decision] = reserved.decision
        self.expires_at: datetime | None = reserved.expires_at
        self.charged: Charged | None = None
        assert self.decision.model is not None, "what is held was allowed"
        self.model: str = self.decision.model

    @property
    def is_open(self) -> bool:
        """Whether the call is neither settled nor released."""
        return self.charged is None and not self._released

    def use(self, model: str) -> None:
        """Move to the model or one of its fallbacks. Raises ``GuardError`` for a model that is not listed."""
        known = self.decision.plan.catalogue.find(model)
        name = model if known is None else known.name
        listed = (self.decision.model, *self.decision.fallbacks)
        if name not in listed:
            names = ", ".join(f"`{item}`" for item in listed)
            raise GuardError(f"`{model}` is not among the models that this call may use: {names}")
        self.model = name

    @property
    def content(self) -> Decision | CallOfModel:
        """The request as it is to be sent to the model in use."""
        if self.model == self.decision.model:
            return self.decision
        return next(call for call in self.decision.fallback_calls if call.model == self.model)

    def spoken(self, dialect: str | None) -> Spoken:
        content = self.content
        words = dialect or self._service.options.dialect
        return speak(words, content.prompt, content.system, content.messages, content.params)

    def add(self, usage: Any, model: str | None, shape: str | None) -> None:
        """Count usage of an attempt that failed, beside what the call is settled with."""
        reported, problem = read_reported(usage, shape)
        if reported is None:
            raise GuardError(problem or "there is no usage to add")
        self._extras.append(Portion(self._named(model, None), reported.usage))
        self._extras.extend(Portion(*item) for item in reported.other_models)

    def settle(
        self, response: Any, model: str | None, output_text: str | Iterable[str] | None, shape: str | None
    ) -> Charged:
        """Charge the call once; asked again, the first charge is returned."""
        with self._lock:
            if self.charged is None:
                self.charged = self._charge(self._bill(response, model, output_text, shape))
            return self.charged

    def settle_with_hold(self, problem: str) -> Charged:
        """Charge the most that the call may have cost."""
        with self._lock:
            if self.charged is None:
                self.charged = self._charge(bill_assumed(self.decision, self.model, problem))
            return self.charged

    def settle_stream(self, meter: StreamMeter, *, failed: bool = False) -> None:
        """Settle with what a stream has told; one that has not begun is left to the end of the block."""
        if meter.is_complete:
            self.settle(meter.usage, None, None, None)
        elif meter.started and failed and self._service.options.on_exception == "charge_hold":
            self.settle_with_hold("the stream broke off")
        elif meter.started:
            self.settle(None, None, meter.text, None)

    def leave(self, error: BaseException | None) -> None:
        """End the block of the call: what is not settled is given back, unless a failure counts as charged."""
        if not self.is_open:
            return
        if error is None or self._service.options.on_exception == "release" or _was_refused(error):
            self.release()
        else:
            self.settle_with_hold(f"the call failed: {type(error).__name__}")

    def release(self) -> None:
        """Give back what is held, unless the call is settled."""
        with self._lock:
            if not self.is_open:
                return
            self._released = True
            self._give_back()
            if self.reserved.local or not self.reserved.lines:
                return
            now = self._service.now()
            try:
                self._service.link.ask(lambda store: store.release(self.reserved.hold, now))
            except LedgerUnavailableError as fault:
                _LOG.warning("call `%s` stays held until its lease ends: %s", self.reserved.hold, fault)

    def extend(self, lease: timedelta | None) -> datetime | None:
        """Let the lease begin anew; return its end.

        A hold that has ended stays ended; its charge counts all the same.
        """
        if self.expires_at is None:
            return None
        length, now = lease or self.asked.lease, self._service.now()
        extended = self._service.link.ask(lambda store: store.extend(self.reserved.hold, length, now))
        self.expires_at = extended.expires_at
        return self.expires_at

    @property
    def is_half_over(self) -> bool:
        """Whether more than half of the lease has passed."""
        return self.expires_at is not None and self.expires_at - self._service.now() <= self.asked.lease / 2

    def extend_in_time(self) -> None:
        """Let the lease begin anew when half of it has passed; a ledger that cannot be reached is left alone."""
        if not self.is_half_over:
            return
        try:
            self.extend(None)
        except LedgerError as error:
            _LOG.warning("the lease of call `%s` was not extended: %s", self.reserved.hold, error)
            self.expires_at = None

    def _bill(
        self, response: Any, model: str | None, output_text: str | Iterable[str] | None, shape: str | None
    ) -> Bill:
        name = self._named(model, response)
        if output_text is not None:
            return bill_estimated(self.decision, [self._estimated(name, output_text), *self._extras])
        reported, problem = read_reported(response, shape)
        if reported is not None:
            return bill_reported(self.decision, name, reported, self._extras)
        problem = problem or "no usage was reported"
        _LOG.warning("call `%s` is charged what was held for it: %s", self.reserved.hold, problem)
        return bill_assumed(self.decision, name, problem)

    def _named(self, model: str | None, response: Any) -> str:
        """Return the model that answered: the one named, a listed one that the response names, or the one in use."""
        said = model
        if said is None:
            answered = response.get("model") if isinstance(response, Mapping) else getattr(response, "model", None)
            said = answered if isinstance(answered, str) else self.model
        known = self.decision.plan.catalogue.find(said)
        name = said if known is None else known.name
        if model is None and name not in (self.decision.model, *self.decision.fallbacks):
            return self.model  # a provider's own spelling of what was asked for
        return name

    def _estimated(self, model: str, output_text: str | Iterable[str]) -> Portion:
        texts = (output_text,) if isinstance(output_text, str) else output_text
        written = sum(map(self.decision.plan.tokenizer.count, texts))
        return Portion(model, Usage(input=self._estimate.prompt_tokens, output=written))

    @property
    def _estimate(self) -> Estimate:
        estimate = self.content.estimate
        assert estimate is not None, "what is held was allowed"
        return estimate

    def _charge(self, bill: Bill) -> Charged:
        charges = self._charges(bill)
        settlement = Settlement(self.reserved.hold, charges, self._service.now(), bill.facts)
        if not charges:
            self._give_back()
            return self._outcome(bill, None, recorded=True)
        try:
            settled = self._service.link.ask(lambda store: store.charge(settlement))
        except LedgerUnavailableError as fault:
            self._service.link.settle_later(settlement)
            _LOG.warning("the charge of call `%s` waits for the ledger: %s", self.reserved.hold, fault)
            self._give_back()
            self._spend_locally(bill, charges)
            return self._outcome(bill, None, recorded=False)
        self._give_back(told=True)
        self._service.seen.put_charged(settled.lines, self._service.timer())
        self._tell_reached(settled)
        return self._outcome(bill, settled, recorded=True)

    def _charges(self, bill: Bill) -> tuple[Charge, ...]:
        """Return the charges, in the order of what is held as far as that goes."""
        left = dict(bill.amounts)
        charges = []
        for line in self.reserved.lines:
            at = (line.seen.budget, line.seen.key)
            if at in left:
                charges.append(Charge(line.account, amount_of(left.pop(at), line.seen.unit)))
        for (budget, key), amount in left.items():
            account = self._service.accounts.account(budget, key, self.decision.now)
            if account is not None:
                charges.append(Charge(account, amount_of(amount, account.unit)))
        return tuple(charges)

    def _give_back(self, *, told: bool = False) -> None:
        """Free what this process counts for the call itself; ``told``: the ledger has told the new balances."""
        if self.reserved.local and self._service.allowance is not None:
            self._service.allowance.give_back(self.asked.id)
        if not told:
            for line in self.reserved.lines:
                self._service.seen.add(line.account, held=-line.ask.amount)

    def _spend_locally(self, bill: Bill, charges: Iterable[Charge]) -> None:
        for charge in charges:
            self._service.seen.add(charge.account, used=charge.amount)
        if self._service.allowance is not None and self.reserved.local:
            self._service.allowance.spend(self.asked.id, bill.cost or ZERO)

    def _tell_reached(self, settled: Settled) -> None:
        limits = {(line.seen.budget, line.seen.key): line.seen.limit for line in self.reserved.lines}
        for line in settled.lines:
            account = line.account
            limit = limits.get((account.budget, account.key))
            if limit is not None:
                used, held = decimal_of(line.used, account.unit), decimal_of(line.held, account.unit)
                self._service.alerts.reached(Standing(account, used, held, limit, ZERO))

    def _outcome(self, bill: Bill, settled: Settled | None, *, recorded: bool) -> Charged:
        budgets = (
            [_planned(charge.account, charge.amount, 0) for charge in self._charges(bill)]
            if settled is None
            else [_charged(line) for line in settled.lines]
        )
        return Charged(
            call=self.asked.id,
            model=bill.model,
            basis=bill.basis,
            cost=bill.cost,
            usage=bill.usage,
            budgets=tuple(budgets),
            late=settled is not None and settled.late,
            repeated=settled is not None and settled.repeated,
            recorded=recorded,
            notes=bill.notes,
        )


def _was_refused(error: BaseException) -> bool:
    """Whether the provider refused the request (4xx) instead of working on it. A timeout of the request is none."""
    status = getattr(error, "status_code", None)
    return isinstance(status, int) and 400 <= status < 500 and status != 408


def _charged(line: ChargedLine) -> ChargedBudget:
    return _planned(line.account, line.amount, line.was_held)


def _planned(account: Account, amount: int, held: int) -> ChargedBudget:
    unit = account.unit
    return ChargedBudget(account.budget, account.key, unit, shown_amount(amount, unit), shown_amount(held, unit))
