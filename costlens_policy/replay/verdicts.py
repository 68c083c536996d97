"""Decisions that are not made twice: deciding is pure, so requests that differ in nothing a rule reads share one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from typing import Any, Final

from costlens_policy.checker.attributes import ASKED_MODEL, STANDARD_ATTRIBUTES
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import ByChoice, RewriteRule
from costlens_policy.engine.context import Balances
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Decision
from costlens_policy.expressions import STRING
from costlens_policy.quantiles import Measures

__all__ = ["Verdicts", "parts"]

_LABELS: Final = frozenset(
    item.name for item in STANDARD_ATTRIBUTES.values() if item.type == STRING and not item.engine_reads
)
"""Texts that only rules look at; where none does, they make no difference."""
_KEPT: Final = 200_000


class Verdicts:
    """Decides. ``shared`` counts the decisions that were reused."""

    __slots__ = ("_banded", "_bounds", "_known", "_labels", "_plan", "_pure", "shared")

    def __init__(self, plan: Plan) -> None:
        formulas = list(parts((plan.variables, plan.layers, plan.defaults), Formula))
        paths = {path for formula in formulas for path in formula.typed.references}
        everything = ("request",) in paths
        read = {path[1] for path in paths if path[0] == "request" and len(path) > 1}
        if ASKED_MODEL in read:
            read.add("model")
        self._plan = plan
        remembers = any(not step.per_call for _, step in plan.budgets.values())
        self._pure = not remembers and not everything and not any(path[0] == "now" for path in paths)
        self._pure = self._pure and not plan.reads_id and not any(parts((plan.layers, plan.defaults), RewriteRule))
        self._labels = frozenset(name for name in _LABELS - read if name in plan.attributes)
        chooses = any(parts((plan.layers, plan.defaults), ByChoice))
        limited = any(name in ("cost_budget", "max_output_tokens", "params") for name, _ in plan.filled_in)
        self._banded = not plan.budgets and not chooses and not limited and "prompt_tokens" not in read
        self._bounds: dict[tuple[date, int], list[int]] = {}
        self._known: dict[Hashable, Decision] = {}
        self.shared = 0

    def decide(
        self, request: Mapping[str, Any], balances: Balances, now: datetime, measures: Measures | None = None
    ) -> Decision:
        """Return the decision. Where it is shared, only its own request, time and token counts are not this one's.

        Raises ``RequestError``.
        """
        key = self._key(request, now) if self._pure else None
        known = None if key is None else self._known.get(key)
        if known is not None:
            self.shared += 1
            return known
        decision = decide(self._plan, request, balances, now, measures)
        if key is not None and decision.model is not None:  # reasons of denials have numbers of their own
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[key] = decision
        return decision

    def _key(self, request: Mapping[str, Any], now: datetime) -> Hashable | None:
        """Return what decides, or None for a request that has to be looked at in full."""
        day = now.date()
        parts: list[Hashable] = [day]
        for name, value in request.items():
            if name in self._labels:
                if not isinstance(value, str):
                    return None
                try:
                    self._plan.attributes[name].admit(value)
                except ValueError:
                    return None
            elif name == "prompt_tokens" and self._banded and not _bounded_by_cost(request):
                if type(value) is not int or value < 0:
                    return None
                parts.append(("band", bisect_left(self._limits(request, day), value)))
            elif value.__class__ in (str, int, bool, float):
                parts.append((name, value.__class__, value))
            else:
                return None
        return tuple(parts)

    def _limits(self, request: Mapping[str, Any], day: date) -> list[int]:
        """Return the prompt lengths up to which each model can serve: only there may a longer prompt decide else."""
        output = request.get("max_output_tokens", self._plan.defaults.max_output_tokens)
        if type(output) is not int:
            return []
        known = self._bounds.get((day, output))
        if known is None:
            models = [(model.context_window, model.max_output_tokens) for model in self._plan.catalogue]
            known = sorted(
                {
                    window - asked
                    for window, most in models
                    if window is not None
                    for asked in (output, output if most is None else min(output, most))
                }
            )
            self._bounds[day, output] = known
        return known


def _bounded_by_cost(request: Mapping[str, Any]) -> bool:
    return "cost_budget" in request or "params" in request


def parts(value: Any, wanted: type) -> Iterator[Any]:
    """Yield everything of a type inside steps of a plan: also what is in others of that type."""
    if isinstance(value, wanted):
        yield value
    if isinstance(value, Formula):
        return
    if is_dataclass(value) and not isinstance(value, type):
        for item in fields(value):
            yield from parts(getattr(value, item.name), wanted)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from parts(item, wanted)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from parts(item, wanted)
