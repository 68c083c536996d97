"""What services embed: load policies once, ask for decisions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from costlens_policy.clock import system_now
from costlens_policy.compiler.plan import Plan
from costlens_policy.diagnostics.suggestion import did_you_mean
from costlens_policy.engine.context import Balances
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Decision, DeniedError

__all__ = ["Engine", "OptimalModel", "Router", "load"]


class Engine:
    """A loaded policy set. It holds no state between decisions and serves any number of threads and tasks."""

    __slots__ = ("plan",)

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def decide(
        self, request: Mapping[str, Any], *, balances: Balances | None = None, now: datetime | None = None
    ) -> Decision:
        """Decide one request.

        ``balances`` holds the state of the budgets by (``policy/budget``, scope key); what it does not list is zero.
        ``now`` is aware, and the present when left out. Raises ``RequestError`` when the request is not acceptable,
        ``ValueError`` for a balance of a budget that there is none of: taken for zero, it would open the budget.
        """
        for budget, _ in balances or ():
            self._expect_budget(budget)
        return decide(self.plan, request, balances, system_now() if now is None else now)

    def _expect_budget(self, budget: str) -> None:
        known = self.plan.budgets.get(budget)
        if known is None or known[1].id != budget:
            meant = did_you_mean(budget, [step.id for _, step in self.plan.budgets.values()])
            raise ValueError(f"there is no budget `{budget}` (name it as `policy/budget`); {meant}".rstrip("; "))


def load(*paths: str | os.PathLike[str]) -> Engine:
    """Read, check and compile the policy set in files or folders.

    Raises ``PolicyError``, which carries every diagnostic, when anything is wrong with them.
    """
    # Reading policies takes libraries that deciding does not: a service that is handed a plan never pays for them.
    from costlens_policy.checker import check
    from costlens_policy.compiler import compile_plan

    return Engine(compile_plan(check(tuple(Path(path) for path in paths))))


@dataclass(frozen=True, slots=True)
class OptimalModel:
    """The model to call, as ``Router`` gives it: its ``name``, and the decision behind it."""

    name: str
    decision: Decision


class Router:
    """The engine for those who think of routing as asking for the best model of a task."""

    __slots__ = ("_engine",)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get_optimal_model(
        self, *, task: str, prompt: str, cost_budget: float | None = None, **attributes: Any
    ) -> OptimalModel:
        """Return the model for a prompt within a budget in US dollars. Raises ``DeniedError`` where there is none.

        The prompt to send is ``.decision.prompt``: the policies may have rewritten it.
        """
        decision = self._engine.decide({"task": task, "prompt": prompt, "cost_budget": cost_budget, **attributes})
        if decision.model is None:
            raise DeniedError(decision)
        return OptimalModel(decision.model, decision)
