"""Writing what a call cost into the ledger, or into the journal while the ledger cannot be reached."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import repeat
from typing import Final, NamedTuple, get_args

from costlens_policy.catalogue import Usage
from costlens_policy.guard.accounts import Known, Place, ToHold, shown_amount
from costlens_policy.guard.alerts import Standing
from costlens_policy.guard.charging import Basis, Bill
from costlens_policy.guard.reserving import Asked, Reserved
from costlens_policy.guard.shared import Shared
from costlens_policy.ledger import Account, Charge, ChargedLine, LedgerUnavailableError, Settled, Settlement
from costlens_policy.ledger.amounts import amount_of
from costlens_policy.ledger.calls import Facts
from costlens_policy.money import ZERO

__all__ = ["Charged", "ChargedBudget", "charge_call", "first_charge", "release_call"]


class ChargedBudget(NamedTuple):
    """What a call was charged on one budget and scope key, in its unit.

    ``held`` is what had been held for the call there.
    """

    budget: str
    key: str
    unit: str
    amount: Decimal
    held: Decimal

    @property
    def overdraft(self) -> Decimal:
        """How much more it became than had been held."""
        return max(self.amount - self.held, Decimal(0))


class Charged(NamedTuple):
    """The charge of a call. ``cost`` is in US dollars, None where its model has no price.

    ``basis`` says where the amounts come from. ``late``: the hold had ended before. ``repeated``: the call was settled
    before, and all of this describes that first charge, as far as the ledger keeps it. ``recorded``: the ledger has the
    charge; if not, it waits in memory until the ledger can be reached. ``notes`` say what could not be read or priced.
    """

    call: str
    model: str
    basis: Basis
    cost: Decimal | None
    usage: Usage | None
    lines: tuple[ChargedLine, ...]
    """What it was charged in the ledger's units."""
    late: bool = False
    repeated: bool = False
    recorded: bool = True
    notes: tuple[str, ...] = ()

    @property
    def budgets(self) -> tuple[ChargedBudget, ...]:
        """What it was charged on each budget that it counts against."""
        return tuple(_budget(line) for line in self.lines if not line.account.is_beside)


def _budget(line: ChargedLine) -> ChargedBudget:
    account, unit = line.account, line.account.unit
    amount, held = shown_amount(line.amount, unit), shown_amount(line.was_held, unit)
    return ChargedBudget(account.budget, account.key, unit, amount, held)


_LOG: Final = logging.getLogger("costlens_policy.guard")


def charge_call(shared: Shared, asked: Asked, reserved: Reserved, bill: Bill) -> Charged:
    """Charge a bill on every budget that it names, in the ledger or, while it cannot be reached, in the journal."""
    charges = _charges(shared, reserved, bill)
    if not charges and (reserved.local or not reserved.asked):  # no ledger has to know
        release_call(shared, asked, reserved)
        return _not_settled(asked, bill, (), recorded=True)
    try:
        settled = shared.link.settle(Settlement(reserved.hold, charges, shared.clock(), bill.facts))
    except LedgerUnavailableError as fault:
        _LOG.warning("the charge of call `%s` waits for the ledger: %s", reserved.hold, fault)
        _count_alone(shared, asked, reserved, bill, charges)
        lines = tuple(ChargedLine(item.account, item.amount, 0, 0, 0) for item in charges)
        return _not_settled(asked, bill, lines, recorded=False)
    if reserved.local and shared.allowance is not None:
        shared.allowance.give_back(asked.id)
    if settled.repeated:  # its balances are those of that time
        return first_charge(asked.id, _facts_kept(shared, reserved.hold), settled)
    _take_over(shared, reserved.held, settled.lines)
    model, basis, usage, cost, _, _, notes = bill
    return Charged(asked.id, model, basis, cost, usage, settled.lines, settled.late, notes=notes)


def first_charge(id: str, facts: Facts, settled: Settled) -> Charged:
    """Return the charge of a call that was settled before, as the ledger keeps it.

    Where it keeps the amounts alone, nothing else is said.
    """
    basis, cost, problem = facts.get("basis"), facts.get("cost_usd"), facts.get("problem")
    if basis is None or basis not in get_args(Basis):
        gone = "the ledger keeps no more of this charge than its amounts"
        model = str(facts.get("model") or "")
        return Charged(id, model, "assumed", None, None, settled.lines, settled.late, repeated=True, notes=(gone,))
    return Charged(
        id,
        str(facts.get("model") or ""),
        basis,
        None if cost is None else Decimal(cost),
        None if basis == "assumed" else _usage_kept(facts),
        settled.lines,
        settled.late,
        repeated=True,
        notes=(problem,) if isinstance(problem, str) else (),
    )


def _usage_kept(facts: Facts) -> Usage | None:
    kept = facts.get("usage")
    try:
        return Usage(**kept) if isinstance(kept, Mapping) else None
    except TypeError:  # written by another version
        return None


