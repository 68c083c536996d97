"""Run one case: decide, compare, and make sure that the rules it is about were asked at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from costlens_policy.errors import RequestError
from costlens_policy.testing.compare import compare
from costlens_policy.testing.difference import ABSENT, Difference
from costlens_policy.testing.observation import Observation, observe
from costlens_policy.testing.policy_sets import SetUnderTest
from costlens_policy.testing.prepare import PreparedCase
from costlens_policy.testing.results import CaseOutcome, CaseResult
from costlens_policy.testing.tally import Tally
from costlens_policy.testing.uncovered import never_asked
from costlens_policy.testing.vocabulary import DEFAULT, Vocabulary

__all__ = ["CaseRunner"]


@dataclass(frozen=True, slots=True)
class CaseRunner:
    """Runs the cases of one suite. ``timer`` gives seconds; what decisions do to the rules is added to ``tally``."""

    tested: SetUnderTest
    tally: Tally
    timer: Callable[[], float]

    def run(self, case: PreparedCase) -> CaseResult:
        started = self.timer()
        try:
            decision = self.tested.engine.decide(case.request, balances=case.balances, now=case.now)
        except RequestError as error:
            return _refused(case, error, self.timer() - started)
        seconds = self.timer() - started
        observation = observe(decision, self.tested.known)
        self.tally.count(observation)
        if case.expect.request_error is not None:
            accepted = Difference("request_error", case.expect.request_error, ABSENT, "contains")
            return CaseResult(case, CaseOutcome.FAILED, (accepted,), (), decision, seconds)
        found = compare(case.expect, observation, self.tested.known)
        notes = tuple(_unasked(case, observation, self.tested.known))
        return CaseResult(case, _outcome(found, notes), found, notes, decision, seconds)


def _outcome(found: tuple[Difference, ...], notes: tuple[str, ...]) -> CaseOutcome:
    if found:
        return CaseOutcome.FAILED
    return CaseOutcome.VACUOUS if notes else CaseOutcome.PASSED


def _refused(case: PreparedCase, error: RequestError, seconds: float) -> CaseResult:
    """A request that is refused is an error of the case, unless it expects just that."""
    expected = case.expect.request_error
    if expected is None:
        notes = tuple(f"the request is not acceptable: {problem}" for problem in error.problems)
        return CaseResult(case, CaseOutcome.ERROR, (), notes, None, seconds)
    if expected in str(error):
        return CaseResult(case, CaseOutcome.PASSED, (), (), None, seconds)
    different = Difference("request_error", expected, str(error), "contains")
    return CaseResult(case, CaseOutcome.FAILED, (different,), (), None, seconds)


def _unasked(case: PreparedCase, observation: Observation, known: Vocabulary) -> Iterator[str]:
    about = dict.fromkeys(case.targets)
    if case.expect.rule is not None:
        about[case.expect.rule] = None
    decider = observation.decision.rule
    for rule in about:
        if rule not in (DEFAULT, decider) and not observation.evaluated(rule):
            yield never_asked(rule, decider, known)
