"""CL404: a calendar window in a time zone that does not exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from zoneinfo import available_timezones

from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.diagnostics.suggestion import nearest
from costlens_policy.documents.budget import CalendarWindow

__all__ = ["check_time_zones"]

_FOUND: Final = Finding("CL404")


def check_time_zones(subject: Subject) -> Iterator[Diagnostic]:
    """Report zones that the IANA database does not list."""
    known: set[str] = set()
    for policy in subject.bundle.policies:
        for index, budget in enumerate(policy.document.budgets):
            window = budget.window
            if not isinstance(window, CalendarWindow) or window.zone == "UTC":
                continue
            known = known or available_timezones()
            if window.zone not in known:
                place = Place(policy, ("budgets", index, "window", "zone"))
                message = f"unknown time zone `{window.zone}`"
                yield _FOUND.error(message, place.span, "not in the IANA database", _advice(window.zone, known))


def _advice(zone: str, known: set[str]) -> str:
    by_city: dict[str, str] = {}
    for name in sorted(
        known, key=lambda name: (not name.startswith(("Africa/", "America/", "Asia/", "Europe/")), name)
    ):
        by_city.setdefault(name.rpartition("/")[2], name)
    city = nearest(zone.rpartition("/")[2].replace(" ", "_"), by_city)
    near = nearest(zone, known) or (by_city[city] if city else None)
    return f"did you mean `{near}`?" if near else "write a zone such as `Europe/Berlin`, or `UTC`"
