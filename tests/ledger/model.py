"""The ledger as plainly as it can be said, to compare the stores with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from costlens_policy.ledger import Account, Hold, Settlement
from costlens_policy.ledger.account import lease_end
from costlens_policy.ledger.amounts import SECOND, instant_of, micros

__all__ = ["Call", "Model"]


@dataclass
class Call:
    """A call, and the holds of it that its accounts still count."""

    amounts: dict[Account, int]
    ends_at: datetime
    state: str = "held"


@dataclass
class Model:
    """Accounts for ever, that is without periods."""

    used: dict[Account, int] = field(default_factory=dict)
    holds: dict[Account, dict[str, tuple[int, datetime]]] = field(default_factory=dict)
    limits: dict[Account, int] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)

    def balance(self, account: Account, now: datetime) -> tuple[int, int]:
        held = sum(amount for amount, ends_at in self.holds.get(account, {}).values() if now < ends_at)
        return self.used.get(account, 0), held

    def reserve(self, hold: Hold) -> bool:
        """Hold, and return whether there was room. The call must be new."""
        for line in hold.lines:
            self.touch(line.account, hold.now)
        for line in hold.lines:
            if line.limit is not None and sum(self.balance(line.account, hold.now)) + line.amount > line.limit:
                return False
        ends_at = self.ends_at(hold.now, hold.lease)
        for line in hold.lines:
            self.holds.setdefault(line.account, {})[hold.call] = line.amount, ends_at
        self.calls[hold.call] = Call({line.account: line.amount for line in hold.lines}, ends_at)
        return True

    def settle(self, settlement: Settlement) -> bool:
        """Charge, and return whether it was late. The call must be known, and not settled."""
        call = self.calls[settlement.call]
        late = call.state != "held" or settlement.now >= call.ends_at
        for account in call.amounts:
            self.touch(account, settlement.now)
            late = self.holds.get(account, {}).pop(settlement.call, None) is None or late
        for charge in settlement.charges:
            self.touch(charge.account, settlement.now)
            self.used[charge.account] = self.used.get(charge.account, 0) + charge.amount
        call.state = "settled"
        return late

    def release(self, id: str, now: datetime) -> None:
        call = self.calls[id]
        if call.state == "held":
            call.state = "released"
            for account in call.amounts:
                self.touch(account, now)
                self.holds.get(account, {}).pop(id, None)

    def extend(self, id: str, lease: timedelta, now: datetime) -> bool:
        """Lengthen the lease, and return whether it had not ended."""
        call = self.calls[id]
        if call.state != "held" or now >= call.ends_at:
            return False
        for account in call.amounts:
            self.touch(account, now)
        if not all(id in self.holds.get(account, {}) for account in call.amounts):
            return False
        call.ends_at = max(call.ends_at, self.ends_at(now, lease))
        for account, amount in call.amounts.items():
            self.holds[account][id] = amount, call.ends_at
        return True

    def touch(self, account: Account, now: datetime) -> None:
        """Free for good what has expired by this clock."""
        holds = self.holds.get(account, {})
        for id in [id for id, (_, ends_at) in holds.items() if now >= ends_at]:
            del holds[id]

    @staticmethod
    def ends_at(now: datetime, lease: timedelta) -> datetime:
        return instant_of(lease_end(micros(now), lease) * SECOND)
