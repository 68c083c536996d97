"""What rules are made of, as values: rules of two versions with equal values do the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import reduce
from itertools import pairwise
from typing import Any, Final

from costlens_policy.assurance import Rule
from costlens_policy.checker.reads import budget_reads, nodes_of
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.rules import ByChoice, BySplit, RouteStep
from costlens_policy.documents.policy import Target
from costlens_policy.expressions import TypedExpr
from costlens_policy.expressions.tree import Name
from costlens_policy.proof.versions.pair import Side
from costlens_policy.proof.ways import priced_model
from costlens_policy.source.located import Path

__all__ = ["BESIDE", "content_of", "exact", "made_from", "read_by", "target_of"]

_UNSEEN: Final = frozenset({"id", "when", "reason", "description"})
"""Keys that say nothing of what a rule does where it holds."""
BESIDE: Final = ("variables", "data", "declarations")
"""Keys under which stands what a rule's expressions read beside the request."""
_NAMES: Final = frozenset({"id", "when", "reason", "layer", "place", "shares", "rewrite"})
"""Fields of a compiled route that only name it, or of which its document says more."""


def made_from(side: Side, rule: Rule) -> str:
    """Return all that a rule is made from but its id, as a text."""
    when = "" if rule.when is None else rule.when.source
    on_error = side.plan.layers[rule.layer].on_error if rule.layer < len(side.plan.layers) else ""
    return repr((when, content_of(side, rule), read_by(side, rule, ("when",)), on_error))


