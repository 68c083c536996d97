"""Conditions that no document has: made from the texts of those that are there, in the same words."""

from __future__ import annotations

from decimal import Decimal

from costlens_policy.assurance import Goal, Subject
from costlens_policy.compiler.formula import Formula
from costlens_policy.expressions import BOOL, analyze

__all__ = ["condition_from", "double"]


def condition_from(subject: Subject, formula: Formula, text: str, layer: int) -> Goal:
    """Return the goal that a text holds which may read what a formula of a layer reads."""
    typed = analyze(text, formula.typed.environment, BOOL).typed
    assert typed is not None, f"`{text}` is made from what the checker has typed"
    return subject.condition(Formula(text, formula.span, typed, "bool", formula.limits), layer)


def double(amount: Decimal) -> str:
    """Return a number as expressions write a double."""
    text = f"{amount:f}"
    return text if "." in text else f"{text}.0"
