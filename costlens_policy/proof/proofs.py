"""All invariants in some paths, decided one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from os import PathLike
from pathlib import Path
from typing import Any, Final

from costlens_policy.assurance import Nothing, Subject
from costlens_policy.catalogue import Model
from costlens_policy.checker import CheckedBundle
from costlens_policy.clock import system_now
from costlens_policy.diagnostics.model import Diagnostic, Severity, Span, in_order
from costlens_policy.documents.invariants import Invariant
from costlens_policy.frozen import frozen
from costlens_policy.proof.claims import Claim, claims_of
from costlens_policy.proof.doubts import doubt_about
from costlens_policy.proof.promises import Found, Promises, find_promises
from costlens_policy.proof.verdicts import Holds, Refuted, Unknown, Verdict, decide
from costlens_policy.source.located import SourceText

__all__ = ["Proof", "Proofs", "examine_invariants", "prove"]

_LIMIT_S: Final = 60.0
_SHARE: Final = 0.25
"""The part of the time that is left which one invariant may take."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@frozen
class Proof:
    """One invariant, where it is written, what was decided about it, and how many ``seconds`` that took.

    ``policy_set`` is the file of the policy set that promises it.
    """

    invariant: Invariant
    policy_set: str
    span: Span
    verdict: Verdict
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the proof as JSON-like data."""
        found: dict[str, Any] = {
            "id": self.invariant.id,
            "title": self.invariant.title,
            "file": self.span.file,
            "line": self.span.start.line,
            "verdict": type(self.verdict).__name__.lower(),
        }
        match self.verdict:
            case Holds(ways):
                found["ways"] = ways
            case Refuted(witness, breach):
                found |= {"breach": breach.what, "model": breach.model or None, "witness": witness.to_dict()}
            case Unknown(why, where):
                found |= {"why": why, "open": list(where)}
        return found


@frozen
class Proofs:
    """What came of all invariants. ``diagnostics`` are about documents that have errors, and are not proved."""

    proofs: tuple[Proof, ...]
    diagnostics: tuple[Diagnostic, ...]
    sources: tuple[SourceText, ...]

    @property
    def broken(self) -> bool:
        """Whether some documents have errors, so that not all invariants were decided."""
        return any(item.is_error for item in self.diagnostics)

    def of(self, verdict: type[Verdict]) -> tuple[Proof, ...]:
        """Return the proofs that came to one kind of verdict."""
        return tuple(proof for proof in self.proofs if isinstance(proof.verdict, verdict))


def prove(
    paths: str | PathLike[str] | Iterable[str | PathLike[str]],
    *,
    now: datetime | None = None,
    limit_s: float = _LIMIT_S,
    tell: Callable[[str], None] | None = None,
) -> Proofs:
    """Decide every invariant in files and folders; nothing is raised for documents with errors.

    ``now`` is the time of the catalogue's prices and of witnesses, today at noon when left out; conditions are decided
    for all times. After ``limit_s`` seconds the rest is unknown. ``tell`` is told the id of each invariant, when its
    turn comes.
    """
    found = find_promises([Path(paths)] if isinstance(paths, str | PathLike) else map(Path, paths))
    day = now or _noon(system_now().date())
    proofs = list(_proofs(found, day, time.monotonic() + limit_s, tell))
    return Proofs(tuple(proofs), found.diagnostics, found.sources)


def _noon(day: date) -> datetime:
    return datetime.combine(day, time_of_day(12), UTC)


def _proofs(found: Found, now: datetime, ends_at: float, tell: Callable[[str], None] | None) -> Iterator[Proof]:
    for promises in found.promises:
        times = [now, *map(_noon, _days_of_change(promises, now.date()))]
        claims = [
            list(claims_of(Subject(promises.bundle, at), promises.document, promises.expressions)) for at in times
        ]
        invariants = promises.document.document.invariants
        for index, invariant in enumerate(invariants):
            if tell is not None:
                tell(invariant.id)
            begun = time.monotonic()
            share = begun + max(0.0, ends_at - begun) * _SHARE if index < len(invariants) - 1 else ends_at
            verdict = _worst(decide(of_day[index], share) for of_day in claims)
            if isinstance(verdict, Refuted):
                verdict = _timed(verdict, now, is_any=not any(of_day[index].reads_now for of_day in claims))
            span = promises.document.located.root.span_of(("invariants", index, "id"))
            yield Proof(
                invariant,
                promises.bundle.linked.policy_set.located.source.name,
                span,
                verdict,
                time.monotonic() - begun,
            )


def _timed(refuted: Refuted, now: datetime, *, is_any: bool) -> Refuted:
    """Name the time of a witness, unless ``is_any`` says that nothing reads it, and prices are those of today."""
    return replace(refuted, witness=replace(refuted.witness, usual=now if is_any else _NEVER))


def _claims(promises: Promises, now: datetime) -> Iterator[Claim]:
    return claims_of(Subject(promises.bundle, now), promises.document, promises.expressions)


def _days_of_change(promises: Promises, today: date) -> list[date]:
    """Return the days to come on which a fact or price of a model changes: an invariant holds from each of them on."""
    catalogue = promises.bundle.linked.catalogue
    return sorted({day for model in catalogue for day in _changes(model) if day > today})


def _changes(model: Model) -> Iterator[date]:
    yield from (period.effective for period in model.periods if period.effective is not None)
    yield from (day for day in (model.deprecated, model.retired) if day is not None)


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return what is decided for all days: a refutation of any counts, then what is unknown of any."""
    found: list[Verdict] = []
    for verdict in verdicts:
        if isinstance(verdict, Refuted):
            return verdict
        found.append(verdict)
    return next((verdict for verdict in found if isinstance(verdict, Unknown)), found[0])


def examine_invariants(
    paths: Iterable[Path], checked: Mapping[Path, CheckedBundle | None], now: datetime | None = None
) -> Found:
    """Return what is wrong with documents of invariants, those that no request can meet among it. Nothing is proved."""
    found = find_promises(paths, checked)
    day = now or _noon(system_now().date())
    vacuous = [item for promises in found.promises for item in _vacuous(promises, day)]
    return Found(found.promises, in_order((*found.diagnostics, *vacuous)), found.sources)


def _vacuous(promises: Promises, now: datetime) -> Iterator[Diagnostic]:
    for index, claim in enumerate(list(_claims(promises, now))):
        subject = claim.subject
        if isinstance(subject.find(claim.applies), Nothing) and not doubt_about(
            subject.plan, subject.domain, claim.applies
        ):
            yield vacuous(promises, index, claim)


def vacuous(promises: Promises, index: int, claim: Claim) -> Diagnostic:
    """Report an invariant that no request can meet."""
    span = promises.document.located.root.span_of(("invariants", index, "when"))
    message = f"no request meets the condition of the invariant `{claim.invariant.id}`, so that it promises nothing"
    return Diagnostic("CL702", Severity.ERROR, message, span, "never holds", "correct the condition, or remove it")
