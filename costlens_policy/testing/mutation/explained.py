"""Survivors that a comment explains: ``# costlens-policy: ignore[mutant] reason``, on the line or above the rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.source.suppressions import MUTANT, Suppression, suppressions_of
from costlens_policy.testing.mutation.bench import Bench
from costlens_policy.testing.mutation.mutant import Mutant
from costlens_policy.testing.mutation.results import Fate, MutatedSet, Verdict

__all__ = ["explained", "explains", "explanations_of", "idle_explanations"]


def explained(mutated: MutatedSet, bench: Bench) -> MutatedSet:
    """Return a set with the survivors that comments of its files explain as such."""
    given = list(explanations_of(bench))

    def judged(verdict: Verdict) -> Verdict:
        reason = next((item.reason for item in given if explains(item, verdict.mutant)), "")
        return replace(verdict, fate=Fate.EXPLAINED, by=reason) if reason else verdict

    verdicts = (judged(item) if item.fate is Fate.SURVIVED else item for item in mutated.verdicts)
    return replace(mutated, verdicts=tuple(verdicts))


def idle_explanations(mutated: MutatedSet, bench: Bench) -> Iterator[Diagnostic]:
    """Yield a warning for each comment that explains no survivor, once every mutant was tried (CL225)."""
    for item in explanations_of(bench):
        if not any(each.fate is Fate.EXPLAINED and explains(item, each.mutant) for each in mutated.verdicts):
            message, help = "nothing to suppress: no mutant survives here", "remove the comment"
            yield Diagnostic("CL225", Severity.WARNING, message, item.span, help=help)


def explanations_of(bench: Bench) -> Iterator[Suppression]:
    """Yield the comments of a policy set that explain survivors."""
    sources = {document.located.source.name: document.located.source for document in bench.workshop.documents}
    return (item for source in sources.values() for item in suppressions_of(source)[0] if item.code == MUTANT)


def explains(item: Suppression, mutant: Mutant) -> bool:
    """Return whether a comment speaks of the place of a mutant."""
    return item.span.file == mutant.span.file and item.first <= mutant.span.start.line <= item.last
