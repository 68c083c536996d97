"""CL482: a quality that was measured too long ago, or on a day that has not come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from costlens_policy.checker.checks.quality import leanings, some_of
from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents.catalogue import MeasuredQuality, Quality

__all__ = ["check_old_measurements"]

_FOUND: Final = Finding("CL482")


def check_old_measurements(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of rules by old measurements; report those of the future as mistakes."""
    yield from _of_the_future(subject)
    days = subject.bundle.policy_set.document.evidence.max_age_days
    first = subject.day - timedelta(days=days)
    for leaning in leanings(subject):
        old = [
            f"`{model.name}` was measured for `{task}` on {known.measured}"
            for model, task in leaning.measured
            if (known := model.evidence.get(task)) is not None and known.measured is not None and known.measured < first
        ]
        if old:
            yield _FOUND.warning(
                f"`{leaning.key}` leans on old measurements: {some_of(old)}",
                leaning.place.span,
                f"more than {days} days ago",
                "measure again, or set `evidence.max_age_days` of the policy set",
            )


def _of_the_future(subject: Subject) -> Iterator[Diagnostic]:
    for catalogue in subject.bundle.catalogues:
        for index, section in enumerate(catalogue.document.imports):
            place = Place(catalogue, ("imports", index, "facts", "quality"))
            yield from _not_yet(subject, section.facts.quality or {}, place)
        for name, model in catalogue.document.models.items():
            yield from _not_yet(subject, model.quality or {}, Place(catalogue, ("models", name, "quality")))


def _not_yet(subject: Subject, quality: Mapping[str, Quality], place: Place) -> Iterator[Diagnostic]:
    for task, given in quality.items():
        if isinstance(given, MeasuredQuality) and given.measured is not None and given.measured > subject.day:
            message = f"a measurement must not be in the future, got `{given.measured}`"
            yield _FOUND.mistake(message, place.at(task, "measured").span, "has not come", "give the day (UTC)")
