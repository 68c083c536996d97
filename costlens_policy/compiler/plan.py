"""The plan: a policy set ready to decide. Immutable, free of files, shared by any number of threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from costlens_policy.catalogue import Catalogue
from costlens_policy.compiler.attributes import Admit, RequestAttribute
from costlens_policy.compiler.combinations import Combinations
from costlens_policy.compiler.first_route import FirstRoute
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.shortlist import Shortlists
from costlens_policy.compiler.snapshot import Snapshots
from costlens_policy.expressions import Value
from costlens_policy.expressions.tree import Select
from costlens_policy.money import multiply
from costlens_policy.rewrites import RewriteStep
from costlens_policy.tokens import Tokenizer

if TYPE_CHECKING:
    from costlens_policy.documents.windows import Window
    from costlens_policy.periods import Schedule

__all__ = [
    "AccessStep", "BudgetStep", "ByChoice", "ByExpression", "ByName", "BySplit", "ChoiceLimits", "Layer", "Plan",
    "PlanDefaults", "RewriteRule", "RouteStep", "RungStep", "Stages", "TargetStep",
]  # fmt: skip

_ONE: Final = Decimal(1)
_NEVER: Final = Decimal("Infinity")

OnError: TypeAlias = Literal["deny", "skip"]
Merge: TypeAlias = Literal["append", "min", "max", "set_once"]


@dataclass(frozen=True, slots=True)
class AccessStep:
    """A rule of the access stage. ``id`` is ``policy/rule``, as in every step; ``when`` absent means always."""

    id: str
    when: Formula | None
    denies: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ByName:
    """Models in the order in which they are tried."""

    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ByExpression:
    """The model that an expression names, then the fallbacks."""

    model: Formula
    fallbacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BySplit:
    """Shares of the keys: ``bounds[i]`` is the sum of the weights up to model ``i``."""

    key: Formula
    salt: str
    models: tuple[str, ...]
    bounds: tuple[int, ...]
    fallbacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChoiceLimits:
    """What a candidate of a choice keeps to; ``None`` means no limit."""

    max_cost_usd: Decimal | None
    max_latency_ms: float | None
    min_quality: float | None
    requires: frozenset[str]


@dataclass(frozen=True, slots=True)
class ByChoice:
    """The best of ``models`` by ``score``.

    What depends on the catalogue alone is in ``shortlists``: the filter too, where ``asks_each_time`` is false.
    """

    models: tuple[str, ...]
    among: Formula | None
    score: Formula
    descending: bool
    limits: ChoiceLimits
    fallbacks: tuple[str, ...]
    asks_each_time: bool = field(init=False, repr=False, compare=False)
    by_cost: bool = field(init=False, repr=False, compare=False)
    """Whether the score is the cost and nothing else, and no limit depends on the request but that on the cost."""
    shortlists: Shortlists = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        limits, among = self.limits, self.among
        asks = among is not None and any(path[0] != "model" for path in among.typed.references)
        # The cost is examined before the latency: a model that fails both falls out for its cost.
        latency = limits.max_latency_ms if limits.max_cost_usd is None else None
        by_cost = _is_cost(self.score) and limits.min_quality is None and latency == limits.max_latency_ms
        among = None if asks else among
        shortlists = Shortlists(self.models, among, limits.requires, latency, limits.max_cost_usd)
        object.__setattr__(self, "asks_each_time", asks)
        object.__setattr__(self, "by_cost", by_cost and not asks)
        object.__setattr__(self, "shortlists", shortlists)


def _is_cost(score: Formula) -> bool:
    root = score.typed.root
    return isinstance(root, Select) and not root.optional and score.typed.references == {("estimate", "cost_usd")}


TargetStep: TypeAlias = ByName | ByExpression | BySplit | ByChoice


@dataclass(frozen=True, slots=True)
class RouteStep:
    """A rule of the routes stage; ``layer`` is the index of the layer whose variables its target reads."""

    id: str
    when: Formula | None
    target: TargetStep
    reason: str
    layer: int


@dataclass(frozen=True, slots=True)
class RewriteRule:
    """A rule of the rewrites stage. ``reads_model`` says whether its condition has to be asked for each candidate,
    ``values_read_model`` whether what it writes differs by candidate.
    """

    id: str
    when: Formula | None
    steps: tuple[RewriteStep, ...]
    merge: Merge | None
    reads_model: bool
    values_read_model: bool
    reason: str


@dataclass(frozen=True, slots=True)
class RungStep:
    """A step of a budget's ladder, at a ratio of the hard limit or, for a soft limit, at an amount.

    ``exclude`` absent with ``excludes`` true: all models that are not in ``models`` fall out.
    """

    at_ratio: Decimal | None
    at_amount: Decimal | None
    alert: str | None
    steps: tuple[RewriteStep, ...]
    excludes: bool
    exclude: Formula | None
    models: tuple[str, ...]

    def starts_at(self, limit: Decimal) -> Decimal:
        """Return the amount from which the rung is active."""
        if self.at_amount is not None:
            return self.at_amount
        assert self.at_ratio is not None
        return multiply(self.at_ratio, limit)


def _lowest(rungs: tuple[RungStep, ...]) -> tuple[RungStep, ...]:
    amounts = [rung for rung in rungs if rung.at_amount is not None]
    ratios = [rung for rung in rungs if rung.at_amount is None]
    return tuple(min(group, key=lambda rung: rung.starts_at(_ONE)) for group in (amounts, ratios) if group)


@dataclass(frozen=True, slots=True)
class BudgetStep:
    """A budget. ``limit`` is a constant, or a formula that gives a number in the budget's ``unit``."""

    id: str
    when: Formula | None
    scope: Formula | None
    unit: Literal["usd", "tokens", "requests"]
    limit: Decimal | Formula
    terms: Mapping[str, Any]
    """The time in which the limit holds, as the document gives it; ``window`` is its typed form."""
    rungs: tuple[RungStep, ...]
    shadow: bool
    reason: str
    per_call: bool = field(init=False)
    """Whether nothing adds up: the limit is on each call by itself."""
    has_terms: bool = field(init=False)
    """Whether there are times or requests for which the budget has no effect."""
    when_reads_model: bool = field(init=False)
    scope_reads_model: bool = field(init=False)
    span: tuple[datetime, datetime] | None = field(init=False)
    """First moment of a fixed span of time, and first moment after it."""
    lowest: tuple[RungStep, ...] = field(init=False, repr=False, compare=False)
    """Of the rungs at amounts, and of those at ratios, the one that is reached first."""
    first: Decimal | None = field(init=False, repr=False, compare=False)
    """``first_under`` the limit, for one that is constant."""
    _schedule: list[Schedule] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        terms = self.terms
        object.__setattr__(self, "_schedule", [])
        object.__setattr__(self, "per_call", "per_call" in terms)
        object.__setattr__(self, "span", (terms["starts_at"], terms["ends_at"]) if "starts_at" in terms else None)
        object.__setattr__(self, "has_terms", self.when is not None or self.span is not None)
        object.__setattr__(self, "when_reads_model", self.when is not None and self.when.reads("model"))
        object.__setattr__(self, "scope_reads_model", self.scope is not None and self.scope.reads("model"))
        object.__setattr__(self, "lowest", _lowest(self.rungs))
        object.__setattr__(self, "first", None if isinstance(self.limit, Formula) else self.first_under(self.limit))

    def first_under(self, limit: Decimal) -> Decimal:
        """Return what is reached first under a limit: a rung or, unless the budget is in shadow, the limit itself."""
        first = _NEVER if self.shadow else limit
        for rung in self.lowest:
            first = min(first, rung.starts_at(limit))
        return first

    @property
    def window(self) -> Window:
        """The time in which the limit holds. Made when it is asked for: deciding needs no types of documents."""
        from costlens_policy.documents.windows import window_of

        return window_of(self.terms)

    @property
    def schedule(self) -> Schedule:
        """The periods of the window, made when they are first asked for."""
        if not self._schedule:
            from costlens_policy.periods import schedule_of

            self._schedule.append(schedule_of(self.window))
        return self._schedule[0]

    def in_force(self, now: datetime) -> bool:
        """Whether the budget has an effect at a time: one of a fixed span has none outside of it."""
        return self.span is None or self.span[0] <= now < self.span[1]