def _facts_kept(shared: Shared, hold: str) -> Facts:
    """Return the facts of a call, none where they cannot be read now."""
    try:
        found = shared.link.ask(lambda store: store.reservation(hold, shared.clock()))
    except LedgerUnavailableError:
        return {}
    return {} if found is None else found.facts


def release_call(shared: Shared, asked: Asked, reserved: Reserved) -> bool:
    """Give back what is held; return whether it is, or will be: a call that another process settled stays charged."""
    _forget_hold(shared, asked, reserved)
    if not reserved.asked:
        return True
    if reserved.local:
        shared.link.release_later(reserved.hold, shared.clock())
        return True
    try:
        return shared.link.release(reserved.hold, shared.clock()).state != "settled"
    except LedgerUnavailableError as fault:
        _LOG.warning("call `%s` stays held until the ledger answers: %s", reserved.hold, fault)
        return True


def _charges(shared: Shared, reserved: Reserved, bill: Bill) -> tuple[Charge, ...]:
    """Return the charges, in the order of what is held as far as that goes."""
    charges, amounts = [], bill.amounts
    value, value_unit, charged = ZERO, "", 0  # most budgets of a call have the very same value, which is converted once
    for line in reserved.held.lines:
        account = line.account
        amount, unit = amounts.get((account.budget, account.key)), account.unit
        if amount is None:
            continue
        if amount is not value or unit != value_unit:
            value, value_unit, charged = amount, unit, amount_of(amount, unit)
        charges.append(Charge(account, charged))
    if len(charges) < len(amounts):
        charges += _not_held(shared, reserved, amounts)
    if shared.accounts.measuring:
        charges += _recent(shared, charges, reserved.decision.now)
    return tuple(charges)


def _recent(shared: Shared, charges: Sequence[Charge], now: datetime) -> list[Charge]:
    """Return the same charges once more, on the accounts of what was charged lately."""
    found = []
    for charge in charges:
        for place in shared.accounts.recent_places(charge.account.budget, charge.account.key):
            known = shared.accounts.known(place, now)
            if known is not None:
                found.append(Charge(known.account, charge.amount))
    return found


def _not_held(shared: Shared, reserved: Reserved, amounts: Mapping[Place, Decimal]) -> Iterator[Charge]:
    """Yield what is charged on budgets of which nothing is held."""
    held = {(line.account.budget, line.account.key) for line in reserved.held.lines}
    for place, amount in amounts.items():
        known = None if place in held else shared.accounts.known(place, reserved.decision.now)
        if known is not None:
            yield Charge(known.account, amount_of(amount, known.account.unit))


def _forget_hold(shared: Shared, asked: Asked, reserved: Reserved) -> None:
    """Free what this process itself counts for the call."""
    if reserved.local and shared.allowance is not None:
        shared.allowance.give_back(asked.id)
    if reserved.counts:
        shared.accounts.hold(reserved.held, back=True)


def _count_alone(shared: Shared, asked: Asked, reserved: Reserved, bill: Bill, charges: Iterable[Charge]) -> None:
    _forget_hold(shared, asked, reserved)
    shared.accounts.add(charges)
    if reserved.local and shared.allowance is not None:
        shared.allowance.spend(asked.id, bill.cost or ZERO)


def _take_over(shared: Shared, held: ToHold, lines: tuple[ChargedLine, ...]) -> None:
    """Take over the balances that a settlement reports, and raise the alerts that are due with them."""
    known: Iterable[Known | None] = repeat(None)
    limits: Iterable[Decimal | None]
    if [line.account for line in lines] == [line.account for line in held.lines]:  # as nearly always
        known, limits = held.known or known, [seen.limit for seen in held.seen]
    else:
        found = {line.account.name: seen.limit for line, seen in zip(held.lines, held.seen, strict=True)}
        limits = [found.get(line.account.name) for line in lines]
    shared.accounts.put_charged(known, lines, shared.timer())
    if shared.alerts:
        for (account, _, _, used, held_now), limit in zip(lines, limits, strict=True):
            if limit is not None and shared.alerts.may_be_due(account, used + held_now, limit):
                unit = account.unit
                account = _begun(shared, account)
                recent = shared.accounts.recent(account.budget, account.key, shared.clock())
                standing = Standing(
                    account, shown_amount(used, unit), shown_amount(held_now, unit), limit, ZERO, recent
                )
                shared.alerts.reached(standing)


def _begun(shared: Shared, account: Account) -> Account:
    """Return an account with the window from first use that is in force; not every settlement reports when it began."""
    if account.period.first_use is None or account.period.starts_at is not None:
        return account
    return shared.accounts.account(account.budget, account.key, shared.clock()) or account


def _not_settled(asked: Asked, bill: Bill, lines: tuple[ChargedLine, ...], *, recorded: bool) -> Charged:
    return Charged(asked.id, bill.model, bill.basis, bill.cost, bill.usage, lines, recorded=recorded, notes=bill.notes)
