"""Step 3, routes: the first match over all layers in order, else the policy set's default.

A model that a budget adds, or that a choice has for a fallback, must not undo what the route promises.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Final, TypeAlias

from costlens_policy.checker.attributes import LIKELY_COST
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.priced_models import Bands, Listed, PricedModel, PriceTable, Shortlist
from costlens_policy.compiler.rules import ByChoice, ByExpression, ByName, BySplit, RouteStep
from costlens_policy.engine.access import Access, refused_model
from costlens_policy.engine.candidate import Candidate, Prepared, fits, obstacle
from costlens_policy.engine.context import Context, Refusal, task_of
from costlens_policy.engine.facts import Estimate, Exclusion
from costlens_policy.engine.preparation import Preparations
from costlens_policy.engine.within import contest_on, not_its_own, quality_of, too_far_behind, too_low
from costlens_policy.expressions import Value
from costlens_policy.expressions.compile.first_match import RuleError
from costlens_policy.expressions.runtime import CelError
from costlens_policy.money import format_usd

__all__ = [
    "Picked",
    "Terms",
    "beyond_limits",
    "candidates_of",
    "decide_route",
    "drawn",
    "estimate_view",
    "following",
    "key_without_id",
    "nothing_left",
    "outside_filter",
    "rank",
    "split_position",
]


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def decide_route(context: Context) -> RouteStep:
    """Return the first route whose condition holds."""
    for layer, first in context.plan.stages.routes:
        try:
            chosen = first.find(context.view, context.variables[layer], context.budgets, None, None, context.instant)
        except RuleError as failed:
            step = _one_by_one(context, layer, failed.index)
        else:
            step = None if chosen is None else context.plan.layers[layer].routes[chosen]
        if step is not None:
            return step
    return context.plan.defaults.route


def _one_by_one(context: Context, layer: int, start: int) -> RouteStep | None:
    """Walk the routes of a layer from one whose condition fails, so that failures are noted and handled as it says."""
    for step in context.plan.layers[layer].routes[start:]:
        if context.holds(step.when, layer, step.id, "routes"):
            return step
    return None


def following(context: Context, route: RouteStep) -> RouteStep:
    """Return the next route after one whose condition holds, else the default."""
    passed = False
    for index, layer in enumerate(context.plan.layers):
        for step in layer.routes:
            if passed and context.holds(step.when, index, step.id, "routes"):
                return step
            passed = passed or step.id == route.id
    return context.plan.defaults.route


def drawn(context: Context, route: RouteStep) -> RouteStep:
    """Return a route as it is for the shares that its splits draw. Raises ``Refusal``."""
    while isinstance(split := route.target, BySplit):
        key = _call_key(context) if split.key is None else _text(context, route, split.key)
        route = split.shares[split_position(key, split.salt, split.bounds)]
    return route


def _call_key(context: Context) -> str:
    """Return what tells a call apart: its id, else its time."""
    id = context.request.get("id")
    return key_without_id((context.now - _EPOCH) // _MICROSECOND) if id is None else str(id)


def key_without_id(micros: int) -> str:
    """Return what stands for the id of a call that has none: its microseconds since 1970."""
    return str(micros)


Picked: TypeAlias = tuple[Sequence[str], int, float | None]
"""The models to try, in order and each once, and how many of them the route picked: the others are fallbacks of a
choice, which have to meet its terms. Last the best quality that can serve, where a choice compares with it."""


def candidates_of(
    context: Context, access: Access, route: RouteStep, prepare: Preparations, excluded: list[Exclusion]
) -> Picked:
    """Return the models to try on a route without splits. What a choice rules out is added to ``excluded``."""
    target = route.target
    if isinstance(target, ByName):
        return target.models, len(target.models), None
    if isinstance(target, ByExpression):
        name = _text(context, route, target.model)
        known = context.plan.catalogue.find(name)
        return _all_within([name if known is None else known.name, *target.fallbacks])
    assert isinstance(target, ByChoice)
    ranked, best = rank(context, access, route, target, prepare, excluded)
    if not target.fallbacks:
        return ranked, len(ranked), best
    if not route.binds_fallbacks:
        return _all_within([*ranked, *target.fallbacks], best)
    told = {item.model for item in excluded}
    fallbacks = [name for name in target.fallbacks if name not in told]
    return _once([*ranked, *fallbacks]), len(ranked), best


def split_position(key: str, salt: str, bounds: tuple[int, ...]) -> int:
    """Return which share a key falls into: 64 bits of SHA-256 over salt, NUL and key, scaled to the weights."""
    from hashlib import sha256  # only splits need it

    digest = sha256(f"{salt}\0{key}".encode("utf-8", "surrogatepass")).digest()
    return bisect_right(bounds, int.from_bytes(digest[:8]) * bounds[-1] >> 64)


def _text(context: Context, route: RouteStep, formula: Formula) -> str:
    """Evaluate the expression that a target needs. Without it there is no target, so a failure refuses the request."""
    try:
        return str(context.evaluate(formula, route.layer))
    except CelError as error:
        context.note(formula, route.id, "routes", error)
        raise Refusal(route.id, f"routes: the target of `{route.id}` failed: {error}") from None


def _all_within(names: list[str], best: float | None = None) -> Picked:
    names = _once(names)
    return names, len(names), best


def _once(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


_SURELY_DISTINCT: Final = 2**52
"""Costs are compared as doubles, as expressions see them. Whole units below this are in the same order."""
_NONE: Final[Mapping[str, int]] = {}
_ASKED_OF_MODELS: Final = frozenset({"cost_budget", "latency_budget_ms"})
"""Attributes of a request that each model has to meet by itself."""


_Ranked: TypeAlias = tuple[Sequence[str], float | None]
"""Names, best first, and the best quality that can serve, where the choice compares with it."""


def rank(
    context: Context,
    access: Access,
    route: RouteStep,
    target: ByChoice,
    prepare: Preparations,
    excluded: list[Exclusion],
) -> _Ranked:
    """Return the names of the models that qualify, best first; equal scores keep the order of the names."""
    shortlist = target.shortlists.on(context.now.date(), context.priced_model)
    choice = _Choice(context, access, route, target, prepare, excluded)
    if not target.by_cost or shortlist.prices is None:
        return choice.one_by_one(shortlist.listed)
    if shortlist.ahead:
        choice.rule_out(shortlist.listed[: shortlist.ahead])
    if not prepare.usual_for_all(shortlist.qualified):
        return choice.one_by_one(shortlist.listed[shortlist.ahead :])
    if not shortlist.qualified:
        return [], None
    if target.limits.within is None:
        return choice.by_cost(shortlist, shortlist.prices), None
    return choice.by_cost_within(shortlist, shortlist.prices)


class _Unfit(Exception):  # noqa: N818 - control flow inside one choice
    """The model is not eligible; the text says why."""


class _Choice:
    def __init__(
        self,
        context: Context,
        access: Access,
        route: RouteStep,
        target: ByChoice,
        prepare: Preparations,
        excluded: list[Exclusion],
    ) -> None:
        self._access = access
        self._context = context
        self._route = route
        self._target = target
        self._prepare = prepare
        self._excluded = excluded

    def by_cost(self, shortlist: Shortlist, prices: PriceTable) -> Sequence[str]:
        """Rank by cost alone, on rows of numbers: a tenth of the time that judging one by one takes."""
        prepared = self._prepare.shared(shortlist.qualified[0])
        bands = prices.bands(prepared.prompt_tokens)
        units = self._units(prepared, bands, prices)
        dear: dict[str, int] = {}
        most = max(units)
        if prices.most_units is not None and most > prices.most_units:
            found = zip(bands.names, units, strict=True)
            dear = {name: cost for names, cost in found if cost > prices.most_units for name in names}
        if dear or len(shortlist.listed) > len(shortlist.qualified):
            self.rule_out(shortlist.listed[shortlist.ahead :], prices, dear)
        names = self._by_units(bands, units, prices)
        return [name for name in names if name not in dear] if dear else names

    def by_cost_within(self, shortlist: Shortlist, prices: PriceTable) -> _Ranked:
        """Rank by cost alone those that are within reach of the best: without a look at the others, where it can be."""
        prepared, request = self._prepare.shared(shortlist.qualified[0]), self._context.request
        asks_more = prepared.needs or not _ASKED_OF_MODELS.isdisjoint(request)
        if prices.most_units is not None or asks_more or self._context.plan.stages.access_by_model:
            return self.one_by_one(shortlist.listed[shortlist.ahead :])
        if len(shortlist.listed) > len(shortlist.qualified):
            self.rule_out(shortlist.listed[shortlist.ahead :])
        contest = contest_on(shortlist, self._target.limits, task_of(self._context), self._route.id)
        fitted, place = self._prepare.limit_is_default(prepared), 0
        for priced in contest.order:
            if fits(priced, prepared, fitted=fitted):
                break
            place += 1
        field = contest.field(place)
        self._excluded.extend(field.excluded)
        bands = field.prices.bands(prepared.prompt_tokens)
        return self._by_units(bands, self._units(prepared, bands, field.prices), field.prices), field.best

    def _by_units(self, bands: Bands, units: Sequence[int], prices: PriceTable) -> Sequence[str]:
        scores: Sequence[float] = units
        if units and max(units) >= _SURELY_DISTINCT:
            scores = [cost / prices.units_per_usd for cost in units]
        return _ranked(bands, scores, self._target.descending)

    def _units(self, prepared: Prepared, bands: Bands, prices: PriceTable) -> list[int]:
        """Return what the call costs in each band, in units of the price table."""
        tokens, output, completions = prepared.prompt_tokens, prepared.output_tokens, prepared.completions
        if output > prices.least_output and self._prepare.limit_is_default(prepared):
            return [
                prompt * tokens + said * (output if output <= most else int(most)) * completions + request
                for prompt, said, request, most in bands.rows
            ]
        output *= completions
        return [prompt * tokens + said * output + request for prompt, said, request, _ in bands.rows]

    def rule_out(
        self, items: Sequence[Listed], prices: PriceTable | None = None, dear: Mapping[str, int] = _NONE
    ) -> None:
        """Tell which models do not qualify, and which of the others are too dear."""
        for item in items:
            name = item.priced.model.name
            try:
                self._examine(item)
                if prices is not None and name in dear:
                    raise _Unfit(_too_dear(format_usd(prices.cost(dear[name])), self._target))
            except _Unfit as unfit:
                self._excluded.append(Exclusion(name, str(unfit), self._route.id))

    def one_by_one(self, items: Sequence[Listed]) -> _Ranked:
        """Judge each model by itself, then those that are left by each other."""
        scored: list[tuple[float, str]] = []
        for item in items:
            name = item.priced.model.name
            try:
                score = self._judge(item)
            except _Unfit as unfit:
                self._excluded.append(Exclusion(name, str(unfit), self._route.id))
            else:
                if score is not None:
                    scored.append((-score if self._target.descending else score, name))
        best = None
        if self._target.limits.within is not None:
            names, best = self._within([name for _, name in scored])
            scored = [pair for pair in scored if pair[1] in names]
        scored.sort()
        return [name for _, name in scored], best

    def _within(self, names: Sequence[str]) -> tuple[set[str], float | None]:
        """Return who is within reach of the best that can serve, and its quality. Tell who is not."""
        limits, task = self._target.limits, task_of(self._context)
        known = {name: quality_of(self._context.priced_model(name), limits, task) for name in names}
        able = [quality for name, quality in known.items() if quality is not None and self._can_serve(name)]
        best, left = max(able, default=None), set()
        for name in known:
            if reason := too_far_behind(self._context.priced_model(name), best, limits, task):
                self._excluded.append(Exclusion(name, reason, self._route.id))
            else:
                left.add(name)
        return left, best

    def _can_serve(self, name: str) -> bool:
        """Say whether a model can serve the request, budgets aside."""
        priced = self._context.priced_model(name)
        if self._context.plan.stages.access_by_model and refused_model(self._context, self._access, priced):
            return False
        return not obstacle(self._prepare.request, self._prepare.of(priced))

    def _judge(self, item: Listed) -> float | None:
        """Return the score of a model, None where the filter leaves it out. Raises ``_Unfit``."""
        target = self._target
        if target.asks_each_time and target.among is not None and not self._value(target.among, item.priced):
            return None
        self._examine(item)
        candidate = self._prepare.of(item.priced)
        reason = beyond_limits(self._context, target, candidate)
        if reason:
            raise _Unfit(reason)
        if target.score is not None:
            return float(self._value(target.score, item.priced, candidate))
        if candidate.cost is None:
            raise _Unfit("its cost is not known")
        return float(candidate.cost)

    def _examine(self, item: Listed) -> None:
        """Raise ``_Unfit`` for a model that does not qualify, whatever the request is."""
        if item.error is not None:
            assert self._target.among is not None
            raise self._failed(self._target.among, item.error, item.priced)
        if item.reason:
            raise _Unfit(item.reason)

    def _value(self, formula: Formula, priced: PricedModel, candidate: Candidate | None = None) -> Value:
        estimate = None if candidate is None else estimate_view(candidate)
        try:
            value = self._context.evaluate(formula, self._route.layer, priced.view, estimate)
            if isinstance(value, float) and math.isnan(value):
                raise CelError("CL932", "the score is not a number")
        except CelError as error:
            raise self._failed(formula, error, priced) from None
        return value

    def _failed(self, formula: Formula, error: CelError, priced: PricedModel) -> _Unfit:
        self._context.note(formula, self._route.id, "routes", error)
        return _Unfit(_no_judgement(self._context, formula, error, priced))


def _ranked(bands: Bands, scores: Sequence[float], descending: bool) -> Sequence[str]:
    """Return the names of all models by the scores of their bands; equal scores keep the order of the names."""
    if len(set(scores)) == len(scores):
        return bands.in_order(tuple(sorted(range(len(scores)), key=scores.__getitem__, reverse=descending)))
    each = [(score, name) for score, names in zip(scores, bands.names, strict=True) for name in names]
    each.sort(key=itemgetter(1))
    each.sort(key=itemgetter(0), reverse=descending)
    return [name for _, name in each]


def estimate_view(call: Candidate | Estimate) -> dict[str, Value]:
    """Return the record ``estimate`` of expressions."""
    view: dict[str, Value] = {"prompt_tokens": call.prompt_tokens, "output_tokens": call.output_tokens}
    cost = call.cost
    if cost is not None:
        view["cost_usd"] = float(cost)
        likely = call.likely_cost
        view[LIKELY_COST] = view["cost_usd"] if likely is None else float(likely)
    return view


def outside_filter(context: Context, route: RouteStep, target: ByChoice, priced: PricedModel) -> str:
    """Return what of a choice a model does not meet, whatever the call costs: its filter, what it requires."""
    among, missing = target.among, sorted(target.limits.requires - (priced.model.capabilities or frozenset()))
    if among is not None:
        try:
            if not context.evaluate(among, route.layer, priced.view):
                return f"the choice is among models with `{among.source}`"
        except CelError as error:
            context.note(among, route.id, "routes", error)
            return _no_judgement(context, among, error, priced)
    return f"the choice requires `{missing[0]}`" if missing else ""


def _no_judgement(context: Context, formula: Formula, error: CelError, priced: PricedModel) -> str:
    """Return that an expression failed for a model, and if it may be for a quality that only its base has."""
    paths = (path[1] for path in formula.typed.references if path[0] == "model" and path[1:])
    whose = ""
    if any(name.startswith("quality") for name in paths):
        whose = not_its_own(priced.model, task_of(context))
    return f"the choice cannot judge it: {error}{whose and f'; its quality is not known{whose}'}"


def nothing_left(context: Context, route: RouteStep) -> str:
    """Return the reason of a request that no candidate may serve; of a choice, for how many models its filter holds."""
    target = route.target
    if not isinstance(target, ByChoice) or target.among is None:
        return "candidates: none is left"
    shortlist = target.shortlists.on(context.now.date(), context.priced_model)
    left = len(shortlist.listed)
    if target.asks_each_time:
        left = sum(not _filtered_out(context, route, target.among, item.priced) for item in shortlist.listed)
    among = f"`{target.among.source}` holds for {left} of {len(target.models)} models of the choice"
    return f"candidates: none is left; {among}"


def _filtered_out(context: Context, route: RouteStep, among: Formula, priced: PricedModel) -> bool:
    try:
        return not context.evaluate(among, route.layer, priced.view)
    except CelError:  # that model is among the excluded
        return False


def beyond_limits(context: Context, target: ByChoice, candidate: Candidate) -> str:
    """Return which limit that depends on the request the model does not keep to; the unknown keeps to nothing."""
    limits, model, cost = target.limits, candidate.priced.model, candidate.cost
    if limits.max_cost_usd is not None and (cost is None or cost > limits.max_cost_usd):
        return _too_dear("an unknown amount" if cost is None else format_usd(cost), target)
    latency = model.latency_p50_ms
    if limits.max_latency_ms is not None and (latency is None or latency > limits.max_latency_ms):
        known = "not known" if latency is None else f"{latency:g} ms"
        return f"its median latency is {known}, the choice allows {limits.max_latency_ms:g} ms"
    if limits.min_quality is None:
        return ""
    return too_low(candidate.priced, limits, task_of(context))


def _too_dear(amount: str, target: ByChoice) -> str:
    assert target.limits.max_cost_usd is not None
    return f"it may cost {amount}, the choice allows {format_usd(target.limits.max_cost_usd)}"


class Terms:
    """The terms of one route in one decision. ``picked`` are the candidates of its target, fallbacks included."""

    __slots__ = ("_best", "_context", "_picked", "_route")

    def __init__(self, context: Context, route: RouteStep, picked: Picked) -> None:
        self._context = context
        self._route = route
        self._picked = frozenset(picked[0])
        self._best = picked[2]

    def outside(self, priced: PricedModel, *, added: bool) -> str:
        """Return what keeps a model from serving on this route whatever the call is, or an empty text.

        ``added`` says that a budget added it; otherwise it is a fallback of a choice.
        """
        route, target, name = self._route, self._route.target, priced.model.name
        if not self._binds(name, added=added):
            return ""
        if isinstance(target, ByChoice):
            reason = "it does not name the model" if added and name not in target.models else ""
            reason = reason or outside_filter(self._context, route, target, priced)
        else:
            reason = "" if name in self._picked else "it does not name the model"
        return f"it does not meet the terms of route `{route.id}`: {reason}" if reason else ""

    def beyond(self, candidate: Candidate, *, added: bool) -> str:
        """Return which limit of the choice the call on a model does not keep to, or an empty text."""
        route, target = self._route, self._route.target
        if not isinstance(target, ByChoice) or not self._binds(candidate.name, added=added):
            return ""
        reason, limits = beyond_limits(self._context, target, candidate), target.limits
        if not reason and limits.within is not None:
            reason = too_far_behind(candidate.priced, self._best, limits, task_of(self._context))
        return f"it does not meet the terms of route `{route.id}`: {reason}" if reason else ""

    def _binds(self, name: str, *, added: bool) -> bool:
        """Say whether a model has to meet the terms. Other shares of a split give theirs to requests of this route."""
        if added:
            return self._route.binds_downgrades and name not in self._route.beside
        return self._route.binds_fallbacks
