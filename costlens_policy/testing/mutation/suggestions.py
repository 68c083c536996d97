"""The cases that would kill the survivors, as a suite: each request once, with all that it has to expect."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from costlens_policy.assurance import Situation
from costlens_policy.engine.decide import decide
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.testing.expected import everything_expected, told_apart
from costlens_policy.testing.mutation.bench import Bench
from costlens_policy.testing.mutation.results import MutatedSet, Verdict
from costlens_policy.testing.observation import observe
from costlens_policy.testing.vocabulary import Vocabulary
from costlens_policy.testing.written import WrittenCase, written_suite

__all__ = ["killing_suite"]

_MOST_COMMENTS: Final = 12


@dataclass
class _Killing:
    """A request, all that could be expected of it, and what is, to kill some mutants."""

    situation: Situation
    everything: dict[str, Any]
    expect: dict[str, Any] = field(default_factory=dict)
    kills: list[Verdict] = field(default_factory=list)

    def written(self, usual: object) -> WrittenCase:
        """Return the case; a time other than the ``usual`` one is written."""
        shown = [f"kills: in {item.mutant.rule}, {item.mutant.what}" for item in self.kills[:_MOST_COMMENTS]]
        if len(self.kills) > _MOST_COMMENTS:
            shown.append(f"and {len(self.kills) - _MOST_COMMENTS} more")
        situation, first = self.situation, self.kills[0].mutant
        now = None if situation.now == usual else situation.now
        name = f"fails if {first.what} ({first.rule})".replace("`", "")
        return WrittenCase(name, situation.request, self.expect, situation.balances, now, tuple(shown))


def killing_suite(mutated: MutatedSet, bench: Bench, folder: Path) -> str:
    """Return a suite that kills the survivors of a set for which a request is known, as a file of a folder has it.

    Empty where there is none.
    """
    cases = _fewer(mutated, bench)
    if not cases:
        return ""
    usual = max(case.case.now for case in bench.cases)
    policy_set = Path(os.path.relpath(mutated.file, folder)).as_posix()
    return written_suite(f"mutants-of-{mutated.name}", policy_set, usual, [case.written(usual) for case in cases])


def _fewer(mutated: MutatedSet, bench: Bench) -> list[_Killing]:
    """Return cases, each of which kills what no case before it could kill."""
    cases: list[_Killing] = []
    for verdict in mutated.verdicts:
        if verdict.kill is not None:
            expect = next(_by_another(verdict, cases, bench), None)
            if expect is None:
                cases.append(_of_its_own(verdict, bench))
    return cases


def _by_another(verdict: Verdict, cases: list[_Killing], bench: Bench) -> Iterator[_Killing]:
    """Yield the first case that can kill a mutant, too, and let it do so."""
    plan = bench.workshop.plan_of(verdict.mutant)
    known = Vocabulary(plan)
    for case in cases:
        situation = case.situation
        try:
            decision = decide(plan, situation.request, situation.balances, situation.now)
        except CostlensPolicyError:
            continue
        if expect := told_apart(case.everything, observe(decision, known), bench.tested.known):
            case.expect |= expect
            case.kills.append(verdict)
            yield case


def _of_its_own(verdict: Verdict, bench: Bench) -> _Killing:
    assert verdict.kill is not None
    situation = verdict.kill.situation
    decision = decide(bench.tested.engine.plan, situation.request, situation.balances, situation.now)
    everything = everything_expected(observe(decision, bench.tested.known), bench.tested.known)
    return _Killing(situation, everything, dict(verdict.kill.expect), [verdict])
