"""What all calls of one guard share. It is made first, and handed down to whatever decides, holds and charges.

Where policies are replaced while a guard is at work, there is one such object for each version of them. A call keeps
the one that it was decided with until it is settled, so that it is charged as it was held.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol, TypeAlias
from weakref import WeakSet

from costlens_policy.clock import system_now
from costlens_policy.compiler.plan import Plan
from costlens_policy.frozen import frozen
from costlens_policy.guard.accounts import Accounts
from costlens_policy.guard.alerts import Alerts
from costlens_policy.guard.delivery import Delivery
from costlens_policy.guard.dialects import DIALECTS, unknown_dialect
from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.events import LoggingSink, Sink
from costlens_policy.guard.hold_facts import Recorded
from costlens_policy.guard.journal import Allowance
from costlens_policy.guard.link import Link
from costlens_policy.guard.measuring import Measuring
from costlens_policy.guard.run_records import BegunRuns, EndedRuns
from costlens_policy.ledger import MemoryStore, Store, open_ledger
from costlens_policy.ledger.account import MAX_LEASE
from costlens_policy.observers import Observers
from costlens_policy.usage.warm import WarmPrompts

__all__ = ["NamedModels", "OnException", "Options", "Shared", "checked_lease"]

OnException: TypeAlias = Literal["release", "charge_hold"]
NamedModels: TypeAlias = Literal["compare", "ignore"]

_MAX_AGE: Final = 1.0
"""Seconds for which a balance of a store with a round trip is good enough to look at."""


@frozen
class Options:
    """How a guard behaves; ``Guard`` says what each of them means."""

    lease: timedelta = timedelta(minutes=10)
    on_exception: OnException = "release"
    dialect: str = "openai-chat"
    alert_sinks: Sequence[Sink] | None = None
    clock: Callable[[], datetime] = system_now
    timer: Callable[[], float] = time.monotonic
    max_age: float | None = None
    retry_delay: float = 1.0
    named_models: NamedModels = "compare"
    longest_wait: timedelta | None = None

    def __post_init__(self) -> None:
        checked_lease(self.lease)
        for name in ("clock", "timer"):
            if not callable(function := getattr(self, name)):
                raise GuardError(f"`{name}` must be a function, got `{function!r}`")
        if self.max_age is not None and not self.max_age >= 0:
            raise GuardError(f"`max_age` must be a non-negative number of seconds, got `{self.max_age}`")
        if not self.retry_delay > 0:
            raise GuardError(f"`retry_delay` must be a positive number of seconds, got `{self.retry_delay}`")
        if self.on_exception not in ("release", "charge_hold"):
            raise GuardError(f"`on_exception` must be `release` or `charge_hold`, got `{self.on_exception}`")
        if self.longest_wait is not None and not self.longest_wait >= timedelta(0):
            raise GuardError(f"`longest_wait` must not be negative, got `{self.longest_wait}`")
        if self.named_models not in ("compare", "ignore"):
            raise GuardError(f"`named_models` must be `compare` or `ignore`, got `{self.named_models}`")
        if self.dialect not in DIALECTS:
            raise unknown_dialect(self.dialect)
        _check_sinks(self.alert_sinks)


def checked_lease(lease: timedelta) -> timedelta:
    """Return a lease that a ledger can keep. Raises ``GuardError``."""
    if not isinstance(lease, timedelta):
        raise GuardError(f"a lease must be a `timedelta`, such as `timedelta(minutes=10)`, got `{lease!r}`")
    if not timedelta(0) < lease <= MAX_LEASE:
        raise GuardError(f"a lease must be positive and at most {MAX_LEASE.days} days, got `{lease}`")
    return lease


def _check_sinks(sinks: Any) -> None:
    if sinks is None:
        return
    if callable(sinks) or not isinstance(sinks, Iterable):
        raise GuardError("`alert_sinks` must be a list of functions, even if there is only one")
    for sink in sinks:
        if not callable(sink):
            raise GuardError(f"an alert sink must be a function that takes an event, got `{sink!r}`")


class _Leaving(Protocol):
    """A call whose streams are charged when the guard is closed."""

    @property
    def id(self) -> str: ...

    def leave(self, error: BaseException | None) -> None: ...


@frozen(eq=False)
class Shared:
    """The plan, the way to its ledger, what is known of it, and who is notified. Every part is safe for threads.

    ``max_age`` is how many seconds old a balance may be that a decision only looks at. ``streaming`` are the calls that
    have streams, which may be under way when the guard is closed. ``begun`` are the runs that budgets count, ``ended``
    those that are over, ``measuring`` keeps up with what calls come to. ``log`` is told of decisions and charges.
    ``warm`` is what this process knows of prompt caches.
    """

    plan: Plan
    options: Options
    clock: Callable[[], datetime]
    timer: Callable[[], float]
    max_age: float
    in_memory: bool
    accounts: Accounts
    recorded: Recorded
    link: Link
    delivery: Delivery
    alerts: Alerts
    allowance: Allowance | None
    begun: BegunRuns
    ended: EndedRuns
    measuring: Measuring
    streaming: WeakSet[_Leaving]
    log: Observers | None
    warm: WarmPrompts

    @classmethod
    def make(cls, plan: Plan, ledger: str | Store, options: Options, log: Observers | None) -> Shared:
        """Put the parts together; the ledger is opened when it is first asked."""
        in_memory = isinstance(ledger, MemoryStore) or ledger == "memory:"
        link = Link(_opener(ledger), options.timer)
        sinks = (LoggingSink(),) if options.alert_sinks is None else tuple(options.alert_sinks)
        delivery = Delivery(link, sinks, options.clock, first_delay=options.retry_delay)
        alerts = Alerts(plan, link, delivery, options.clock)
        limit = plan.defaults.allowance_usd
        allowance = None if limit is None else Allowance(limit)
        _listen(link, alerts, delivery, allowance)
        usual_age = 0.0 if in_memory else _MAX_AGE
        return cls(
            plan=plan,
            options=options,
            clock=options.clock,
            timer=options.timer,
            max_age=usual_age if options.max_age is None else options.max_age,
            in_memory=in_memory,
            accounts=Accounts(plan),
            recorded=Recorded(plan),
            link=link,
            delivery=delivery,
            alerts=alerts,
            allowance=allowance,
            begun=BegunRuns(),
            ended=EndedRuns(),
            measuring=Measuring(plan, link, options.timer),
            streaming=WeakSet(),
            log=log,
            warm=WarmPrompts(),
        )

    def with_plan(self, plan: Plan) -> Shared:
        """Return the same for another version of the policies: all that goes by the plan is made anew.

        What this process knows of balances is taken over by budgets whose accounts are the same, and so is what is
        taken of the allowance.
        """
        alerts = Alerts(plan, self.link, self.delivery, self.clock)
        limit = plan.defaults.allowance_usd
        allowance = None if limit is None else Allowance(limit, before=self.allowance)
        _listen(self.link, alerts, self.delivery, allowance)
        return replace(
            self,
            plan=plan,
            accounts=Accounts(plan, before=self.accounts),
            recorded=Recorded(plan),
            alerts=alerts,
            allowance=allowance,
            measuring=Measuring(plan, self.link, self.timer, before=self.measuring),
        )


def _opener(ledger: str | Store) -> Callable[[], Store]:
    if not isinstance(ledger, str) and not hasattr(ledger, "reserve"):
        raise GuardError(f"`ledger` must be a URL such as `sqlite:///spend.db`, or an open store, got `{ledger!r}`")
    return (lambda: open_ledger(ledger)) if isinstance(ledger, str) else (lambda: ledger)


def _listen(link: Link, alerts: Alerts, delivery: Delivery, allowance: Allowance | None) -> None:
    """Report when the ledger is lost and back; the allowance starts anew once the ledger has all charges."""

    def changed(fault: str, written: int) -> None:
        if not fault and allowance is not None:
            allowance.renew()
        alerts.ledger_changed(fault, written)
        if fault:
            delivery.look_soon()

    link.on_change = changed
    link.on_written = (lambda: None) if allowance is None else allowance.renew
