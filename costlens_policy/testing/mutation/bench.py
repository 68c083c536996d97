"""The cases of a policy set, ready to be decided by its mutants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decide import decide
from costlens_policy.engine.record import RuleOutcome
from costlens_policy.errors import RequestError
from costlens_policy.frozen import frozen
from costlens_policy.testing.compare import compare
from costlens_policy.testing.mutation.changed import Workshop
from costlens_policy.testing.mutation.mutant import Mutant
from costlens_policy.testing.mutation.rules import mutants_of
from costlens_policy.testing.observation import observe
from costlens_policy.testing.policy_sets import SetUnderTest
from costlens_policy.testing.prepare import PreparedCase
from costlens_policy.testing.run import ReadySuite
from costlens_policy.testing.vocabulary import Vocabulary

__all__ = ["Bench", "BenchCase", "benches_of"]


@frozen
class BenchCase:
    """A case of a suite in a file."""

    file: str
    case: PreparedCase

    @property
    def name(self) -> str:
        return f"{self.file}: {self.case.name}"


class Bench:
    """A policy set, its cases, and its mutants."""

    def __init__(self, tested: SetUnderTest, cases: tuple[BenchCase, ...]) -> None:
        self.tested = tested
        self.cases = cases
        self.workshop = Workshop(tested.bundle, tested.engine.plan)
        self.mutants: tuple[Mutant, ...] = tuple(mutants_of(tested.bundle))

    def failing(self) -> Iterator[BenchCase]:
        """Yield the cases that do not even pass with the policy set as it is."""
        known = self.tested.known
        return (case for case in self.cases if _fails(case.case, self.tested.engine.plan, known))

    def killer_of(self, mutant: Mutant, plan: Plan, first: str = "") -> BenchCase | None:
        """Return a case that fails with the plan of a mutant, None where all pass. ``first`` names one to try first.

        Cases in which the changed rule had something to say come before the others.
        """
        known = Vocabulary(plan)
        order = self._order.get(mutant.rule) or self.cases
        if first:
            order = sorted(order, key=lambda case: case.name != first)
        return next((case for case in order if _fails(case.case, plan, known)), None)

    @cached_property
    def _order(self) -> dict[str, list[BenchCase]]:
        """The cases for each rule: those that it matched, those that asked it, then all others."""
        ranks: dict[str, list[tuple[int, int]]] = {rule: [] for rule in (*self.tested.known.rules, "default")}
        for index, case in enumerate(self.cases):
            outcomes, decider = _outcomes(case.case, self.tested)
            for rule, ranked in ranks.items():
                outcome = outcomes.get(rule, RuleOutcome.NOT_REACHED)
                ranked.append((0 if rule == decider else _RANKS[outcome], index))
        return {rule: [self.cases[index] for _, index in sorted(ranked)] for rule, ranked in ranks.items()}


_RANKS = {RuleOutcome.MATCHED: 1, RuleOutcome.FAILED: 1, RuleOutcome.NOT_MATCHED: 2, RuleOutcome.NOT_REACHED: 3}


def benches_of(suites: Iterable[ReadySuite]) -> tuple[Bench, ...]:
    """Return a bench for each policy set that suites test, in the order of the suites."""
    cases: dict[str, list[BenchCase]] = {}
    sets: dict[str, SetUnderTest] = {}
    for ready in suites:
        sets.setdefault(ready.tested.file, ready.tested)
        cases.setdefault(ready.tested.file, []).extend(BenchCase(ready.suite.file, case) for case in ready.cases)
    return tuple(Bench(tested, tuple(cases[file])) for file, tested in sets.items())


def _outcomes(case: PreparedCase, tested: SetUnderTest) -> tuple[dict[str, RuleOutcome], str]:
    try:
        decision = decide(tested.engine.plan, case.request, case.balances, case.now, case.measured)
    except RequestError:
        return {}, ""
    return dict(observe(decision, tested.known).outcomes), decision.rule


def _fails(case: PreparedCase, plan: Plan, known: Vocabulary) -> bool:
    """Return whether an expectation does not hold. A case whose rules are not asked any more does not count."""
    expected = case.expect.request_error
    try:
        decision = decide(plan, case.request, case.balances, case.now, case.measured)
    except RequestError as error:
        return expected is None or expected not in str(error)
    return expected is not None or bool(compare(case.expect, observe(decision, known), known))
