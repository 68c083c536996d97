"""Judge mutants: killed by a case, or else invalid, equivalent, or a survivor with the request that would kill it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from costlens_policy.assurance import Subject, examine
from costlens_policy.checker.bundle import CheckedBundle
from costlens_policy.checker.whole import check_set
from costlens_policy.compiler.plan import Plan
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.frozen import frozen
from costlens_policy.source.read import source_of
from costlens_policy.testing.mutation.bench import Bench
from costlens_policy.testing.mutation.changed import InvalidMutantError
from costlens_policy.testing.mutation.equivalence import Change, Equivalence
from costlens_policy.testing.mutation.kills import Kills
from costlens_policy.testing.mutation.mutant import Mutant
from costlens_policy.testing.mutation.results import Fate, Verdict

__all__ = ["judge_survivors", "try_cases"]


def try_cases(bench: Bench, mutant: Mutant, first: str = "") -> Verdict:
    """Return whether a case kills a mutant. ``first`` names the case that did so before."""
    try:
        plan = bench.workshop.plan_of(mutant)
    except InvalidMutantError as error:
        return Verdict(mutant, Fate.INVALID, str(error), judged=True)
    killer = bench.killer_of(mutant, plan, first)
    return Verdict(mutant, Fate.SURVIVED) if killer is None else Verdict(mutant, Fate.KILLED, killer.name, judged=True)


@frozen
class _Survivor:
    mutant: Mutant
    plan: Plan
    changes: tuple[Change, ...]


def judge_survivors(bench: Bench, mutants: Iterable[Mutant], paths: Sequence[Path]) -> list[Verdict]:
    """Return the verdicts on mutants of one rule that no case kills."""
    tested = bench.tested
    subject = Subject(tested.bundle, max(case.case.now for case in bench.cases))
    equivalence = Equivalence(subject)
    survivors = [
        _Survivor(mutant, plan, equivalence.changes(mutant, plan))
        for mutant in mutants
        for plan in [bench.workshop.plan_of(mutant)]
    ]
    for item in survivors:  # conditions that are known before the first search are worked out once
        for change in item.changes:
            equivalence.apart(change)
    kills = Kills(subject, [case.case for case in bench.cases], tested.known)
    return [_judged(bench, item, equivalence, kills, paths) for item in survivors]


def _judged(bench: Bench, item: _Survivor, equivalence: Equivalence, kills: Kills, paths: Sequence[Path]) -> Verdict:
    mutant = item.mutant
    if proof := equivalence.proof(mutant, item.plan, item.changes):
        return Verdict(mutant, Fate.EQUIVALENT, proof, judged=True)
    if equivalence.is_untestable(mutant):
        return Verdict(mutant, Fate.UNTESTABLE, "a case names what was spent, whatever the window", judged=True)
    bundle, problems = _checked(bench, mutant, paths)
    if refused := _first_error(problems):
        return Verdict(mutant, Fate.INVALID, refused, judged=True)
    kill = kills.of(mutant, item.plan, item.changes, equivalence)
    if kill is not None or bundle is None:
        return Verdict(mutant, Fate.SURVIVED, kill=kill, judged=True)
    if refused := _first_error(examine(bundle)):
        return Verdict(mutant, Fate.INVALID, refused, judged=True)
    return Verdict(mutant, Fate.SURVIVED, equivalence.doubt(mutant, item.changes), judged=True)


def _checked(
    bench: Bench, mutant: Mutant, paths: Sequence[Path]
) -> tuple[CheckedBundle | None, tuple[Diagnostic, ...]]:
    """Check a policy set with a mutant in the place of its file."""
    document = bench.workshop.documents[mutant.document]
    changed = source_of(bench.workshop.text_of(mutant), document.located.source.name)
    return check_set(bench.tested.file, paths, changed)


def _first_error(problems: Iterable[Diagnostic]) -> str:
    error = next((problem for problem in problems if problem.is_error), None)
    return "" if error is None else f"`check` reports {error.code}: {error.message}"
