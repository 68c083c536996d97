"""Say why a rule is not covered."""

from __future__ import annotations

from collections import Counter

from costlens_policy.engine.record import Outcome
from costlens_policy.testing.tally import RuleTally
from costlens_policy.testing.vocabulary import RuleKind, Vocabulary

__all__ = ["never_asked", "why_not"]

_MOST_NAMED = 3


def why_not(rule: str, counted: RuleTally, decisions: int, known: Vocabulary) -> str:
    """Return why a rule never matched, for a person who wants to write the missing case."""
    if not decisions:
        return "no case comes to a decision"
    if counted.outcomes[Outcome.FAILED] == counted.reached > 0:
        return f"its condition fails in {_all_of(counted.reached)} that {_reach(counted.reached)} it"
    if counted.reached:
        return f"its condition does not hold in {_any_of(counted.reached)} that {_reach(counted.reached)} it"
    return f"no case reaches it: {_before(rule, counted.instead, known)}"


def never_asked(rule: str, decider: str, known: Vocabulary) -> str:
    """Return why one decision never asked a rule."""
    return f"`{rule}` was never evaluated: {_before(rule, Counter([decider]), known, always='')}"


def _before(rule: str, instead: Counter[str], known: Vocabulary, always: str = "always ") -> str:
    """Say what decided before a rule was asked: a route that matches earlier, or whatever refuses the request."""
    named = [f"`{name}`" for name in instead]
    if len(instead) > 1:
        named = [f"`{name}` ({_cases(count)})" for name, count in instead.most_common(_MOST_NAMED)]
    if len(instead) > _MOST_NAMED:
        named.append(f"{len(instead) - _MOST_NAMED} more")
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    if known.is_rule(rule, RuleKind.ROUTE) and all(known.is_rule(name, RuleKind.ROUTE) for name in instead):
        return f"{listed} {always}{'matches' if len(instead) == 1 else 'match'} first"
    if known.is_rule(rule, RuleKind.ROUTE):
        return f"{listed} {always}{'decides' if len(instead) == 1 else 'decide'} first"
    return f"the request is {always}refused under {listed}"


def _cases(number: int) -> str:
    return f"{number} case" if number == 1 else f"{number} cases"


def _all_of(number: int) -> str:
    return "the one case" if number == 1 else f"all {number} cases"


def _any_of(number: int) -> str:
    return "the one case" if number == 1 else f"any of the {number} cases"


def _reach(number: int) -> str:
    return "reaches" if number == 1 else "reach"
