"""Step 4, the terms of the route: what it asks of models that it did not pick itself.

A model that a budget adds, or that a choice has for a fallback, must not undo what the route promises.
"""

from __future__ import annotations

from collections.abc import Sequence

from costlens_policy.compiler.rules import ByChoice, BySplit, RouteStep
from costlens_policy.compiler.snapshot import ModelOnDay
from costlens_policy.engine.choice import beyond_limits, outside_filter
from costlens_policy.engine.context import Context
from costlens_policy.engine.preparation import Candidate

__all__ = ["Terms"]


class Terms:
    """The terms of one route in one decision. ``picked`` are the candidates of its target, fallbacks included."""

    __slots__ = ("_context", "_picked", "_route")

    def __init__(self, context: Context, route: RouteStep, picked: Sequence[str]) -> None:
        self._context = context
        self._route = route
        self._picked = frozenset(picked)

    def outside(self, offer: ModelOnDay, *, added: bool) -> str:
        """Return what keeps a model from serving on this route whatever the call is, or an empty text.

        ``added`` says that a budget added it; otherwise it is a fallback of a choice.
        """
        route, target, name = self._route, self._route.target, offer.model.name
        if not (route.binds_downgrades if added else route.binds_fallbacks):
            return ""
        if isinstance(target, ByChoice):
            reason = "it does not name the model" if added and name not in target.models else ""
            reason = reason or outside_filter(self._context, route, target, offer)
        else:
            named = name in self._picked or (isinstance(target, BySplit) and name in target.models)
            reason = "" if named else "it does not name the model"
        return f"it does not meet the terms of route `{route.id}`: {reason}" if reason else ""

    def beyond(self, candidate: Candidate, *, added: bool) -> str:
        """Return which limit of the choice the call on a model does not keep to, or an empty text."""
        route, target = self._route, self._route.target
        if not isinstance(target, ByChoice) or not (route.binds_downgrades if added else route.binds_fallbacks):
            return ""
        reason = beyond_limits(self._context, target, candidate)
        return f"it does not meet the terms of route `{route.id}`: {reason}" if reason else ""