def content_of(side: Side, rule: Rule, keys: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Return what a rule does where it holds, by key, with what its expressions read beside the request."""
    section, index = rule.place.path[:2]
    item = getattr(rule.place.document.document, str(section))[index]
    given: dict[str, Any] = item.model_dump(exclude=set(_UNSEEN))
    content = {key: exact(value) for key, value in given.items() if keys is None or key in keys}
    return content | read_by(side, rule, tuple(content))


def exact(value: Any) -> Any:
    """Return a value that equals only what is the same, type and all: ``True``, ``1`` and ``1.0`` are three."""
    if isinstance(value, bool | int | float):
        return type(value), repr(value)
    if isinstance(value, Mapping):
        return {key: exact(item) for key, item in value.items()}
    return [exact(item) for item in value] if isinstance(value, list | tuple) else value


def read_by(side: Side, rule: Rule, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return what else expressions under some keys of a rule may mean: variables, tables, and whether they read what
    the versions declare differently. A budget's own state is as it stands, whatever else changes about the budget.
    """
    at, known = rule.place.path, side.bundle.typed_of(rule.place.document)
    under = [typed for path, typed in known.items() if path[: len(at)] == at and path[len(at) :][:1] in _firsts(keys)]
    variables = dict(_variables(side, rule, under))
    every = [*under, *(typed for _, typed in variables.values())]
    tables = {path[1] if len(path) > 1 else "" for typed in every for path in typed.constants}
    found: dict[str, Any] = {}
    if variables:
        found["variables"] = {name: text for name, (text, _) in sorted(variables.items())}
    if tables:
        found["data"] = [
            (table.name, exact(table.document.model_dump(exclude={"metadata"})))
            for table in side.bundle.linked.tables
            if "" in tables or table.name in tables
        ]
    if any(_reads_differing(side, typed, rule.id) for typed in every):
        found["declarations"] = side.begins_at
    return found


def _firsts(keys: tuple[str, ...]) -> set[Path]:
    return {(key,) for key in keys}


def _variables(side: Side, rule: Rule, expressions: list[TypedExpr]) -> Iterator[tuple[str, tuple[str, TypedExpr]]]:
    """Yield the variables that expressions of a rule read, and those that these read, with their texts.

    A policy's own come before those of the policy set.
    """
    defined: dict[str, tuple[str, TypedExpr]] = {}
    for linked in (side.bundle.linked.policy_set, rule.place.document):
        texts: Mapping[str, str] = getattr(linked.document, "variables")  # noqa: B009 - of a policy or a policy set
        typed = side.bundle.typed_of(linked)
        defined |= {name: (text, typed["variables", name]) for name, text in texts.items()}
    asked, done = list(expressions), set[str]()
    while asked:
        for path in asked.pop().references:
            if path[0] == "variables" and path[1] not in done:
                done.add(path[1])
                asked.append(defined[path[1]][1])
                yield path[1], defined[path[1]]


def _reads_differing(side: Side, typed: TypedExpr, own: str) -> bool:
    """Say whether an expression reads what the versions declare differently, or a part of it."""
    names = [name for name, _ in budget_reads(typed)]
    reads = [path for path in typed.references if path[0] != "budgets"]
    if len(names) < sum(isinstance(node, Name) and node.name == "budgets" for node in nodes_of(typed.root)):
        reads.append(("budgets",))
    budgets = {side.plan.budgets[name][1].id for name in names if name in side.plan.budgets}
    reads += [("budgets", name) for name in budgets if name != own]
    wholes = {read[:1] for read in side.differing}
    return any(path in wholes or path[:1] in side.differing or path[:2] in side.differing for path in reads)


# Routes


def target_of(side: Side, rule: Rule, *, adds_models: bool, same_models: bool) -> object:
    """Return all that a route does with a request, as a value.

    ``adds_models`` says whether a budget of either version adds models, and ``same_models`` whether their catalogues
    are equal, so that what facts of models decide is decided.
    """
    document = rule.place.document.document
    section, *at = rule.place.path
    target = document.routes[at[0]] if section == "routes" else document.defaults.route  # type: ignore[attr-defined]
    assert isinstance(rule.step, RouteStep)
    under = tuple(key for key in type(target).model_fields if key != "when")
    value = _Value(side, adds_models, same_models).of(rule.step)
    return repr((value, list(_applied(target)), read_by(side, rule, under)))


def _applied(target: Target) -> Iterator[object]:
    """Yield what targets apply to calls, at any depth and in order."""
    yield [item.model_dump() for item in target.apply]
    for share in target.split.targets if target.split is not None else ():
        yield from _applied(share)
    if target.choose is not None and isinstance(target.choose.on_none, Target):
        yield from _applied(target.choose.on_none)


class _Value:
    """Compiled targets as values without their names, and without what makes no difference."""

    def __init__(self, side: Side, adds_models: bool, same_models: bool) -> None:
        self._side = side
        self._adds_models = adds_models
        self._same_models = same_models

    def of(self, part: object) -> object:
        match part:
            case Formula():
                return part.source
            case BySplit():
                return self._split(part)
            case ByChoice() if self._same_models:
                return self._fields(part) | {"limits": self._limits(part)}
            case RouteStep():
                return self._route(part)
            case Mapping():
                return {key: self.of(part[key]) for key in sorted(part)}
            case frozenset():
                return sorted(map(str, part))
            case tuple():
                return [self.of(item) for item in part]
        return self._fields(part) if is_dataclass(part) else part

    def _fields(self, part: Any) -> dict[str, object]:
        found = {
            item.name: self.of(getattr(part, item.name))
            for item in fields(part)
            if item.init and (item.name not in _NAMES or not isinstance(part, RouteStep))
        }
        return {"": type(part).__name__, **found}

    def _route(self, step: RouteStep) -> dict[str, object]:
        found = self._fields(step)
        if not self._adds_models:  # there is nothing to bind
            del found["binds_downgrades"], found["beside"]
        if not isinstance(step.target, ByChoice) or not step.target.fallbacks:
            del found["binds_fallbacks"]
        return found

    def _split(self, split: BySplit) -> dict[str, object]:
        """Return a split with its weights in lowest terms: a key falls into the same share as long as they keep."""
        weights = [high - low for low, high in pairwise((0, *split.bounds))]
        divisor = reduce(math.gcd, weights)
        shares = [self.of(share) for share in split.shares]
        return self._fields(split) | {"bounds": [weight // divisor for weight in weights], "shares": shares}

    def _limits(self, choice: ByChoice) -> object:
        """Return the limits of a choice without those that all models meet which may come under them."""
        limits, names = choice.limits, {*choice.models, *choice.fallbacks, *self._added()}
        models = [priced_model(self._side, name).model for name in names]
        latency = limits.max_latency_ms
        is_met = latency is None or all(
            model.latency_p50_ms is not None and model.latency_p50_ms <= latency for model in models
        )
        needed = [item for item in limits.requires if any(item not in (m.capabilities or ()) for m in models)]
        found = self._fields(limits) | {"requires": sorted(needed)}
        return found | ({"max_latency_ms": None} if is_met else {})

    def _added(self) -> Iterator[str]:
        budgets = (budget for layer in self._side.plan.layers for budget in layer.budgets)
        yield from (name for budget in budgets for threshold in budget.thresholds for name in threshold.models)
