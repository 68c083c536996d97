"""Writing what a call cost into the ledger, or into the journal while the ledger cannot be reached."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from costlens_policy.guard.alerts import Standing
from costlens_policy.guard.amounts import LedgerAmounts, shown_amount
from costlens_policy.guard.charging import Bill
from costlens_policy.guard.outcome import Charged
from costlens_policy.guard.reserving import Asked, Reserved
from costlens_policy.ledger import Charge, ChargedLine, LedgerUnavailableError, Settled, Settlement
from costlens_policy.money import ZERO, plain

if TYPE_CHECKING:  # the service opens calls, and a call goes back to it
    from costlens_policy.guard.service import Service

__all__ = ["Recorder"]

_LOG: Final = logging.getLogger("costlens_policy.guard")


class Recorder:
    """Records the end of one call: its charge, or that there is none."""

    def __init__(self, service: Service, asked: Asked, reserved: Reserved) -> None:
        self._service = service
        self._asked = asked
        self._reserved = reserved

    def charge(self, bill: Bill) -> Charged:
        """Charge a bill on every budget that it names."""
        charges = self._charges(bill)
        settlement = Settlement(self._reserved.hold, charges, self._service.now(), bill.facts)
        if not charges:  # the model in use counts on no budget, but another that the hold was for may
            self.release()
            return self._outcome(bill, ())
        try:
            settled = self._service.link.settle(settlement)
        except LedgerUnavailableError as fault:
            _LOG.warning("the charge of call `%s` waits for the ledger: %s", self._reserved.hold, fault)
            self._count_alone(bill, charges)
            lines = tuple(ChargedLine(item.account, item.amount, 0, 0, 0) for item in charges)
            return self._outcome(bill, lines, recorded=False)
        return self._settled(bill, settled)

    def release(self) -> None:
        """Give back what is held."""
        self._forget_hold()
        if not self._reserved.asked or not self._reserved.lines:
            return
        link, now = self._service.link, self._service.now()
        if self._reserved.local:
            link.release_later(self._reserved.hold, now)
            return
        try:
            link.release(self._reserved.hold, now)
        except LedgerUnavailableError as fault:
            _LOG.warning("call `%s` stays held until the ledger answers: %s", self._reserved.hold, fault)

    def _settled(self, bill: Bill, settled: Settled) -> Charged:
        allowance = self._service.allowance
        if self._reserved.local and allowance is not None:
            allowance.give_back(self._asked.id)
        self._service.seen.put_charged(settled.lines, self._service.timer())
        self._tell_reached(settled)
        return self._outcome(bill, settled.lines, late=settled.late, repeated=settled.repeated)

    def _charges(self, bill: Bill) -> tuple[Charge, ...]:
        """Return the charges, in the order of what is held as far as that goes."""
        left, units = dict(bill.amounts), LedgerAmounts()
        charges = []
        for line in self._reserved.lines:
            at = (line.seen.budget, line.seen.key)
            if at in left:
                charges.append(Charge(line.account, units.of(left.pop(at), line.seen.unit)))
        for (budget, key), amount in left.items():
            account = self._service.accounts.account(budget, key, self._reserved.decision.now)
            if account is not None:
                charges.append(Charge(account, units.of(amount, account.unit)))
        return tuple(charges)

    def _forget_hold(self) -> None:
        """Free what this process itself counts for the call."""
        allowance = self._service.allowance
        if self._reserved.local and allowance is not None:
            allowance.give_back(self._asked.id)
        self._service.seen.hold([line.ask for line in self._reserved.lines], back=True)

    def _count_alone(self, bill: Bill, charges: Iterable[Charge]) -> None:
        self._forget_hold()
        for charge in charges:
            self._service.seen.add(charge.account, used=charge.amount)
        if self._reserved.local and self._service.allowance is not None:
            self._service.allowance.spend(self._asked.id, bill.cost or ZERO)

    def _tell_reached(self, settled: Settled) -> None:
        alerts = self._service.alerts
        limits = {(line.seen.budget, line.seen.key): line.seen.limit for line in self._reserved.lines}
        for line in settled.lines:
            account = line.account
            limit = limits.get((account.budget, account.key))
            if limit is not None and alerts.may_be_due(account, line.used + line.held, limit):
                used, held = shown_amount(line.used, account.unit), shown_amount(line.held, account.unit)
                alerts.reached(Standing(account, used, held, limit, ZERO))

    def _outcome(
        self,
        bill: Bill,
        lines: tuple[ChargedLine, ...],
        *,
        late: bool = False,
        repeated: bool = False,
        recorded: bool = True,
    ) -> Charged:
        return Charged(
            call=self._asked.id,
            model=bill.model,
            basis=bill.basis,
            cost=None if bill.cost is None else Decimal(plain(bill.cost)),
            usage=bill.usage,
            lines=lines,
            late=late,
            repeated=repeated,
            recorded=recorded,
            notes=bill.notes,
        )
