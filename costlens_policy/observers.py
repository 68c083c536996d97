"""Who is told of decisions and charges: decision logs, telemetry, a version in shadow."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol

from costlens_policy.catalogue.rates import Usage
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decision import Decision

__all__ = ["ChargedCall", "Observer", "Observers", "observers_of", "together"]

_LOG: Final = logging.getLogger("costlens_policy")


class ChargedCall(Protocol):
    """The charge of a call, as ``guard.Charged`` has it."""

    @property
    def call(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def basis(self) -> str: ...
    @property
    def cost(self) -> Decimal | None: ...
    @property
    def usage(self) -> Usage | None: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


class Observer(Protocol):
    """Is called for each decision and charge, in the thread that decides, so that it must not wait for anything.

    ``id`` is that of the call, or one of the decision alone. ``held``: the decision is that of a guarded call that may
    proceed, whose charge follows, or its release. ``at`` is when that was. What is raised is logged, and stops nothing.
    An observer without ``released`` is not told of calls that are given back. One with ``check(plan)`` is asked once,
    when an engine or a guard gets it, whether it fits the policies, and raises where it does not.
    """

    def decided(self, decision: Decision, id: str, held: bool) -> None: ...

    def charged(self, decision: Decision, charge: ChargedCall, at: datetime) -> None: ...


class Observers:
    """Several observers, told one after the other."""

    __slots__ = ("all",)

    def __init__(self, all: Iterable[Observer]) -> None:
        self.all: Final = tuple(all)

    def decided(self, decision: Decision, id: str = "", held: bool = False) -> None:
        """Tell all of a decision; one that is of no call gets an id."""
        id = id or os.urandom(8).hex()
        for observer in self.all:
            try:
                observer.decided(decision, id, held)
            except Exception:
                _LOG.exception("an observer of decisions failed")

    def charged(self, decision: Decision, charge: ChargedCall, at: datetime) -> None:
        """Tell all of a charge."""
        for observer in self.all:
            try:
                observer.charged(decision, charge, at)
            except Exception:
                _LOG.exception("an observer of charges failed")

    def released(self, decision: Decision, id: str, at: datetime) -> None:
        """Tell those who want to know of a call that was given back."""
        for observer in self.all:
            try:
                released = getattr(observer, "released", None)
                if released is not None:
                    released(decision, id, at)
            except Exception:
                _LOG.exception("an observer of releases failed")


def together(*several: Observers | None) -> Observers | None:
    """Return all observers of several groups, each once; None for none."""
    told = {id(observer): observer for group in several if group is not None for observer in group.all}
    return Observers(told.values()) if told else None


def observers_of(given: Observer | Sequence[Observer] | None, plan: Plan) -> Observers | None:
    """Return the observers that were given, one or several; None for none. Raises ``TypeError`` for anything else.

    Raises as well what an observer raises that does not fit the policies.
    """
    if given is None:
        return None
    several: Sequence[Any] = given if isinstance(given, Sequence) else (given,)
    for item in several:
        if not callable(getattr(item, "decided", None)) or not callable(getattr(item, "charged", None)):
            raise TypeError(
                f"`log` must have the methods `decided` and `charged`, such as a `DecisionLog`, got `{item!r}`"
            )
        check = getattr(item, "check", None)
        if callable(check):
            check(plan)
    return Observers(several) if several else None
