"""What the stages walk through, rule by rule: access, routes and their targets, rewrites."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from costlens_policy.carry_over import CarryOver
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.priced_models import Shortlists
from costlens_policy.compiler.thresholds import BurnRate, Forecast, NeedsApproval
from costlens_policy.expressions.tree import Select
from costlens_policy.frozen import frozen, rebuilt
from costlens_policy.money import multiply
from costlens_policy.rewrites import RewriteStep, Step, combine
from costlens_policy.units import Measure, Unit, measure

if TYPE_CHECKING:
    from costlens_policy.periods import Schedule

__all__ = [
    "LONGEST_KEY",
    "AccessStep",
    "BudgetStep",
    "ByChoice",
    "ByExpression",
    "ByName",
    "BySplit",
    "ChoiceLimits",
    "Combinations",
    "Merge",
    "OnNone",
    "QuantileStep",
    "RewriteRule",
    "RouteStep",
    "TargetStep",
    "ThresholdStep",
    "Way",
    "drawn_by",
    "key_problem",
    "routes_in",
]


Merge: TypeAlias = Literal["append", "min", "max", "set_once"]


@rebuilt
@frozen
class AccessStep:
    """A rule of the access stage. ``id`` is ``policy/rule``, as in every step; ``when`` absent means always.

    ``only`` and ``only_models`` say which models may serve where the rule holds: such a rule denies all others.
    ``by_model`` says whether it has to be asked for each candidate.
    """

    id: str
    when: Formula | None
    denies: bool
    reason: str
    only: Formula | None = None
    only_models: tuple[str, ...] = ()
    by_model: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        reads = self.when is not None and self.when.reads("model")
        object.__setattr__(self, "by_model", reads or self.only is not None or bool(self.only_models))


@frozen
class ByName:
    """Models in the order in which they are tried."""

    models: tuple[str, ...]


@frozen
class ByExpression:
    """The model that an expression names, then the fallbacks."""

    model: Formula
    fallbacks: tuple[str, ...]


@frozen
class BySplit:
    """Shares of the keys: ``bounds[i]`` is the sum of the weights up to share ``i``.

    Without ``key``, each call is drawn by itself, by its id. Each share is the route as it is for the keys that fall
    into it: with its target, and all that the split adds to it.
    """

    key: Formula | None
    salt: str
    bounds: tuple[int, ...]
    shares: tuple[RouteStep, ...]


@frozen
class ChoiceLimits:
    """What a candidate of a choice keeps to; ``None`` means no limit.

    ``within`` is how far its quality may stay behind the best of those that can serve. ``quality`` is the attribute of
    ``model`` that counts as its quality, by task.
    """

    max_cost_usd: Decimal | None = None
    max_latency_ms: float | None = None
    min_quality: float | None = None
    requires: frozenset[str] = frozenset()
    within: float | None = None
    quality: Literal["quality", "quality_low"] = "quality"


Way: TypeAlias = Literal["cheapest", "best", "next", "target"]


@frozen
class OnNone:
    """The way out where no candidate of a choice is left: the route as it is then, or None for the next route."""

    way: Way
    route: RouteStep | None


@rebuilt
@frozen
class ByChoice:
    """The best of ``models`` by ``score``, or by the cost without one.

    What depends on the catalogue alone is in ``shortlists``: the filter too, where ``asks_each_time`` is false.
    """

    models: tuple[str, ...]
    among: Formula | None
    score: Formula | None
    descending: bool
    limits: ChoiceLimits
    fallbacks: tuple[str, ...]
    on_none: OnNone | None = None
    asks_each_time: bool = field(init=False, repr=False, compare=False)
    by_cost: bool = field(init=False, repr=False, compare=False)
    """Whether the score is the cost and nothing else, and no limit depends on the request but that on the cost."""
    shortlists: Shortlists = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        limits, among = self.limits, self.among
        asks = among is not None and any(path[0] != "model" for path in among.typed.references)
        # The cost is examined before the latency: a model that fails both is excluded for its cost.
        latency = limits.max_latency_ms if limits.max_cost_usd is None else None
        by_cost = _is_cost(self.score) and limits.min_quality is None and latency == limits.max_latency_ms
        among = None if asks else among
        shortlists = Shortlists(self.models, among, limits.requires, latency, limits.max_cost_usd)
        object.__setattr__(self, "asks_each_time", asks)
        object.__setattr__(self, "by_cost", by_cost and not asks)
        object.__setattr__(self, "shortlists", shortlists)


def _is_cost(score: Formula | None) -> bool:
    if score is None:
        return True
    root = score.typed.root
    return isinstance(root, Select) and not root.optional and score.typed.references == {("estimate", "cost_usd")}


TargetStep: TypeAlias = ByName | ByExpression | BySplit | ByChoice


@frozen
class RewriteRule:
    """A rule of the rewrites stage, or what a route applies on its own. ``reads_model`` says whether its condition has
    to be asked for each candidate, ``values_read_model`` whether what it writes differs by candidate.
    """

    id: str
    when: Formula | None
    steps: tuple[RewriteStep, ...]
    merge: Merge | None
    reads_model: bool
    values_read_model: bool
    reason: str


@frozen
class RouteStep:
    """A rule of the routes stage; ``layer`` is the index of the layer whose variables its target reads. The default
    route has the index after the last. ``rewrite`` has the id of the route and no condition.

    ``binds_fallbacks`` and ``binds_downgrades`` say whether its own fallbacks, and the models that budgets add, have to
    meet its terms. ``shares`` are those that its splits have drawn, outermost first, and ``beside`` the models that
    their other shares name; ``by_call`` says that one was drawn for the call alone. ``place`` is its id with what leads
    to this target: shares, and ways out.
    """

    id: str
    when: Formula | None
    target: TargetStep
    reason: str
    layer: int
    rewrite: RewriteRule | None
    binds_fallbacks: bool = True
    binds_downgrades: bool = True
    place: str = ""
    shares: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    by_call: bool = False

    @property
    def draws_by_id(self) -> bool:
        """Whether one of its splits draws each call by itself."""
        splits = (step.target for step in routes_in(self) if isinstance(step.target, BySplit))
        return any(split.key is None for split in splits)

    @property
    def passes_on(self) -> bool:
        """Whether it may leave the request to the next route that matches."""
        ways = (step.on_none for step in routes_in(self))
        return any(way is not None and way.route is None for way in ways)

    @property
    def on_none(self) -> OnNone | None:
        """The way out of the choice that the target is, if it has one."""
        return self.target.on_none if isinstance(self.target, ByChoice) else None


def routes_in(route: RouteStep) -> Iterator[RouteStep]:
    """Yield a route and what it may become: its shares and its ways out, at any depth."""
    yield route
    way = route.on_none
    for step in route.target.shares if isinstance(route.target, BySplit) else ():
        yield from routes_in(step)
    if way is not None and way.route is not None:
        yield from routes_in(way.route)


def drawn_by(route: RouteStep) -> Iterator[str]:
    """Yield the attributes by which the splits of a route draw; one may come several times."""
    for step in routes_in(route):
        if isinstance(step.target, BySplit):
            key = step.target.key
            yield from ("id",) if key is None else (path[1] for path in key.typed.references if path[1:])


_KEPT: Final = 256


class Combinations:
    """The steps for selections of rules. Each is made once and kept for a while; safe for threads."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: dict[tuple[int, ...], tuple[Step, ...]] = {}

    def of(self, rules: Sequence[tuple[int, RewriteRule]]) -> tuple[Step, ...]:
        """Return the steps of rules of one plan, in order, joined where they set the same target."""
        key = tuple([id(rule) for _, rule in rules])  # what shares of one route apply has one name
        steps = self._made.get(key)
        if steps is None:
            if len(self._made) >= _KEPT:
                self._made.clear()
            steps = self._made[key] = combine((rule.merge, rule.steps) for _, rule in rules)
        return steps


