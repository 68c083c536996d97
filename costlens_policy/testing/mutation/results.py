"""What came of the mutants of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from costlens_policy.diagnostics.model import Diagnostic, exit_code_of
from costlens_policy.frozen import frozen
from costlens_policy.source.located import SourceText
from costlens_policy.testing.mutation.kills import Kill
from costlens_policy.testing.mutation.mutant import Mutant

__all__ = ["Fate", "MutatedSet", "Mutation", "Verdict", "score_of"]


class Fate(StrEnum):
    """What became of a mutant. Only killed and surviving ones count."""

    KILLED = "killed"
    SURVIVED = "survived"
    EQUIVALENT = "equivalent"
    """No request tells it from the policy set: that is proved."""
    UNTESTABLE = "untestable"
    """No case can notice it: a case gives what was spent, and not when, which is what a window is about."""
    INVALID = "invalid"
    """It cannot be loaded, or ``check`` reports it as an error."""
    EXPLAINED = "explained"
    """It survived, and a comment says why that is right."""
    UNTRIED = "untried"
    """Time was over before."""


@frozen
class Verdict:
    """A mutant and what became of it.

    ``by`` is the case that killed it, or why it does not count; of a survivor, why it may be equivalent, if that could
    not be decided. ``kill`` is a request that would kill a survivor, if one was found. ``judged`` says that nothing is
    left to find out.
    """

    mutant: Mutant
    fate: Fate
    by: str = ""
    kill: Kill | None = None
    judged: bool = False


@frozen
class MutatedSet:
    """The verdicts on the mutants of one policy set, in the order of its documents and rules."""

    name: str
    file: str
    cases: int
    verdicts: tuple[Verdict, ...]

    def counts(self) -> Mapping[Fate, int]:
        """Return the number of mutants with each fate, including zeros."""
        counted = Counter(verdict.fate for verdict in self.verdicts)
        return {fate: counted[fate] for fate in Fate}


@frozen
class Mutation:
    """The result of a run. ``failing`` are cases that fail without any mutant: then nothing was changed.

    ``diagnostics`` are about suites and policy sets that cannot be used; ``sources`` has the texts of files by name.
    """

    sets: tuple[MutatedSet, ...]
    failing: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, SourceText]
    min_score: float | None = None
    suggested: str = ""
    """The cases that would kill the survivors, as a suite for each policy set."""

    def counts(self) -> Mapping[Fate, int]:
        return {fate: sum(item.counts()[fate] for item in self.sets) for fate in Fate}

    @property
    def score(self) -> float | None:
        """Percent of the mutants that count which were killed, rounded down to a tenth so that 100 means all.

        None where no mutant counts: then nothing is known of the cases.
        """
        return score_of(self.counts())

    @property
    def survivors(self) -> tuple[Verdict, ...]:
        return tuple(item for each in self.sets for item in each.verdicts if item.fate is Fate.SURVIVED)

    @property
    def exit_code(self) -> int:
        """1 or 6: a suite or policy set is unusable or unreadable; 3: nothing to run; 4: a case fails without a mutant;
        5: the score is below the minimum.
        """
        if code := exit_code_of(self.diagnostics):
            return code
        if not self.failing and not any(item.verdicts for item in self.sets):
            return 3
        if self.failing:
            return 4
        return 5 if self.misses_minimum else 0

    @property
    def misses_minimum(self) -> bool:
        """Whether the score is below the minimum. Without a score that is so unless every mutant was looked at."""
        if self.min_score is None:
            return False
        return self.counts()[Fate.UNTRIED] > 0 if self.score is None else self.score < self.min_score


def score_of(counts: Mapping[Fate, int]) -> float | None:
    """Return the score of some counts, None where no mutant counts."""
    killed, all_ = counts[Fate.KILLED], counts[Fate.KILLED] + counts[Fate.SURVIVED]
    return (1000 * killed // all_) / 10 if all_ else None
