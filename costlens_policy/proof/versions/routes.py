"""Where requests go in two versions: the targets of all routes to which one request can come in both.

Each stage is compared by itself. Which models serve depends on access, rewrites and budgets as well, so that a
difference of routes is shown with those of their rules alone that both versions have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, product
from typing import Any, Final, TypeAlias

from costlens_policy.assurance import Every, Found, Goal, Not, Rule, Some, Undecided, Witness
from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import AccessStep, RouteStep
from costlens_policy.engine.decide import models_for
from costlens_policy.proof.attempts import attempts
from costlens_policy.proof.versions.contents import made_from, target_of
from costlens_policy.proof.versions.differences import Difference, Direction, Stage, ask
from costlens_policy.proof.versions.pair import Pair, Side
from costlens_policy.proof.ways import UNLISTED, Way, named, priced_model, reaching

__all__ = ["compare_routes"]

_MOST_PAIRS: Final = 20_000


def compare_routes(pair: Pair, stage: Stage, settings: Sequence[str]) -> None:
    """Compare routes, with the ``settings`` of the policy set that differ."""
    stage.differences += [Difference("other", setting) for setting in settings]
    sides = [[*side.rules["routes"], side.default] for side in (pair.old, pair.new)]
    before, after = (_targets(pair, side, rules) for side, rules in zip((pair.old, pair.new), sides, strict=True))
    if pair.same_models and _whole(pair.old, before) == _whole(pair.new, after):
        return
    if len(sides[0]) * len(sides[1]) > _MOST_PAIRS:
        stage.unknown.append(f"there are more than {_MOST_PAIRS:,} pairs of routes")
        return
    shown = _Shown(pair)
    for old, new in product(*sides):
        if pair.same_models and before[old.id] == after[new.id]:
            continue
        found = pair.find(Every([reaching(pair.old, old), reaching(pair.new, new)]))
        if isinstance(found, Undecided):
            stage.unknown.append(f"requests for both `{old.id}` and, in the new version, `{new.id}`: {found.why}")
        elif isinstance(found, Found):
            _differing(pair, stage, old, new, shown.of(old, new, found))
    for side in (pair.old, pair.new):
        _failures(pair, stage, side)


def _targets(pair: Pair, side: Side, rules: Sequence[Rule]) -> dict[str, object]:
    adds = any(
        threshold.models
        for plan in (pair.old.plan, pair.new.plan)
        for layer in plan.layers
        for budget in layer.budgets
        for threshold in budget.thresholds
    )
    return {rule.id: target_of(side, rule, adds_models=adds, same_models=pair.same_models) for rule in rules}


def _whole(side: Side, targets: dict[str, object]) -> list[object]:
    """Return all routes in order, and the default, as values."""
    return [*((made_from(side, rule), targets[rule.id]) for rule in side.rules["routes"]), targets[side.default.id]]


def _failures(pair: Pair, stage: Stage, side: Side) -> None:
    """Note routes whose condition fails in one version only, which refuses a request under ``on_error: deny``."""
    other = pair.new if side is pair.old else pair.old
    fails = [goal for rule in side.rules["routes"] if (goal := _fails(side, rule)) is not None]
    fails_there = [goal for rule in other.rules["routes"] if (goal := _fails(other, rule)) is not None]
    direction: Direction = "stricter" if side is pair.new else "looser"
    if fails:
        version = "new" if side is pair.new else "old"
        what = f"a request for which a route fails in the {version} version only"
        ask(pair, stage, direction, what, Every([Some(fails), Not(Some(fails_there))]))


def _fails(side: Side, rule: Rule) -> Goal | None:
    """Return that a request comes to a route whose condition fails, and is refused."""
    if rule.when is None or side.plan.layers[rule.layer].on_error != "deny":
        return None
    reached = reaching(side, rule, failing=True)
    return Every([reached, Not(side.condition(rule.when, rule.layer))])


_Both: TypeAlias = tuple[Witness, Witness, tuple[str, ...], tuple[str, ...]]


def _differing(pair: Pair, stage: Stage, old: Rule, new: Rule, shown: _Both | None) -> None:
    """Note what a pair of routes with different targets does to the models that may serve."""
    what = f"requests for `{old.id}` go to `{new.id}`" if old.id != new.id else f"the target of `{new.id}` differs"
    if shown is None:
        stage.unknown.append(f"{what}, but no request was found that shows it")
        return
    may = [_models(side, rule) for side, rule in ((pair.old, old), (pair.new, new))]
    before, after, *models = shown
    direction: Direction = "other"
    if may[0] is not None and may[1] is not None and may[0] != may[1]:
        direction = "stricter" if may[1] < may[0] else "looser" if may[0] < may[1] else "other"
    one, other = (", ".join(f"`{name}`" for name in names) or "nothing" for names in models)
    stage.differences.append(Difference(direction, f"{what}: {one} may serve, then {other}", before, after))


def _step(rule: Rule) -> RouteStep:
    assert isinstance(rule.step, RouteStep)
    return rule.step


def _models(side: Side, rule: Rule) -> frozenset[str] | None:
    """Return the models of a route that names them, whatever the request is; None where that depends on it."""
    found = list(named(side, _step(rule)))
    if any(not (isinstance(goal, Every) and not goal.operands) or name == UNLISTED for name, goal, _ in found):
        return None
    names = [name for name, _, _ in found if not priced_model(side, name).refusal]
    return frozenset(names)


class _Shown:
    """Requests that show what routes do, by what both versions have beside them."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._plans = tuple(_alike(pair))

    def of(self, old: Rule, new: Rule, found: Found) -> _Both | None:
        """Return a situation in which other models may serve, or in another order, and these models."""
        begin = self._pair.situated(found.values)
        if begin is None:
            return None
        tried = (
            attempts(side, Way(Every(()), rule.id, step=_step(rule)), begin)
            for side, rule in ((self._pair.new, new), (self._pair.old, old))
        )
        for situation in chain.from_iterable(tried):
            both = self._pair.decided(situation)
            if both is None:
                continue
            before, after = (self._serving(plan, witness) for plan, witness in zip(self._plans, both, strict=True))
            if before != after:
                return (*both, before, after)
        return None

    def _serving(self, plan: Plan, witness: Witness) -> tuple[str, ...]:
        """Return the models that may serve, in order."""
        return models_for(plan, witness.request, witness.balances, witness.now).may_serve