@dataclass(frozen=True, slots=True)
class Layer:
    """One policy of the set, in its place."""

    name: str
    version: str
    on_error: OnError
    variables: Mapping[str, Formula]
    access: tuple[AccessStep, ...]
    routes: tuple[RouteStep, ...]
    rewrites: tuple[RewriteRule, ...]
    budgets: tuple[BudgetStep, ...]
    first_route: FirstRoute = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "first_route", FirstRoute([step.when for step in self.routes]))


@dataclass(frozen=True, slots=True)
class Stages:
    """What each stage walks through: the rules of all layers in order, each with the index of its layer.

    Most plans have nothing in some stage, which is then over at once.
    """

    access: tuple[tuple[int, AccessStep], ...]
    routes: tuple[tuple[int, FirstRoute], ...]
    rewrites: tuple[tuple[int, RewriteRule], ...]
    combinations: Combinations
    budgets: tuple[tuple[int, BudgetStep], ...]
    budgets_read_model: bool
    """Whether a budget may be another one, or none, for another model."""
    one_request_for_all: bool
    """Whether no rewrite reads ``model``, so that every candidate gets the same request."""
    has_variables: bool
    no_variables: tuple[Mapping[str, Value], ...]
    """The variables of all layers where ``has_variables`` is false."""

    @classmethod
    def of(cls, layers: tuple[Layer, ...]) -> Stages:
        return cls(
            access=tuple((index, step) for index, layer in enumerate(layers) for step in layer.access),
            routes=tuple((index, layer.first_route) for index, layer in enumerate(layers) if layer.routes),
            rewrites=tuple((index, rule) for index, layer in enumerate(layers) for rule in layer.rewrites),
            combinations=Combinations(),
            budgets=tuple((index, step) for index, layer in enumerate(layers) for step in layer.budgets),
            budgets_read_model=any(
                step.when_reads_model or step.scope_reads_model for layer in layers for step in layer.budgets
            ),
            one_request_for_all=not any(
                rule.reads_model or rule.values_read_model for layer in layers for rule in layer.rewrites
            ),
            has_variables=any(layer.variables for layer in layers),
            no_variables=({},) * len(layers),
        )


