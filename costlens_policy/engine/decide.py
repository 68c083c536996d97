"""The decision: seven steps, in this order, each a function of its own. No clock, file or socket is inside."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.priced_models import PricedModel
from costlens_policy.compiler.rules import ByName, BySplit, RouteStep
from costlens_policy.documents.parameters import OUTPUT_LIMIT
from costlens_policy.engine.access import ADMITTED, Access, decide_access, refused_model
from costlens_policy.engine.budgets import SURELY, ActiveThreshold, BudgetStage
from costlens_policy.engine.candidate import Candidate, Prepared, obstacle
from costlens_policy.engine.context import Balances, Context, Refusal
from costlens_policy.engine.decided import Passed
from costlens_policy.engine.decision import Decision
from costlens_policy.engine.facts import Estimate, Exclusion
from costlens_policy.engine.preparation import Preparations
from costlens_policy.engine.request import GIVEN, admit_request, verified
from costlens_policy.engine.routes import Picked, Terms, candidates_of, decide_route, drawn, following, nothing_left
from costlens_policy.frozen import frozen
from costlens_policy.quantiles import Measures

__all__ = ["Models", "candidates_on", "decide", "first_estimate", "models_for", "open_context"]


_NO_BALANCES: Final[Balances] = {}
_UNKNOWN: Final[Measures] = {}


def decide(
    plan: Plan,
    request: Mapping[str, Any],
    balances: Balances | None,
    now: datetime,
    measures: Measures | None = None,
) -> Decision:
    """Decide one request. Equal arguments give equal decisions.

    ``balances`` holds the state of the budgets; what it does not list is zero. ``measures`` are what calls have come
    to, for budgets that hold a quantile of that; of a kind that is not listed nothing is known. ``now`` is aware.
    Raises ``RequestError`` when the request is not acceptable, ``ValueError`` when ``now`` has no time zone.
    """
    context = open_context(plan, request, balances, now, measures)
    decision = _decide(plan, context)
    if plan.reads_more:
        context.close()
    return decision


def open_context(
    plan: Plan,
    request: Mapping[str, Any],
    balances: Balances | None,
    now: datetime,
    measures: Measures | None = None,
) -> Context:
    """Return what every step reads. Takes and raises what ``decide`` does."""
    if now.tzinfo is not UTC:
        if now.tzinfo is None:
            raise ValueError("`now` needs a time zone")
        now = now.astimezone(UTC)
    admitted = admit_request(plan, request)
    counted = verified(plan, admitted) if plan.verifies_prompt_tokens else None
    return Context(plan, admitted, _NO_BALANCES if balances is None else balances, now, counted, measures or _UNKNOWN)


def _decide(plan: Plan, context: Context) -> Decision:
    access = decide_access(context)
    if not access.allowed:
        return Decision(context, access, None, (), (), access.rule)
    try:
        route = decide_route(context)
    except Refusal as refusal:
        return Decision(context, access, None, (), (), refusal.rule, refusal.reason)
    if plan.stages.only_routes and (served := _at_once(context, route)):
        return Decision(context, access, route, served, (), route.id)
    excluded: list[Exclusion] = []
    try:
        if isinstance(route.target, BySplit):
            route = drawn(context, route)
            if plan.stages.only_routes and (served := _at_once(context, route)):
                return Decision(context, access, route, served, (), route.id)
        _, kept = _along(context, access, route, excluded, 1 + plan.defaults.max_fallbacks)
    except Refusal as refusal:
        return Decision(context, access, route, (), tuple(excluded), refusal.rule or route.id, refusal.reason)
    if not kept:
        return _on_ways_out(plan, context, access, route, excluded)
    if excluded:  # a choice may have ruled out what waived terms then let in at the end
        names = [candidate.name for candidate in kept]
        excluded = [item for item in excluded if item.model not in names]
    return Decision(context, access, route, tuple(kept), tuple(excluded), route.id)


def _along(
    context: Context, access: Access, route: RouteStep, excluded: list[Exclusion], wanted: int
) -> tuple[Picked, list[Candidate]]:
    """Return the models that a route without splits names, and the first ``wanted`` that may serve."""
    prepare = Preparations(context, route)
    picked = candidates_of(context, access, route, prepare, excluded)
    return picked, try_candidates(context, access, route, picked, prepare, excluded, wanted)


def first_estimate(context: Context) -> Estimate | None:
    """Return what a request is estimated at on the model that its route asks first, whatever comes of it.

    What access says of the request does not matter. None says that there is no such model, or that the route refuses
    the request.
    """
    try:
        route = drawn(context, decide_route(context))
        prepare = Preparations(context, route)
        access = decide_access(context) if context.plan.stages.access_by_model else ADMITTED
        names, *_ = candidates_of(context, access, route, prepare, [])
        return prepare.of(context.priced_model(names[0])).estimate if names else None
    except Refusal:
        return None


def candidates_on(context: Context, route: RouteStep) -> tuple[list[Candidate], list[Exclusion]]:
    """Return who would serve a request that access admits and that comes to a route, and who is excluded.

    Neither access nor other routes are asked. Raises ``Refusal`` where the route refuses the request.
    """
    excluded: list[Exclusion] = []
    if isinstance(route.target, BySplit):
        route = drawn(context, route)
    _, kept = _along(context, ADMITTED, route, excluded, 1 + context.plan.defaults.max_fallbacks)
    return kept, excluded


def _on_ways_out(plan: Plan, context: Context, access: Access, route: RouteStep, excluded: list[Exclusion]) -> Decision:
    """Decide what the route leaves undecided: nothing, where no choice has a way out."""
    search = _Search(context, access, route, excluded)
    try:
        if search.goes_on():
            search.run(1 + plan.defaults.max_fallbacks)
    except Refusal as refusal:
        return search.decision(refusal.rule, refusal.reason)
    return search.decision()


_NOT_AT_ONCE: Final = frozenset({
    "messages", "tools", "modalities", "response_format", "params", "latency_budget_ms", "warm_tokens",
})  # fmt: skip
"""Attributes of a request that take a closer look at it, or at each model."""


def _at_once(context: Context, route: RouteStep) -> tuple[Candidate, ...] | None:
    """Return the candidates of a route that names its models, for a bare request that each of them may serve.

    None says that there is more to look at: then the request is decided step by step, to the same effect.
    """
    request, target = context.request, route.target
    tokens = request.get("prompt_tokens")
    if tokens is None or context.counted is not None or not _NOT_AT_ONCE.isdisjoint(request):
        return None
    defaults = context.plan.defaults
    output, budget = request.get(OUTPUT_LIMIT, defaults.max_output_tokens), request.get("cost_budget")
    if output < 1 or not isinstance(target, ByName) or route.rewrite is not None:
        return None
    prepared = Prepared(request, (), (), tokens, GIVEN, output, 1)
    limit = math.inf if budget is None else budget * SURELY
    served: list[Candidate] = []
    for name in target.models[: 1 + defaults.max_fallbacks]:
        priced = context.models.get(name)
        if priced is None or priced.usual is None or priced.refusal:
            return None
        per_prompt, per_output, fixed = priced.usual
        price = per_prompt * tokens + per_output * output + fixed
        if output > priced.most_output or tokens + output > priced.window or price >= limit * priced.units_per_usd:
            return None
        served.append(Candidate(priced, prepared, output, price))
    return tuple(served)


class _Search:
    """The search for candidates from a route on: where it leaves none, on its ways out. ``route`` is the last one."""

    __slots__ = ("_access", "_before", "_context", "_excluded", "_kept", "_passed", "picked", "route")

    def __init__(self, context: Context, access: Access, route: RouteStep, excluded: list[Exclusion]) -> None:
        self._context = context
        self._access = access
        self._before: list[Exclusion] = []
        self._excluded = excluded
        self._kept: list[Candidate] = []
        self._passed: list[Passed] = []
        self.picked: Picked = (), 0, None
        self.route = route

    def run(self, wanted: int) -> None:
        """Find the first ``wanted`` models that may serve. Raises ``Refusal``."""
        while True:
            if isinstance(self.route.target, BySplit):
                self.route = drawn(self._context, self.route)
            self.picked, self._kept = _along(self._context, self._access, self.route, self._excluded, wanted)
            if self._kept or not self.goes_on():
                return

    def goes_on(self) -> bool:
        """Take the way out of a choice that leaves nothing, if there is one. It leads onward, so there is no loop."""
        way = self.route.on_none
        if way is None:
            return False
        self._passed.append((self.route, way.way))
        self._before += self._excluded
        self._excluded = []
        self.route = following(self._context, self.route) if way.route is None else way.route
        return True

    @property
    def names(self) -> tuple[str, ...]:
        """The models that may serve, in order."""
        return tuple([candidate.name for candidate in self._kept])

    @property
    def excluded(self) -> tuple[Exclusion, ...]:
        """Who is excluded in the end, each reason once. What terms once excluded may serve when they are put aside."""
        names = self.names
        return tuple(item for item in dict.fromkeys((*self._before, *self._excluded)) if item.model not in names)

    def decision(self, rule: str = "", refusal: str = "") -> Decision:
        """Return what the search came to. ``refusal`` is why it ended early, and ``rule`` which rule refused."""
        context, route, passed = self._context, self.route, tuple(self._passed)
        if refusal or not self._kept:
            refusal = refusal or nothing_left(context, route)
            return Decision(context, self._access, route, (), self.excluded, rule or route.id, refusal, passed=passed)
        before = dict.fromkeys(self._before)  # a way out may exclude for the same reason as the choice before it
        despite = tuple(item for name in self.names for item in before if item.model == name)
        kept = tuple(self._kept)
        return Decision(context, self._access, route, kept, self.excluded, route.id, passed=passed, despite=despite)


def try_candidates(
    context: Context,
    access: Access,
    route: RouteStep,
    picked: Picked,
    prepare: Preparations,
    excluded: list[Exclusion],
    wanted: int,
) -> list[Candidate]:
    """Return the first ``wanted`` models that may serve. Who is excluded before is added to ``excluded``.

    An active downgrade puts its models at the end of the queue. Each name is tried once, so there is no loop.
    """
    stages, models = context.plan.stages, context.models
    budgets = BudgetStage(context) if stages.budgets else None
    kept: list[Candidate] = []
    names, within, _ = picked
    queue, unpicked = list(names), None
    for place, name in enumerate(queue):  # downgrades may add to it while it is walked
        priced, outsider = models.get(name) or context.priced_model(name), None
        if place >= within:
            outsider = unpicked = unpicked or _Unpicked(context, route, picked)
        barred = None
        if stages.access_by_model or priced.refusal or outsider is not None:
            barred = _barred(context, access, priced, outsider)
        if barred is None:
            candidate, barred = _tried(prepare, priced, outsider)
            if barred is None and budgets is not None:
                candidate, barred = _judged(budgets, candidate, prepare)
                if candidate.verdict.thresholds:
                    unpicked = unpicked or _Unpicked(context, route, picked)
                    unpicked.join(queue, candidate.verdict.thresholds, excluded)
            if barred is None:
                kept.append(candidate)
                if len(kept) == wanted:
                    break
                continue
        excluded.append(barred)
    return kept


def _barred(context: Context, access: Access, priced: PricedModel, outsider: _Unpicked | None) -> Exclusion | None:
    """Say why a model may not serve whatever the call is, if so."""
    if priced.refusal:
        return Exclusion(priced.model.name, priced.refusal)
    return refused_model(context, access, priced) or (None if outsider is None else outsider.outside(priced))


def _tried(
    prepare: Preparations, priced: PricedModel, outsider: _Unpicked | None
) -> tuple[Candidate, Exclusion | None]:
    """Return the call on a model, and say why it cannot be made, if so."""
    candidate = prepare.of(priced)
    if reason := obstacle(prepare.request, candidate):
        return candidate, Exclusion(candidate.name, reason)
    return candidate, None if outsider is None else outsider.beyond(candidate)


class _Unpicked:
    """Candidates that the route did not pick: what downgrades add, each with its budget, and fallbacks of a choice."""

    __slots__ = ("_route", "added", "terms")

    def __init__(self, context: Context, route: RouteStep, picked: Picked) -> None:
        self.added: dict[str, str] = {}
        self.terms = Terms(context, route, picked)
        self._route = route

    def join(self, queue: list[str], active: Iterable[ActiveThreshold], excluded: Iterable[Exclusion]) -> None:
        """Put the models of downgrades at the end, but those that are there or that the choice has ruled out."""
        for item in active:
            for name in item.threshold.models:
                if name not in queue and not self._ruled_out(name, excluded):
                    queue.append(name)
                    self.added[name] = item.budget.id

    def outside(self, priced: PricedModel) -> Exclusion | None:
        """Return why a model does not meet the terms, whatever the call is."""
        name = priced.model.name
        reason = self.terms.outside(priced, added=name in self.added)
        return self.exclusion(name, reason) if reason else None

    def beyond(self, candidate: Candidate) -> Exclusion | None:
        """Return why the call on a model does not meet the terms; note where the model came from if it does."""
        budget = self.added.get(candidate.name)
        reason = self.terms.beyond(candidate, added=budget is not None)
        candidate.added_by = budget or ""
        return self.exclusion(candidate.name, reason) if reason else None

    def exclusion(self, name: str, reason: str) -> Exclusion:
        """Return why a model does not meet the terms, and which budget added it, if one did."""
        budget = self.added.get(name)
        if budget is None:
            return Exclusion(name, reason, self._route.id)
        return Exclusion(name, f"a threshold of budget `{budget}` adds it, but {reason}", self._route.id)

    def _ruled_out(self, name: str, excluded: Iterable[Exclusion]) -> bool:
        return self._route.binds_downgrades and any(item.model == name for item in excluded)


def _judged(budgets: BudgetStage, candidate: Candidate, prepare: Preparations) -> tuple[Candidate, Exclusion | None]:
    """Ask the budgets about a candidate, and say why it is excluded, if it is."""
    candidate.verdict = verdict = budgets.judge(candidate)
    if not verdict.thresholds:
        return candidate, verdict.barred or verdict.full
    reason = ""
    if verdict.barred is None and verdict.rewrites:
        source = candidate.added_by
        candidate = prepare.under(candidate, verdict.thresholds)  # what is held is the call as the thresholds leave it
        candidate.added_by = source
        reason = obstacle(prepare.request, candidate)
        candidate.verdict = verdict = verdict.after(budgets.judge(candidate))
    return candidate, verdict.exclusion or (Exclusion(candidate.name, reason) if reason else None)


@frozen
class Models:
    """``may_serve`` are in the order in which they are tried, as many as there are; ``excluded`` all others of the
    catalogue, each with the reason.
    """

    may_serve: tuple[str, ...]
    excluded: tuple[Exclusion, ...]


_ALL: Final = 2**62
"""More models than any plan has."""


def models_for(
    plan: Plan,
    request: Mapping[str, Any],
    balances: Balances | None,
    now: datetime,
    measures: Measures | None = None,
) -> Models:
    """Return where every model stands for a request. Takes and raises what ``decide`` does."""
    context = open_context(plan, request, balances, now, measures)
    access = decide_access(context)
    if not access.allowed:
        return _none(plan, "; ".join(access.reasons), access.rule)
    try:
        search = _Search(context, access, decide_route(context), [])
        search.run(_ALL)
    except Refusal as refusal:
        return _none(plan, refusal.reason, refusal.rule)
    told = {item.model: item for item in search.excluded}
    rest = _untried(context, access, search.route, {*search.names, *told}, search.picked)
    return Models(search.names, (*told.values(), *rest))


def _none(plan: Plan, reason: str, by: str) -> Models:
    return Models((), tuple(Exclusion(name, reason, by) for name in plan.catalogue.models))


def _untried(
    context: Context, access: Access, route: RouteStep, tried: set[str], picked: Picked
) -> Iterator[Exclusion]:
    """Yield why models were no candidates at all."""
    terms = Terms(context, route, picked)
    for name, priced in context.models.items():
        if name in tried:
            continue
        if priced.refusal:
            yield Exclusion(name, priced.refusal)
        elif refused := refused_model(context, access, priced):
            yield refused
        else:
            reason = terms.outside(priced, added=True) or f"neither route `{route.id}` nor a threshold names it"
            yield Exclusion(name, reason, route.id)
