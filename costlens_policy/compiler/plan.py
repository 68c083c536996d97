"""The plan: a policy set ready to decide. Immutable, free of files, shared by any number of threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypeAlias

from costlens_policy.catalogue import Catalogue
from costlens_policy.checker.attributes import SIGNALS
from costlens_policy.compiler.attributes import Admit, RequestAttribute, Shapes
from costlens_policy.compiler.formula import FirstRoute, Formula
from costlens_policy.compiler.priced_models import Snapshots
from costlens_policy.compiler.rules import AccessStep, BudgetStep, Combinations, RewriteRule, RouteStep, routes_in
from costlens_policy.expressions import Value
from costlens_policy.frozen import frozen, rebuilt
from costlens_policy.rewrites import RewriteStep
from costlens_policy.tokens import Tokenizer

if TYPE_CHECKING:
    from costlens_policy.signals import Signal

__all__ = ["Layer", "OnError", "Plan", "PlanDefaults", "Stages"]

OnError: TypeAlias = Literal["deny", "skip"]


@rebuilt
@frozen
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


@frozen
class Stages:
    """What each stage walks through: the rules of all layers in order, each with the index of its layer.

    Most plans have nothing in some stage, which is then over at once.
    """

    access: tuple[tuple[int, AccessStep], ...]
    """Those rules that are asked once for a request."""
    access_by_model: tuple[tuple[int, AccessStep], ...]
    """Those that are asked for every candidate."""
    allows_by_model: bool
    """Whether one of them allows."""
    routes: tuple[tuple[int, FirstRoute], ...]
    rewrites: tuple[tuple[int, RewriteRule], ...]
    combinations: Combinations
    reads_texts: bool
    """Whether a rewrite, of a rule, a route or a threshold, looks through all texts of a request."""
    budgets: tuple[tuple[int, BudgetStep], ...]
    """Those that count calls by themselves."""
    overflows: Mapping[str, tuple[int, BudgetStep]]
    """By ``policy/budget``, those that count only what has no room on another one, each with its layer."""
    shares: Mapping[str, tuple[tuple[int, BudgetStep], ...]]
    """By ``policy/budget``, those that are reserved from that one, each with its layer."""
    quantiles: tuple[BudgetStep, ...]
    """Those that hold a quantile of what such calls have cost."""
    counts_kinds: bool
    """Whether a budget counts tokens of different kinds differently."""
    budgets_read_model: bool
    """Whether a budget may be another one, or none, for another model."""
    only_routes: bool
    """Whether nothing but routes decides: no rewrite, no budget, no access rule about models."""
    one_request_for_all: bool
    """Whether no rewrite of a rule reads ``model``, so that every candidate gets the same request from them."""
    has_variables: bool
    no_variables: tuple[Mapping[str, Value], ...]
    """The variables of all layers, and of the default route, where ``has_variables`` is false."""

    @classmethod
    def of(cls, layers: tuple[Layer, ...], default: RouteStep, *, shares_variables: bool) -> Stages:
        access = tuple((index, step) for index, layer in enumerate(layers) for step in layer.access)
        by_model = tuple((index, step) for index, step in access if step.by_model)
        budgets = [(index, step) for index, layer in enumerate(layers) for step in layer.budgets]
        named = {step.overflow for _, step in budgets}
        return cls(
            access=tuple((index, step) for index, step in access if not step.by_model),
            access_by_model=by_model,
            allows_by_model=not all(step.denies for _, step in by_model),
            routes=tuple((index, layer.first_route) for index, layer in enumerate(layers) if layer.routes),
            rewrites=tuple((index, rule) for index, layer in enumerate(layers) for rule in layer.rewrites),
            combinations=Combinations(),
            reads_texts=any(step.reads_texts for step in _rewrite_steps(layers, default)),
            budgets=tuple(item for item in budgets if item[1].id not in named),
            overflows={item[1].id: item for item in budgets if item[1].id in named},
            shares={
                of: tuple(item for item in budgets if item[1].reserved_from == of)
                for of in dict.fromkeys(step.reserved_from for _, step in budgets if step.reserved_from)
            },
            quantiles=tuple(step for _, step in budgets if step.hold is not None),
            counts_kinds=any(step.measure.by_kind for layer in layers for step in layer.budgets),
            budgets_read_model=any(
                step.when_reads_model or step.scope_reads_model for layer in layers for step in layer.budgets
            ),
            only_routes=not (by_model or any(layer.rewrites or layer.budgets for layer in layers)),
            one_request_for_all=not any(
                rule.reads_model or rule.values_read_model for layer in layers for rule in layer.rewrites
            ),
            has_variables=shares_variables or any(layer.variables for layer in layers),
            no_variables=({},) * (len(layers) + 1),
        )


def _rewrite_steps(layers: tuple[Layer, ...], default: RouteStep) -> Iterator[RewriteStep]:
    for route in (default, *(route for layer in layers for route in layer.routes)):
        for step in routes_in(route):
            if step.rewrite is not None:
                yield from step.rewrite.steps
    for layer in layers:
        for rule in layer.rewrites:
            yield from rule.steps
        for budget in layer.budgets:
            for threshold in budget.thresholds:
                yield from threshold.steps


@frozen
class PlanDefaults:
    """What holds where no rule speaks. ``route`` is a rule like any other: ``default``, without a condition.

    ``allowance_usd`` is what may be spent while the ledger cannot be reached; None refuses. ``task`` gives the task of
    a request that names none.
    """

    allows: bool
    route: RouteStep
    max_output_tokens: int
    max_fallbacks: int
    allowance_usd: Decimal | None
    task: Formula | None = None


@rebuilt
@frozen
class Plan:
    """A compiled policy set.

    ``policy_digest`` and ``catalogue_digest`` are SHA-256 in hexadecimal over the content that decides; comments, key
    order and file names do not change them.
    """

    name: str
    version: str
    variables: Mapping[str, Formula]
    """Those of the policy set, which every layer reads beside its own."""
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
    admitted_params: frozenset[str]
    """Parameters that requests may carry although they steer the call."""
    verifies_prompt_tokens: bool
    """Whether a caller's ``prompt_tokens`` count only where they are not below the count of the request's texts."""
    reads: frozenset[str]
    """Those of ``ROOTS`` that any expression reads; the others need not be there."""
    reads_asked_model: bool
    """Whether any expression reads ``request.asked_model``."""
    reads_signals: frozenset[str]
    """The signals that any expression reads."""
    reads_warmth: bool
    """Whether any expression reads what is likely in a prompt cache, or what that makes of the cost."""
    reads_id: bool
    """Whether any expression reads ``request.id``, or any split draws by it."""
    admit: Mapping[str, Admit] = field(init=False, repr=False, compare=False)
    """What admits a value, by the name of its attribute."""
    shapes: Shapes = field(init=False, repr=False, compare=False)
    """What admits a whole request, by the names of its attributes."""
    recorded: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Attributes that a ledger keeps with each call."""
    signals: Mapping[str, Signal] = field(init=False, repr=False, compare=False)
    """All that are declared, by their names."""
    budget_ids: frozenset[str] = field(init=False, repr=False, compare=False)
    """Every budget by ``policy/budget``, the name that balances go by."""
    reads_now: bool = field(init=False, repr=False, compare=False)
    reads_budgets: bool = field(init=False, repr=False, compare=False)
    reads_more: bool = field(init=False, repr=False, compare=False)
    """Whether expressions read more than the request as it came and the model that is asked about."""
    stages: Stages = field(init=False, repr=False, compare=False)

    def overflows_of(self, budget: str) -> Iterator[BudgetStep]:
        """Yield the budgets that stand in for one (``policy/budget``), in order."""
        name = self.budgets[budget][1].overflow
        while name:
            step = self.budgets[name][1]
            yield step
            name = step.overflow

    def __post_init__(self) -> None:
        object.__setattr__(self, "admit", {name: item.admit for name, item in self.attributes.items()})
        object.__setattr__(self, "shapes", Shapes(self.attributes, self.required))
        recorded = tuple(name for name, item in self.attributes.items() if item.recorded)
        object.__setattr__(self, "recorded", recorded)
        object.__setattr__(self, "budget_ids", frozenset(step.id for _, step in self.budgets.values()))
        declared = self.attributes.get(SIGNALS)
        signals = {} if declared is None else {signal.name: signal for signal in declared.signals}
        object.__setattr__(self, "signals", signals)
        object.__setattr__(self, "reads_now", "now" in self.reads)
        object.__setattr__(self, "reads_budgets", "budgets" in self.reads)
        stages = Stages.of(self.layers, self.defaults.route, shares_variables=bool(self.variables))
        object.__setattr__(self, "stages", stages)
        reads_more = self.reads_now or self.reads_budgets or self.reads_asked_model or stages.has_variables
        object.__setattr__(self, "reads_more", reads_more or bool(self.reads_signals))