def _alike(pair: Pair) -> Iterator[Plan]:
    """Yield the plans of both versions without the rules about access, rewrites and budgets that one of them lacks."""
    kept = {section: _shared(pair, section) for section in ("access", "rewrites", "budgets")}
    sides = (pair.old, pair.new)
    allows = any(side.plan.defaults.allows or not _keeps_allows(side, kept["access"]) for side in sides)
    for side in sides:
        layers = [
            replace(
                layer,
                access=_left(side, "access", index, kept),
                rewrites=_left(side, "rewrites", index, kept),
                budgets=_left(side, "budgets", index, kept),
            )
            for index, layer in enumerate(side.plan.layers)
        ]
        yield replace(side.plan, layers=tuple(layers), defaults=replace(side.plan.defaults, allows=allows))


_Kept: TypeAlias = frozenset[tuple[str, str]]


def _shared(pair: Pair, section: str) -> _Kept:
    """Return the rules that both versions have in the same order; none of those that are not."""
    old, new = ([_key(side, rule) for rule in side.rules[section]] for side in (pair.old, pair.new))
    shared = frozenset(old) & frozenset(new)
    if section == "budgets" and (chained := _chained(pair)) != frozenset():
        shared -= chained if any(key not in shared for key in chained) else frozenset()
    in_order = [[key for key in keys if key in shared] for keys in (old, new)]
    return shared if in_order[0] == in_order[1] else frozenset()


def _key(side: Side, rule: Rule) -> tuple[str, str]:
    """Return what a rule does; a budget is told apart by its name, too, under which its state is kept."""
    return (rule.id if rule.place.path[0] == "budgets" else "", made_from(side, rule))


def _chained(pair: Pair) -> _Kept:
    """Return the budgets of both versions that are overflows or have one: they do not stand alone."""
    return frozenset(
        _key(side, rule)
        for side in (pair.old, pair.new)
        for rule in side.rules["budgets"]
        if side.plan.budgets[rule.id][1].overflow or rule.id in side.plan.stages.overflows
    )


def _keeps_allows(side: Side, kept: _Kept) -> bool:
    rules = (rule for rule in side.rules["access"] if isinstance(rule.step, AccessStep) and not rule.step.denies)
    return all(_key(side, rule) in kept for rule in rules)


def _left(side: Side, section: str, layer: int, kept: Mapping[str, _Kept]) -> tuple[Any, ...]:
    rules = (rule for rule in side.rules[section] if rule.layer == layer)
    return tuple(rule.step for rule in rules if _key(side, rule) in kept[section])
