"""The expressions of one document as formulas, each made when a step of the plan asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from costlens_policy.checker.reads import expressions_of
from costlens_policy.compiler.formula import Formula
from costlens_policy.documents import Document
from costlens_policy.expressions import TypedExpr
from costlens_policy.expressions.limits import RunLimits
from costlens_policy.source.located import LocatedDocument, Path

__all__ = ["Formulas"]


class Formulas:
    """Made on demand; two steps that share a place share the formula.

    ``known`` are formulas that were made before, by the identities of their typed expressions.
    """

    __slots__ = ("_inside", "_known", "_limits", "_located", "_made", "_results", "_typed")

    def __init__(
        self,
        located: LocatedDocument,
        document: Document,
        typed: Mapping[Path, TypedExpr],
        limits: RunLimits,
        known: Mapping[int, Formula] = MappingProxyType({}),
    ) -> None:
        self._known = known
        self._located = located
        self._limits = limits
        self._typed = typed
        self._results = {field.path: field.rule.result for field in expressions_of(document)}
        self._made: dict[Path, Formula] = {}
        self._inside: dict[Path, list[Path]] | None = None

    def optional(self, at: Path) -> Formula | None:
        """Return the expression at a path, or None where the document has none."""
        typed = self._typed.get(at)
        if typed is None:
            return None
        if at not in self._made:
            known = self._known.get(id(typed))
            if known is None:
                span = self._located.root.span_of(at)
                known = Formula(typed.source, span, typed, self._results[at], self._limits)
            self._made[at] = known
        return self._made[at]

    def needed(self, at: Path) -> Formula:
        """Return the expression at a path that the checker has made sure of."""
        formula = self.optional(at)
        assert formula is not None, f"the checker typed nothing at {at}"
        return formula

    def below(self, at: Path) -> dict[Path, Formula]:
        """Return all expressions inside the section at a path, by their own paths."""
        if self._inside is None:
            self._inside = {}
            for path in self._typed:
                for length in range(len(path)):
                    self._inside.setdefault(path[:length], []).append(path)
        return {path: self.needed(path) for path in self._inside.get(at, ())}
