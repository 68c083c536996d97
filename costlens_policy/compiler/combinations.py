"""Rewrites that apply together, combined: once for each selection of rules that requests bring about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from costlens_policy.rewrites import Step, combine

if TYPE_CHECKING:
    from costlens_policy.compiler.rules import RewriteRule

__all__ = ["Combinations"]

_KEPT: Final = 256


class Combinations:
    """The steps for selections of rules. Each is made once and kept for a while; safe for threads."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: dict[tuple[str, ...], tuple[Step, ...]] = {}

    def of(self, rules: Sequence[RewriteRule]) -> tuple[Step, ...]:
        """Return the steps of rules of one plan, in order, joined where they set the same target."""
        key = tuple([rule.id for rule in rules])
        steps = self._made.get(key)
        if steps is None:
            if len(self._made) >= _KEPT:
                self._made.clear()
            steps = self._made[key] = combine((rule.merge, rule.steps) for rule in rules)
        return steps