@dataclass(frozen=True, slots=True)
class PlanDefaults:
    """What holds where no rule speaks. ``route`` is a rule like any other: ``default``, without a condition.

    ``allowance_usd`` is what may be spent while the ledger cannot be reached; None refuses.
    """

    allows: bool
    route: RouteStep
    max_output_tokens: int
    max_fallbacks: int
    allowance_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled policy set.

    ``policy_digest`` and ``catalogue_digest`` are SHA-256 in hexadecimal over the content that decides; comments, key
    order and file names do not change them.
    """

    name: str
    version: str
    layers: tuple[Layer, ...]
    defaults: PlanDefaults
    attributes: Mapping[str, RequestAttribute]
    required: frozenset[str]
    filled_in: tuple[tuple[str, Value], ...]
    """Attributes with a default, and that default."""
    catalogue: Catalogue
    snapshots: Snapshots
    tokenizer: Tokenizer
    budgets: Mapping[str, tuple[int, BudgetStep]]
    """Every budget with its layer, by ``policy/budget`` and, where no other policy has the same, by its id alone."""
    policy_digest: str
    catalogue_digest: str
    reads: frozenset[str]
    """Those of ``ROOTS`` that any expression reads; the others need not be there."""
    admit: Mapping[str, Admit] = field(init=False, repr=False, compare=False)
    """What admits a value, by the name of its attribute."""
    budget_ids: frozenset[str] = field(init=False, repr=False, compare=False)
    """Every budget by ``policy/budget``, the name that balances go by."""
    reads_now: bool = field(init=False, repr=False, compare=False)
    reads_budgets: bool = field(init=False, repr=False, compare=False)
    stages: Stages = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "admit", {name: item.admit for name, item in self.attributes.items()})
        object.__setattr__(self, "budget_ids", frozenset(step.id for _, step in self.budgets.values()))
        object.__setattr__(self, "reads_now", "now" in self.reads)
        object.__setattr__(self, "reads_budgets", "budgets" in self.reads)
        object.__setattr__(self, "stages", Stages.of(self.layers))
