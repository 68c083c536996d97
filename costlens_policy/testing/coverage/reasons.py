"""Why something is not covered, for a person who wants to write the missing case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Final

from costlens_policy.engine.record import RuleOutcome
from costlens_policy.testing.coverage.counting import RuleCounts
from costlens_policy.testing.vocabulary import RuleKind, Vocabulary

__all__ = ["NO_DECISION", "cases", "never_evaluated", "never_reached", "not_active", "not_left", "reach", "why_not"]

NO_DECISION: Final = "no case reaches a decision"
_MOST_NAMED: Final = 3


def why_not(rule: str, counted: RuleCounts, decisions: int, known: Vocabulary) -> str:
    """Return why a rule never matched."""
    if not counted.reached:
        return never_reached(rule, counted, decisions, known)
    if counted.outcomes[RuleOutcome.FAILED] == counted.reached:
        return f"its condition fails in {_all_of(counted.reached)} that {reach(counted.reached)} it"
    return f"its condition does not hold in {_any_of(counted.reached)} that {reach(counted.reached)} it"


def never_reached(rule: str, counted: RuleCounts, decisions: int, known: Vocabulary) -> str:
    """Return why no case asks a rule."""
    if not decisions:
        return NO_DECISION
    return f"no case reaches it: {_before(rule, counted.instead, counted.failing, known)}"


def never_evaluated(rule: str, decider: str, known: Vocabulary, *, failing: bool = False) -> str:
    """Return why one decision never asked a rule; ``failing`` says that the condition of its decider failed."""
    failed = {decider} if failing else set()
    return f"`{rule}` was never evaluated: {_before(rule, Counter([decider]), failed, known, always='')}"


def _before(
    rule: str, instead: Counter[str], failing: Collection[str], known: Vocabulary, always: str = "always "
) -> str:
    """Return what decided before a rule was asked: a route that matches earlier, or whatever refuses the request."""
    if rule in known.plan.stages.overflows:
        return f"the budgets that it stands in for {always}have room"
    named = [f"`{name}`" for name in instead]
    if len(instead) > 1:
        named = [f"`{name}` ({cases(count)})" for name, count in instead.most_common(_MOST_NAMED)]
    if len(instead) > _MOST_NAMED:
        named.append(f"{len(instead) - _MOST_NAMED} more")
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    if len(instead) == 1 and failing:
        return f"the condition of {listed} {always}fails first, which refuses the request"
    if (
        known.is_rule(rule, RuleKind.ROUTE)
        and not failing
        and all(known.is_rule(name, RuleKind.ROUTE) for name in instead)
    ):
        return f"{listed} {always}{'matches' if len(instead) == 1 else 'match'} first"
    if known.is_rule(rule, RuleKind.ROUTE):
        return f"{listed} {always}{'decides' if len(instead) == 1 else 'decide'} first"
    return f"the request is {always}refused under {listed}"


def not_active(budget: str, name: str, reached: int, decisions: int) -> str:
    """Return why a threshold (``policy/budget@0.8``) was active in no case."""
    if not decisions:
        return NO_DECISION
    if not reached:
        return f"no case counts against `{budget}`"
    return f"no case spends {name.rpartition('@')[2]} of `{budget}`"


def not_left(route: str, reached: int, decisions: int) -> str:
    """Return why a way out was taken in no case."""
    if not decisions:
        return NO_DECISION
    if not reached:
        return f"no case goes to `{route}`"
    return f"a candidate is left in {_all_of(reached)} that {reach(reached)} it"


def none_of(does: str, route: str, reached: int) -> str:
    """Return why something that a route may do was never done."""
    if not reached:
        return f"no case goes to `{route}`"
    return f"{does} none of {cases(reached)} that {'goes' if reached == 1 else 'go'} to it"


def cases(number: int) -> str:
    """Return a number of cases in words."""
    return f"{number} case" if number == 1 else f"{number} cases"


def _all_of(number: int) -> str:
    return "the one case" if number == 1 else f"all {number} cases"


def _any_of(number: int) -> str:
    return "the one case" if number == 1 else f"any of the {number} cases"


def reach(number: int) -> str:
    return "reaches" if number == 1 else "reach"
