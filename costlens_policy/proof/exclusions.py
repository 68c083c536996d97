"""Why a route may refuse a request that comes to it: no candidate is left, or something on the way fails.

All of these ask for less than the engine does, never for more: where no request meets them, the route serves each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from math import inf, isinf, nextafter
from typing import Final

from costlens_policy.assurance import Every, Goal, Not, Rule, Subject
from costlens_policy.assurance.domain import Outcome
from costlens_policy.assurance.domain.trees import Atom
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.priced_models import PricedModel
from costlens_policy.compiler.rules import (
    AccessStep,
    BudgetStep,
    ByChoice,
    ByExpression,
    ByName,
    BySplit,
    RewriteRule,
    RouteStep,
    ThresholdStep,
    routes_in,
)
from costlens_policy.frozen import frozen
from costlens_policy.proof.conditions import double
from costlens_policy.proof.doubts import may_fail
from costlens_policy.proof.outcomes import ALWAYS, ANYTHING, NEVER, Outcomes, every, exactly, outcomes, settled, some
from costlens_policy.proof.spending import First, Sum, TooMuch, cost_of, may_be_too_much, only_lowers, written
from costlens_policy.proof.ways import Way, asked_of, priced_model, reaching

__all__ = ["Candidates", "Priced", "refused_by_routes"]

_MODEL: Final = ("model",)
_NEEDS: Final = {"tools": {"tools"}, "response_format": {"json_mode", "json_schema"}}
"""Attributes of a request, and what a model can do that meets whatever they ask for."""
_CAREFUL: Final = Fraction(1_000_000_001, 1_000_000_000)
"""What covers that amounts are rounded to doubles."""


def _leaves(step: RouteStep) -> Iterator[RouteStep]:
    """Yield a route as it is for each share that may be drawn."""
    if not isinstance(step.target, BySplit):
        yield step
        return
    bounds = step.target.bounds
    for index, share in enumerate(step.target.shares):
        if bounds[index] > (bounds[index - 1] if index else 0):
            yield from _leaves(share)


def _picked_first(subject: Subject, step: RouteStep) -> Iterator[tuple[str, Goal]]:
    """Yield the models that a route without splits may ask first, each with what is asked of it."""
    target = step.target
    if isinstance(target, ByName):
        yield target.models[0], ALWAYS
    elif isinstance(target, ByExpression):
        yield from asked_of(subject, step, target.model)
    elif isinstance(target, ByChoice):
        yield from ((name, ALWAYS) for name in (*target.models, *target.fallbacks))


def refused_by_routes(subject: Subject, meant: Sequence[Priced]) -> Iterator[Way]:
    """Yield how routes may refuse requests that are meant: those of each range of costs, on the model asked first."""
    for route in (*subject.rules["routes"], subject.default):
        assert isinstance(route.step, RouteStep)
        comes = reaching(subject, route, failing=True)
        matches = subject.condition(route.when, route.layer)
        for step in _leaves(route.step):
            for first, goal in _firsts(subject, step, meant):
                refused = Candidates(subject, first).refused(route.step, step)
                yield Way(Every([goal, comes, some([Not(matches), refused])]), route.id, step=step)


def _firsts(subject: Subject, step: RouteStep, meant: Sequence[Priced]) -> Iterator[tuple[First | None, Goal]]:
    """Yield which model may be asked first, and what the call may cost on it, with what is asked of such requests."""
    passed_on = any(route.passes_on for route in subject.rules["routes"])
    for priced in meant:
        if priced.most is None or passed_on:  # then it may be one of another route
            yield None, priced.goal
            continue
        for name, goal in _picked_first(subject, step):
            yield First(priced_model(subject, name), priced.most), every([goal, priced.goal])


@frozen(eq=False)
class Priced:
    """Requests that meet a goal, and cost ``most`` US dollars at most; None where that is not known."""

    goal: Goal
    most: Fraction | None = None


@frozen(eq=False)
class Candidates:
    """Those of requests that come to one route, with what the call comes to on the model that is asked first."""

    subject: Subject
    first: First | None = None

    def refused(self, route: RouteStep, drawn: RouteStep) -> Goal:
        """Return when a route may refuse a request, as it is for a share."""
        return some([self._raised(route), self._none_left(drawn)])

    def costs_more(self, name: str, most: Decimal) -> Goal:
        """Return when a call on a model may cost more than an amount, wherever the model comes from."""
        priced, plan = priced_model(self.subject, name), self.subject.plan
        routes = (plan.defaults.route, *(route for layer in plan.layers for route in layer.routes))
        own = [step.rewrite for route in routes for step in routes_in(route) if step.rewrite is not None]
        thresholds = [item for layer in plan.layers for budget in layer.budgets for item in budget.thresholds]
        if not all(map(only_lowers, own)) or any(item.steps for item in thresholds):
            return ALWAYS
        return self._costs_too_much(priced, _constant(Fraction(most)))

    # No candidate is left

    def _none_left(self, step: RouteStep) -> Goal:
        target, way = step.target, step.on_none
        if isinstance(target, BySplit):
            return some(self._none_left(share) for share in _leaves(step))
        if way is not None and way.route is None:
            return NEVER  # it passes the request on; what comes then is asked of the next routes
        if isinstance(target, ByName):
            left = every(self._excluded(name, step) for name in target.models)
        elif isinstance(target, ByExpression):
            asked = [
                every([goal, self._excluded(name, step)]) for name, goal in asked_of(self.subject, step, target.model)
            ]
            left = every([some(asked), *(self._excluded(name, step) for name in target.fallbacks)])
        else:
            left = every(self._unfit(name, step, target) for name in target.models)
            if not step.binds_fallbacks:
                left = every([left, *(self._excluded(name, step) for name in target.fallbacks)])
        return left if way is None or way.route is None else every([left, self._none_left(way.route)])

    def _unfit(self, name: str, step: RouteStep, target: ByChoice) -> Goal:
        """Return when a model of a choice may not serve: it does not qualify, or is excluded."""
        priced, limits = priced_model(self.subject, name), target.limits
        facts, latency = priced.model, priced.model.latency_p50_ms
        too_slow = limits.max_latency_ms is not None and (latency is None or latency > limits.max_latency_ms)
        if limits.requires - (facts.capabilities or frozenset()) or too_slow or limits.min_quality is not None:
            return ALWAYS
        if limits.within is not None:
            return ALWAYS
        if not _is_cost(target) or priced.period is None:
            return ALWAYS
        causes = [self._excluded(name, step), self._of(target.among, step.layer, name).untrue]
        if limits.max_cost_usd is not None:
            causes.append(self._costs_too_much(priced, _constant(Fraction(limits.max_cost_usd))))
        return some(causes)

    def _excluded(self, name: str, step: RouteStep) -> Goal:
        """Return when a model may fall out that the route names."""
        priced = priced_model(self.subject, name)
        if priced.refusal or name not in self.subject.domain.models:
            return ALWAYS
        causes = [*self._barred(name), *self._obstacles(priced, step)]
        for layer, budget in self.subject.plan.stages.budgets:
            if not budget.shadow:
                applies = self._of(budget.when, layer, name)
                full = some([self._full(priced, step, budget), *self._thresholds(priced, step, budget, layer)])
                causes.append(every([some([applies.true, applies.error]), full]))
        return some(causes)

    def _barred(self, name: str) -> Iterator[Goal]:
        """Yield when access rules may refuse a model."""
        subject = self.subject
        for rule in subject.rules["access"]:
            access = _access(rule)
            if not access.by_model:
                continue
            holds = self._of(access.when, rule.layer, name)
            if subject.plan.layers[rule.layer].on_error == "deny":
                yield holds.error
            if access.only is not None:
                yield every([holds.true, self._of(access.only, rule.layer, name).untrue])
            elif access.denies and name not in access.only_models:
                yield holds.true
        if not subject.plan.defaults.allows:
            allows = [rule for rule in subject.rules["access"] if not _access(rule).denies]
            yield every(self._of(rule.when, rule.layer, name).untrue for rule in allows)

    def _obstacles(self, priced: PricedModel, step: RouteStep) -> Iterator[Goal]:
        """Yield when a model may be unable to serve the call."""
        model, known = priced.model, priced.model.capabilities or frozenset()
        yield from (self._written(f"has(request.{name})") for name, needs in _NEEDS.items() if needs - known)
        if {"vision", "audio_input", "file_input"} - known:
            yield self._written("has(request.messages)")
        yield self._written("has(request.modalities)")
        yield self._written("has(request.cost_budget)")
        latency = model.latency_p50_ms
        late = "" if latency is None else f" && request.latency_budget_ms < {float(latency)!r}"
        yield self._written(f"has(request.latency_budget_ms){late}")
        if not isinf(priced.most_output):
            most = _constant(Fraction(int(priced.most_output)))
            yield self._may_exceed(priced, step, Sum(Fraction(0), Fraction(1)), most)
        if not isinf(priced.window):
            window = _constant(Fraction(int(priced.window)))
            yield self._may_exceed(priced, step, Sum(Fraction(1), Fraction(1)), window)

    # What calls come to

    def _may_exceed(self, priced: PricedModel, step: RouteStep | None, sum_: Sum, too_much: TooMuch) -> Goal:
        first = self.first
        if any(rule.reads_model for _, rule in self.subject.plan.stages.rewrites):
            first = None  # it may get another request than the one that is asked first
        bounded = may_be_too_much(self.subject, priced, sum_, too_much, first)
        return some([bounded, every([some(self._changes(priced, step)), too_much(inf)])])

    def _changes(self, priced: PricedModel, step: RouteStep | None) -> Iterator[Goal]:
        """Yield when a call may be more than the request asks for."""
        yield self._written("has(request.params)")  # several completions, other terms
        for layer, rule in self.subject.plan.stages.rewrites:
            if not only_lowers(rule):
                holds = self._of(rule.when, layer, priced.model.name)
                yield holds.true
        if step is not None and step.rewrite is not None:
            yield NEVER if only_lowers(step.rewrite) else ALWAYS

    def _costs_too_much(self, priced: PricedModel, too_much: TooMuch, step: RouteStep | None = None) -> Goal:
        """Return when it may be too much what a call costs, in US dollars."""
        price = cost_of(priced)
        found = too_much(inf) if price is None else self._may_exceed(priced, step, price, too_much)
        first = self.first
        if first is not None and first.priced.model.name == priced.model.name:
            found = every([found, too_much(first.most)])
        return found

    # Budgets

    def _full(self, priced: PricedModel, step: RouteStep, budget: BudgetStep) -> Goal:
        """Return when a budget may have no room for a call on a model, or may not be read."""
        if may_fail(self.subject.plan, budget.scope) or budget.scope_reads_model:
            return ALWAYS
        limit = budget.limit
        if isinstance(limit, Formula):
            return ALWAYS
        if budget.per_call:
            return self._adds_too_much(priced, step, budget, _constant(Fraction(limit)))
        return self._adds_too_much(priced, step, budget, lambda amount: self._left_below(budget, amount))

    def _thresholds(self, priced: PricedModel, step: RouteStep, budget: BudgetStep, layer: int) -> Iterator[Goal]:
        """Yield when a threshold of a budget may exclude a model, or change the call on it."""
        for threshold in budget.thresholds:
            if threshold.steps or threshold.approval is not None:
                excludes = ALWAYS
            elif not threshold.excludes:
                continue
            elif threshold.exclude is None:
                excludes = NEVER if priced.model.name in threshold.models else ALWAYS
            else:
                found = self._of(threshold.exclude, layer, priced.model.name)
                excludes = some([found.true, found.error])
            yield every([excludes, self._reached(priced, step, budget, threshold)])

    def _reached(self, priced: PricedModel, step: RouteStep, budget: BudgetStep, threshold: ThresholdStep) -> Goal:
        """Return when a call on a model may reach a threshold."""
        limit = budget.limit
        if isinstance(limit, Formula) or budget.scope_reads_model or threshold.expects is not None:
            return ALWAYS
        if budget.carry_over is not None:  # with a higher limit, the threshold stands further below it
            return ALWAYS
        start = Fraction(threshold.starts_at(limit))
        if budget.per_call:
            return self._adds_too_much(priced, step, budget, lambda amount: ALWAYS if amount >= start else NEVER)
        rest = Fraction(limit) - start
        return self._adds_too_much(priced, step, budget, lambda amount: self._left_below(budget, rest + amount))

    def _adds_too_much(self, priced: PricedModel, step: RouteStep, budget: BudgetStep, too_much: TooMuch) -> Goal:
        """Return when it may be too much what a call adds to a budget at most."""
        if budget.unit in ("requests", "runs"):
            return too_much(Fraction(1))
        if budget.measure.by_kind:
            return too_much(inf)
        if budget.unit == "tokens":
            return self._may_exceed(priced, step, Sum(Fraction(1), Fraction(1)), too_much)
        if cost_of(priced) is None:
            return too_much(inf)
        media = some(self._written(f"has(request.{name})") for name in ("messages", "modalities"))
        worse = some([media, *self._changes(priced, step)])
        return some([self._costs_too_much(priced, too_much, step), every([worse, too_much(inf)])])

    def _left_below(self, budget: BudgetStep, amount: Fraction | float) -> Goal:
        """Return that less than an amount, or just so much, is left of a budget, or nothing at all."""
        limit = budget.limit
        if isinf(amount) or isinstance(limit, Formula) or limit <= 0:
            return ALWAYS
        below = nextafter(float(amount * _CAREFUL), inf)
        uses, name = self.subject.domain.uses.by_read, f'budgets["{budget.id}"]'
        fields = {field for field in ("used_ratio", "left", "used") if ("budgets", budget.id, field) in uses}
        if fields == {"used_ratio"}:  # one field alone is decided exactly
            least = nextafter(float((1 - Fraction(below) / Fraction(limit)) / _CAREFUL), -inf)
            return self._written(f"{name}.used_ratio >= {double(Decimal(repr(least)))}")
        return self._written(f"{name}.left <= {double(Decimal(repr(below)))}")

    # Something fails

    def _raised(self, step: RouteStep) -> Goal:
        """Return when something may fail that refuses the request, whatever candidates there are."""
        return some(self._failures(step))

    def _failures(self, step: RouteStep) -> Iterator[Goal]:
        subject, target = self.subject, step.target
        yield self._written("has(request.params)")  # one that is no number of tokens or completions
        yield self._written("request.?max_output_tokens.orValue(1) < 1")
        if isinstance(target, ByExpression) and may_fail(subject.plan, target.model):
            yield ALWAYS
        if isinstance(target, BySplit):
            yield ALWAYS if may_fail(subject.plan, target.key) else NEVER
            yield from (self._raised(share) for share in target.shares)
        if step.rewrite is not None and not only_lowers(step.rewrite):
            yield ALWAYS
        for layer, rule in subject.plan.stages.rewrites:
            yield self._fails(layer, rule)
        for layer, budget in (*subject.plan.stages.budgets, *subject.plan.stages.overflows.values()):
            if subject.plan.layers[layer].on_error == "deny" and budget.when is not None:
                yield some(self._of(budget.when, layer, name).error for name in subject.domain.models)
            if any(threshold.steps for threshold in budget.thresholds):
                yield ALWAYS
        way = step.on_none
        if way is not None and way.route is not None:
            yield self._raised(way.route)

    def _fails(self, layer: int, rule: RewriteRule) -> Goal:
        """Return when a rewrite may fail, so that the request is refused, or may find the request too long."""
        refuses = self.subject.plan.layers[layer].on_error == "deny" or any(step.refuses for step in rule.steps)
        found = [self._of(rule.when, layer, name) for name in self.subject.domain.models]
        goals: list[Goal] = [item.error for item in found] if refuses else []
        if any(step.reads_texts for step in rule.steps) or (refuses and not only_lowers(rule)):
            goals += [item.true for item in found]
        return some(goals)

    # Conditions

    def _written(self, text: str) -> Goal:
        return written(self.subject, text)

    def _of(self, formula: Formula | None, layer: int, name: str) -> Outcomes:
        """Return what a condition may come to for a model."""
        if formula is None:
            return settled(True)
        domain = self.subject.domain

        def read(atom: Atom) -> Outcomes:
            if _MODEL not in atom.reads:
                return ANYTHING if ("estimate",) in atom.reads else exactly(atom)
            if atom.reads != (_MODEL,):
                return ANYTHING
            outcome = domain.evaluate(atom, {_MODEL: name})
            return _OUTCOMES[outcome]

        return outcomes(domain.tree(formula, layer), read)


_OUTCOMES: Final = {
    Outcome.TRUE: settled(True),
    Outcome.FALSE: settled(False),
    Outcome.ERROR: Outcomes(NEVER, NEVER, ALWAYS),
    Outcome.OPEN: ANYTHING,
}


def _constant(most: Fraction) -> TooMuch:
    """Return that more than a number is too much."""
    return lambda amount: ALWAYS if amount > most else NEVER


def _is_cost(target: ByChoice) -> bool:
    """Say whether a choice goes by the cost, which it can judge wherever there is a price."""
    return target.score is None or target.score.source.strip() == "estimate.cost_usd"


def _access(rule: Rule) -> AccessStep:
    assert isinstance(rule.step, AccessStep)
    return rule.step
