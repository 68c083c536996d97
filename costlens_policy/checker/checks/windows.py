"""CL405: an empty window."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.documents.budget import FirstUseWindow, FixedWindow, RollingWindow

__all__ = ["check_windows"]

_FOUND: Final = Finding("CL405")


def check_windows(subject: Subject) -> Iterator[Diagnostic]:
    """Report windows of no length and fixed ones that end before they start; warn about those that are over."""
    for policy in subject.bundle.policies:
        for index, budget in enumerate(policy.document.budgets):
            place = Place(policy, ("budgets", index, "window"))
            match budget.window:
                case RollingWindow(rolling=length):
                    yield from _long(budget.id, length, place.at("rolling"))
                case FirstUseWindow(from_first_use=length):
                    yield from _long(budget.id, length, place.at("from_first_use"))
                case FixedWindow():
                    yield from _fixed(subject, budget.id, budget.window, place)


def _long(name: str, length: str, place: Place) -> Iterator[Diagnostic]:
    if not re.search("[1-9]", length):
        message = f"the window of `{name}` has no length"
        yield _FOUND.error(message, place.span, "zero length", "write a duration such as `24h`")


def _fixed(subject: Subject, name: str, window: FixedWindow, place: Place) -> Iterator[Diagnostic]:
    end = place.at("ends_at").span
    start = Related(place.at("starts_at").span, "it starts here")
    if window.ends_at <= window.starts_at:
        same = window.ends_at == window.starts_at
        label = "when it starts" if same else "before it starts"
        yield _FOUND.error(f"the window of `{name}` ends {label}", end, label, "put the later timestamp here", [start])
    elif window.ends_at.date() < subject.day:
        message = f"the window of `{name}` ended on {window.ends_at.date()}"
        yield _FOUND.warning(message, end, "in the past", "the budget no longer limits anything; remove or renew it")
