"""What services embed: load policies once, ask for decisions.

Reading policies takes libraries that deciding does not. They are imported when policies are read, so that a service
that is handed a plan, or finds its plan in the cache, never pays for them. What deciding takes is imported with the
first engine, so that a program which may decide, and does not, pays for nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costlens_policy.clock import system_now
from costlens_policy.diagnostics.suggestion import did_you_mean
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from costlens_policy.bundles import Trust
    from costlens_policy.compiler.plan import Plan
    from costlens_policy.engine.context import Balances
    from costlens_policy.engine.decide import Models
    from costlens_policy.engine.decision import Decision
    from costlens_policy.observers import Observer, Observers
    from costlens_policy.quantiles import Measures

__all__ = ["Engine", "OptimalModel", "Router", "load", "load_plan"]


class Engine:
    """A loaded policy set. It holds no state between decisions and serves any number of threads and tasks.

    ``plan`` is the compiled policy set. Of policies that are replaced while they serve (``LivePolicies``) it is the
    present one. ``log`` is told of each decision: a ``DecisionLog``, or another ``Observer``; several as a list.
    """

    __slots__ = ("_decide", "log", "plan")

    def __init__(self, plan: Plan, *, log: Observer | Sequence[Observer] | None = None) -> None:
        from costlens_policy.engine.decide import decide

        self.plan = plan
        self._decide = decide
        self.log: Observers | None = None
        if log is not None:
            from costlens_policy.observers import observers_of

            self.log = observers_of(log, plan)

    def decide(
        self,
        request: Mapping[str, Any],
        *,
        balances: Balances | None = None,
        now: datetime | None = None,
        measured: Measures | None = None,
    ) -> Decision:
        """Decide one request.

        ``balances`` holds the state of the budgets by (``policy/budget``, scope key); what it does not list is zero.
        ``now`` is aware, and defaults to the current time. ``measured`` has what calls of a kind have come to, for
        budgets that hold a quantile of that; of a kind that is not listed, nothing is known, and the worst case is
        held. Raises ``RequestError`` when the request is not acceptable, ``ValueError`` for a balance of a budget that
        there is none of: taken for zero, it would open the budget; and for a measured ratio that is not from 0 to 1.
        """
        plan = self.plan  # once: it may be replaced meanwhile
        if balances:
            _examine(plan, [budget for budget, _ in balances])
        if measured:
            _examine_measured(plan, measured)
        decision = self._decide(plan, request, balances, system_now() if now is None else now, measured)
        if self.log is not None:
            self.log.decided(decision)
        return decision

    def models(
        self,
        request: Mapping[str, Any],
        *,
        balances: Balances | None = None,
        now: datetime | None = None,
        measured: Measures | None = None,
    ) -> Models:
        """Return which models may serve a request, in order, and for each other one of the catalogue why not.

        Takes and raises what ``decide`` does.
        """
        from costlens_policy.engine.decide import models_for

        plan = self.plan
        if balances:
            _examine(plan, [budget for budget, _ in balances])
        if measured:
            _examine_measured(plan, measured)
        return models_for(plan, request, balances, system_now() if now is None else now, measured)

    def plan_for(self, request: Mapping[str, Any]) -> Plan:
        """Return the plan that decides a request now: the one that there is, unless two versions share the requests."""
        return self.plan

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan to a file, for ``load_plan`` of the same version. Raises ``InputError`` where that fails."""
        from costlens_policy.saving.files import write_plan

        write_plan(self.plan, Path(path))


def _examine(plan: Plan, budgets: Iterable[str]) -> None:
    for budget in budgets:
        if budget not in plan.budget_ids:
            meant = did_you_mean(budget, sorted(plan.budget_ids))
            raise ValueError(f"there is no budget `{budget}` (name it as `policy/budget`); {meant}".rstrip("; "))


def _examine_measured(plan: Plan, measured: Measures) -> None:
    _examine(plan, [kind[0] for kind in measured])
    for cases, ratio in measured.values():
        if not (isinstance(cases, int) and cases >= 0 and 0 <= ratio <= 1):
            raise ValueError(
                f"what is measured must be a number of cases and a ratio from 0 to 1, got `{cases}, {ratio}`"
            )


def load(
    *paths: str | os.PathLike[str],
    cache: bool = True,
    trust: Trust | None = None,
    log: Observer | Sequence[Observer] | None = None,
) -> Engine:
    """Read, check and compile the policy set in files or folders, or open that of a bundle.

    The plan is kept in the user's cache folder, and used as long as nothing that it was made from has changed; with
    ``cache`` false, or ``COSTLENS_POLICY_CACHE=off`` in the environment, neither. Raises ``PolicyError``, which carries
    every diagnostic, when the policies cannot be compiled. What ``check`` refuses although it can be compiled, such as
    a deny that is skipped when it fails, is logged as a warning of the logger ``costlens_policy``.

    ``trust`` says whose bundles are used, by default ``COSTLENS_POLICY_TRUSTED_KEYS`` in the environment; without
    either, every bundle is, and its policies are compiled anew. Raises ``BundleError`` for one that is refused.

    ``log`` is told of each decision, as ``Engine`` says.
    """
    if trust is not None or any(map(os.path.isfile, paths)):
        from costlens_policy.bundles.archive import is_bundle

        if trust is not None or any(map(is_bundle, paths)):
            return Engine(_plan_of_bundle(paths, trust), log=log)
    from costlens_policy.saving.cache import read_policies

    return Engine(read_policies([Path(path) for path in paths], cache=cache).plan, log=log)


def _plan_of_bundle(paths: Sequence[str | os.PathLike[str]], trust: Trust | None) -> Plan:
    from costlens_policy.bundles import BundleError, open_bundle
    from costlens_policy.bundles.archive import is_bundle
    from costlens_policy.bundles.trust import plan_of

    if len(paths) != 1:
        raise BundleError("a bundle holds all that it needs; load it without other files or folders")
    if os.path.exists(paths[0]) and not is_bundle(paths[0]):
        raise BundleError(f"`{os.fspath(paths[0])}` is not a bundle, so that nobody can have signed it")
    return plan_of(open_bundle(paths[0]), trust)


def load_plan(path: str | os.PathLike[str]) -> Engine:
    """Return the engine whose plan ``Engine.save`` wrote. Nothing is parsed or checked, and no code is in the file.

    Raises ``PolicyError`` when the file cannot be read (CL001), is no saved plan or damaged (CL024), or was written by
    another version (CL025).
    """
    from costlens_policy.saving.files import read_plan

    return Engine(read_plan(Path(path)))


@frozen
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
            from costlens_policy.engine.decision import DeniedError

            raise DeniedError(decision)
        return OptimalModel(decision.model, decision)
