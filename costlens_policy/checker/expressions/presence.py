"""Attributes that may be missing, with what the rule around an expression knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from costlens_policy.expressions import Problem, TypedExpr
from costlens_policy.expressions.presence import Implied, Paths, present_when_true, unguarded_reads
from costlens_policy.source.located import Path

__all__ = ["MAY_BE_MISSING", "implied_by_variables", "missing_reads"]

MAY_BE_MISSING: Final = "CL314"
_COMPARING: Final = ("among", "minimize", "maximize")
_CANDIDATE: Final = ("model", "estimate")


def implied_by_variables(expressions: Mapping[Path, TypedExpr]) -> Implied:
    """Return what is present whenever a variable of a document is true, by the variable."""
    implied: dict[tuple[str, ...], Paths] = {}
    for path, typed in expressions.items():
        if path[0] == "variables":
            implied["variables", str(path[1])] = present_when_true(typed, implied)
    return implied


def missing_reads(
    path: Path, typed: TypedExpr, expressions: Mapping[Path, TypedExpr], implied: Implied
) -> list[Problem]:
    """Return a warning for each optional attribute that may be missing where an expression of a document is evaluated.

    The condition of its rule holds by then. Where models are compared, one that lacks a fact is just excluded.
    """
    present: Paths = frozenset()
    for guard in ((*path[:2], "when"), (*path[:-1], "among")):
        if guard != path and guard in expressions:
            present |= present_when_true(expressions[guard], implied)
    lenient = _CANDIDATE if path[-1] in _COMPARING else ()
    return unguarded_reads(typed, present, implied, lenient)
