"""The whole front end in one step: text in, typed expression or problems out."""

from __future__ import annotations

from dataclasses import replace

from costlens_policy.expressions.checking.checker import check
from costlens_policy.expressions.checking.presence import Paths
from costlens_policy.expressions.constants import expanded, folded
from costlens_policy.expressions.cost import WorstCase, too_dear, worst_case
from costlens_policy.expressions.limits import DEFAULT_LIMITS, Limits
from costlens_policy.expressions.problems import ExpressionError, Problem
from costlens_policy.expressions.syntax.parser import parse
from costlens_policy.expressions.tree import TypedExpr
from costlens_policy.expressions.types import Environment, Type
from costlens_policy.frozen import frozen

__all__ = ["Analyzed", "analyze"]


@frozen
class Analyzed:
    """``typed`` is absent when a problem is an error; warnings come with it.

    ``worst`` is what evaluating it takes at worst; it is there whenever the types are right.
    """

    typed: TypedExpr | None
    problems: tuple[Problem, ...] = ()
    worst: WorstCase | None = None


def analyze(
    text: str,
    environment: Environment,
    expected: Type | None = None,
    limits: Limits = DEFAULT_LIMITS,
    present: Paths = frozenset(),
) -> Analyzed:
    """Parse and type one expression against what it may name. Never raises.

    ``expected`` is the type it must have; ``present`` are optional attributes, such as ``("request", "team")``, that
    an earlier condition has asked for.
    """
    try:
        root = parse(text, limits)
    except ExpressionError as error:
        return Analyzed(None, error.problems)
    typed, problems = check(text, root, environment, expected, present)
    if typed is not None and _names_parts(typed):
        typed, problems = check(text, expanded(typed), environment, expected, present)
    if typed is not None and typed.constants:
        constants = typed.constants  # of which nothing may be left once they are folded
        typed, problems = check(text, folded(typed), environment, expected, present)
        typed = None if typed is None else replace(typed, constants=constants)
    if typed is None:
        return Analyzed(None, problems)
    worst = worst_case(typed, limits)
    dear = too_dear(typed, worst, limits)
    return Analyzed(typed, problems, worst) if dear is None else Analyzed(None, (*problems, dear), worst)


def _names_parts(typed: TypedExpr) -> bool:
    """Return whether an expression may read something under another name than the one where it is."""
    environment = typed.environment
    if any(path[0] in environment.aliases for path in typed.references):
        return True
    return any(attribute in typed.source for _, attribute in environment.entries)
