"""CL435: a route none of whose candidates can serve what it matches."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from costlens_policy.assurance.subject import Subject, shown
from costlens_policy.assurance.tried import Tried, tried_routes
from costlens_policy.assurance.witness import Witness
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["find_unservable_routes"]

_FOUND: Final = Finding("CL435")


def find_unservable_routes(subject: Subject) -> Iterator[Diagnostic]:
    """Report routes that refuse every request of the domain which they match, with one that shows it."""
    for tried in subject.once(tried_routes):
        if tried.all_refused:
            witness = subject.smallest(tried.witness, partial(_is_refused, subject, tried))
            why = "; ".join(f"`{item.model}`: {item.reason}" for item in witness.decision.excluded[:2])
            place, which = tried.route.span, f"`{tried.route.id}`"
            if tried.share is not None:
                place = tried.route.place.at("split", "targets", tried.share).key_span
                which = f"share {tried.share + 1} of {which}"
            yield _FOUND.mistake(
                f"no candidate of {which} can serve what it matches, such as `{shown(witness.request)}`",
                place,
                why or "no candidate is left",
                "add a candidate or a fallback that can, or narrow the condition",
                witnesses=[witness.shown],
            )


def _is_refused(subject: Subject, tried: Tried, witness: Witness) -> bool:
    decision = witness.decision
    return decision.rule == tried.route.id and decision.model is None and subject.meets(tried.goal, witness.situation)
