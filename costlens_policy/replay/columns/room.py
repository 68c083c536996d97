"""What is sure of many calls before any of them is charged: that each has room on its budgets, or that none has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Final

from costlens_policy.frozen import frozen
from costlens_policy.replay.columns.accounts import Account, Line
from costlens_policy.replay.columns.deciding import Choice, Facts

__all__ = ["EVERY", "Kind", "Span", "most_of"]

EVERY: Final = ""
"""No budget is full: every call has room."""


@frozen
class Span:
    """What accounts may have used at any time from ``first`` to ``last``, in units: ``least`` to ``most``."""

    first: int
    last: int
    least: Mapping[Account, int]
    most: Mapping[Account, int]

    @classmethod
    def of(cls, accounts: Iterable[Account], first: int, last: int) -> Span:
        """Return the span in which nothing is charged; what rolling windows forget is forgotten."""
        used = {account: account.at(first) for account in accounts}
        return cls(first, last, {account: account.least_by(last) for account in used}, used)

    def reaching(self, most: Mapping[Account, int]) -> Span:
        """Return the same span, in which calls are charged by which accounts come to so much at most."""
        return Span(self.first, self.last, self.least, {**self.most, **most})

    @property
    def ends(self) -> int:
        """When the first of the periods ends that are in force; ``first`` where one has not begun."""
        return min((account.stays_until(self.first) for account in self.most), default=self.last + 1)


@frozen
class Kind:
    """Calls with the same facts and lines, whose prompts have ``shortest`` to ``longest`` tokens."""

    facts: Facts
    lines: tuple[Line, ...]
    shortest: int
    longest: int

    def full(self, span: Span) -> str | None:
        """Return the first budget that has no room for any of them; ``EVERY`` where all have room on all budgets.

        None where that differs between them or with what is spent by then, and where a threshold has something to do.
        """
        if any(self._acts(line, span) for line in self.lines):
            return None
        first, *others = self.facts.choices
        for line in self.lines:
            if self._is_full(first, line, span):
                return self._denied(line.budget, others, span)
            if span.most[line.account] + _worst(first, line, self.longest) > line.limit:
                return None
        return None if any(self._alerts(line, span) for line in self.lines) else EVERY

    def _denied(self, budget: str, others: Iterable[Choice], span: Span) -> str | None:
        """Return the budget that has no room for the first model, where others have none either."""
        if self.facts.way_out:
            return None
        full = all(any(self._is_full(choice, line, span) for line in self.lines) for choice in others)
        return budget if full else None

    def _is_full(self, choice: Choice, line: Line, span: Span) -> bool:
        """Return whether a budget has no room for any of the calls on a model, whatever else is charged."""
        if line.unit == "usd" and choice.per_token is None:
            return False
        return span.least[line.account] + _worst(choice, line, self.shortest) > line.limit

    def _acts(self, line: Line, span: Span) -> bool:
        most = most_of(self.facts, line, self.longest)
        return most == inf or span.most[line.account] + most >= line.acts_from

    def _alerts(self, line: Line, span: Span) -> bool:
        """Return whether an alert of the budget may be the first of its period."""
        reached = span.most[line.account] + _worst(self.facts.choices[0], line, self.longest)
        return reached >= line.alerts_from and any(
            reached >= start and not line.account.has_alerted(alert.threshold, span.last)
            for start, alert in line.alerts
        )


def most_of(facts: Facts, line: Line, prompt: int) -> float:
    """Return the most that a call may add, whichever model serves it; infinite where that is not known."""
    return max(_worst(choice, line, prompt) for choice in facts.choices)


def _worst(choice: Choice, line: Line, prompt: int) -> float:
    if line.unit == "requests":
        return 1
    if line.unit != "usd":
        return choice.tokens(line.place, prompt)
    return inf if choice.per_token is None else choice.fixed + choice.per_token * prompt
