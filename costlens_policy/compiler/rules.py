"""What the stages walk through, rule by rule: access, routes and their targets, rewrites."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeAlias

from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.rebuilt import rebuilt
from costlens_policy.compiler.shortlist import Shortlists
from costlens_policy.expressions.tree import Select
from costlens_policy.rewrites import RewriteStep

__all__ = [
    "AccessStep", "ByChoice", "ByExpression", "ByName", "BySplit", "ChoiceLimits", "Merge", "RewriteRule", "RouteStep",
    "TargetStep",
]  # fmt: skip

Merge: TypeAlias = Literal["append", "min", "max", "set_once"]


@rebuilt
@dataclass(frozen=True, slots=True)
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


@rebuilt
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
        # The cost is examined before the latency: a model that fails both is excluded for its cost.
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
    """A rule of the routes stage; ``layer`` is the index of the layer whose variables its target reads.

    ``binds_fallbacks`` and ``binds_downgrades`` say whether its own fallbacks, and the models that budgets add, have to
    meet its terms.
    """

    id: str
    when: Formula | None
    target: TargetStep
    reason: str
    layer: int
    binds_fallbacks: bool = True
    binds_downgrades: bool = True


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