LONGEST_KEY: Final = 512
"""Bytes of a scope key: with the name of the budget and its period, every store can keep it."""

_ONE: Final = Decimal(1)


def key_problem(key: str) -> str | None:
    """Return why no ledger could keep a scope key, None where every one can: then all of them keep it alike."""
    if key.isascii() and len(key) <= LONGEST_KEY and "\x00" not in key:
        return None
    if "\x00" in key:
        return "must not contain the character NUL"
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "must not contain half of a surrogate pair"
    return None if size <= LONGEST_KEY else f"must have at most {LONGEST_KEY} bytes, got {size:,}"


@frozen
class ThresholdStep:
    """A point before the limit of a budget: at a ratio of the hard limit, at an amount, or at a forecast.

    ``exclude`` absent with ``excludes`` true: all models that are not in ``models`` are excluded. ``name`` tells it
    from the other thresholds of its budget.
    """

    at_ratio: Decimal | None
    at_amount: Decimal | None
    alert: str | None
    steps: tuple[RewriteStep, ...]
    excludes: bool
    exclude: Formula | None
    models: tuple[str, ...]
    name: str = ""
    expects: Forecast | BurnRate | None = None
    """What is to be expected of the budget while it is active; None where it is active from an amount on."""
    approval: NeedsApproval | None = None
    """The approval without which it excludes every model."""

    @property
    def acts(self) -> bool:
        """Whether it does more than to alert: excludes models, asks for an approval, or changes the call."""
        return self.excludes or self.approval is not None or bool(self.steps)

    @property
    def is_soft_limit(self) -> bool:
        return self.at_amount is not None and ":" not in self.name

    def starts_at(self, limit: Decimal) -> Decimal:
        """Return the amount from which the threshold is active; one at a forecast has none."""
        if self.at_amount is not None:
            return self.at_amount
        assert self.at_ratio is not None
        return multiply(self.at_ratio, limit)


def _lowest(thresholds: tuple[ThresholdStep, ...]) -> tuple[ThresholdStep, ...]:
    amounts = [threshold for threshold in thresholds if threshold.at_amount is not None]
    ratios = [threshold for threshold in thresholds if threshold.at_amount is None]
    return tuple(min(group, key=lambda threshold: threshold.starts_at(_ONE)) for group in (amounts, ratios) if group)


@frozen
class QuantileStep:
    """What a budget holds in place of the worst case, from how many ``cases`` of a kind on."""

    quantile: Decimal
    cases: int


@rebuilt
@frozen
class BudgetStep:
    """A budget. ``limit`` is a constant, or a formula that gives a number in the budget's ``unit``."""

    id: str
    when: Formula | None
    scope: Formula | None
    unit: Unit
    limit: Decimal | Formula
    terms: Mapping[str, Any]
    """The time in which the limit holds, as the document gives it, with its defaults."""
    thresholds: tuple[ThresholdStep, ...]
    """In the order in which they act: first those at amounts, then those at forecasts."""
    shadow: bool
    reason: str
    overflow: str = ""
    """The budget (``policy/budget``) on which a call counts that has no room here; empty where there is none."""
    hold: QuantileStep | None = None
    """None where the worst case is held."""
    reserved_from: str = ""
    """The budget (``policy/budget``) out of which this one is set aside; empty where there is none."""
    reserved_for: timedelta = timedelta(0)
    """How long it stays set aside after a call."""
    carry_over: CarryOver | None = None
    approver_above: Decimal | None = None
    """By how much people may raise the limit without an approver; None where they always may."""
    """What earlier periods add to the limit."""
    measure: Measure = field(init=False, repr=False, compare=False)
    """How the unit's amounts are counted."""
    per_call: bool = field(init=False)
    """Whether nothing adds up: the limit is on each call by itself."""
    charged_by_calls: bool = field(init=False)
    """Whether each call is held and charged: not where nothing adds up, nor where runs count, each once."""
    has_terms: bool = field(init=False)
    """Whether there are times or requests for which the budget has no effect."""
    when_reads_model: bool = field(init=False)
    scope_reads_model: bool = field(init=False)
    span: tuple[datetime, datetime] | None = field(init=False)
    """First moment of a fixed span of time, and first moment after it."""
    levels: tuple[ThresholdStep, ...] = field(init=False, repr=False, compare=False)
    """The thresholds that are active from an amount on."""
    forecasts: tuple[ThresholdStep, ...] = field(init=False, repr=False, compare=False)
    """The others, at forecasts and burn rates."""
    recent: Mapping[str, timedelta] = field(init=False, repr=False, compare=False)
    """The times over which burn rates are measured, by what policies write."""
    lowest: tuple[ThresholdStep, ...] = field(init=False, repr=False, compare=False)
    """Of the thresholds at amounts, and of those at ratios, the one that is reached first."""
    first: Decimal | None = field(init=False, repr=False, compare=False)
    """``first_under`` the limit, for one that is constant."""
    _firsts: dict[Decimal, Decimal] = field(init=False, repr=False, compare=False)
    _schedule: list[Schedule] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        terms = self.terms
        object.__setattr__(self, "_firsts", {})
        object.__setattr__(self, "_schedule", [])
        object.__setattr__(self, "measure", measure(self.unit))
        object.__setattr__(self, "per_call", "per_call" in terms)
        object.__setattr__(self, "charged_by_calls", not self.per_call and self.unit != "runs")
        object.__setattr__(self, "span", (terms["starts_at"], terms["ends_at"]) if "starts_at" in terms else None)
        object.__setattr__(self, "has_terms", self.when is not None or self.span is not None or self.unit == "runs")
        object.__setattr__(self, "when_reads_model", self.when is not None and self.when.reads("model"))
        object.__setattr__(self, "scope_reads_model", self.scope is not None and self.scope.reads("model"))
        object.__setattr__(self, "levels", tuple(item for item in self.thresholds if item.expects is None))
        object.__setattr__(self, "forecasts", tuple(item for item in self.thresholds if item.expects is not None))
        rates = [item.expects for item in self.forecasts if isinstance(item.expects, BurnRate)]
        object.__setattr__(self, "recent", {text: span for item in rates for text, span in item.windows})
        object.__setattr__(self, "lowest", _lowest(self.levels))
        object.__setattr__(self, "first", None if isinstance(self.limit, Formula) else self.first_under(self.limit))

    def first_under(self, limit: Decimal) -> Decimal:
        """Return what is reached first under a limit: a threshold, or the limit itself. Kept, as most limits recur."""
        known = self._firsts.get(limit)
        if known is None:
            known = min([limit, *[threshold.starts_at(limit) for threshold in self.lowest]])
            if len(self._firsts) < _KEPT:
                self._firsts[limit] = known
        return known

    @property
    def schedule(self) -> Schedule:
        """The periods of the window, made when they are first asked for."""
        if not self._schedule:
            from costlens_policy.periods import schedule_of

            self._schedule.append(schedule_of(self.terms))
        return self._schedule[0]

    def in_force(self, now: datetime) -> bool:
        """Whether the budget has an effect at a time: one of a fixed span has none outside of it."""
        return self.span is None or self.span[0] <= now < self.span[1]
