"""What a change of policies does to each stage: nothing, stricter, looser, or both ways, with a request for each way.

Equal, stricter and looser are proved: no request is treated the other way. What is not proved is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import Decimal
from itertools import product
from time import monotonic
from typing import Any, Final, Literal, TypeAlias

from costlens_policy.assurance import Every, Found, Goal, Not, Nothing, Rule, Situation, Some, Undecided, Witness
from costlens_policy.checker import CheckedBundle
from costlens_policy.clock import system_now
from costlens_policy.compiler.rules import AccessStep, BudgetStep, RouteStep
from costlens_policy.documents import Document, PolicyDocument
from costlens_policy.engine.decide import models_for
from costlens_policy.frozen import frozen
from costlens_policy.proof.attempts import attempts
from costlens_policy.proof.pair import Pair, Side
from costlens_policy.proof.ways import UNLISTED, Way, admitted, allowed, named, priced_model, reaching, refusing

__all__ = ["Comparison", "Difference", "Stage", "compare"]

Direction: TypeAlias = Literal["stricter", "looser", "other"]
_STAGES: Final = ("access", "routes", "rewrites", "budgets")
_MOST_PAIRS: Final = 20_000
_UNSEEN: Final = frozenset({"id", "when", "reason", "description"})
"""Keys that say nothing of what a rule does where it holds."""


@frozen
class Difference:
    """One way in which the versions differ: ``what`` in words, and requests that show it, where one was found."""

    direction: Direction
    what: str
    old: Witness | None = None
    new: Witness | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as JSON-like data."""
        found: dict[str, Any] = {"direction": self.direction, "what": self.what}
        if self.old is not None and self.new is not None:
            found["witness"] = self.new.to_dict() | {"old_decision": self.old.to_dict()["decision"]}
        return found


@dataclass(slots=True)
class Stage:
    """What is known of one stage. ``unknown`` says what could be neither proved nor shown."""

    name: str
    differences: list[Difference] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """``equal``, ``stricter``, ``looser``, ``neither``, or ``unknown`` where what is open may change the answer."""
        found = {item.direction for item in self.differences}
        if "other" in found or len(found) > 1:
            return "neither"
        if self.unknown:
            return "unknown"
        return next(iter(found), "equal")

    def of(self, direction: Direction) -> list[Difference]:
        return [item for item in self.differences if item.direction == direction]


@frozen
class Comparison:
    """The stages in order. ``notes`` are what else differs: catalogues, attributes, settings."""

    stages: tuple[Stage, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON-like data."""
        stages = {
            stage.name: {
                "verdict": stage.verdict,
                "differences": [item.to_dict() for item in stage.differences],
                "unknown": stage.unknown,
            }
            for stage in self.stages
        }
        return {"stages": stages, "notes": list(self.notes)}


def compare(
    old: CheckedBundle, new: CheckedBundle, now: datetime | None = None, limit_s: float | None = None
) -> Comparison:
    """Compare two versions of a policy set, stage by stage. ``now`` is the day of the catalogues' prices.

    After ``limit_s`` seconds nothing more is decided: what is open then is unknown.
    """
    at = now or datetime.combine(system_now().date(), time(12), UTC)
    pair = Pair(old, new, at, math.inf if limit_s is None else monotonic() + limit_s)
    work = {"access": _access, "routes": _routes, "rewrites": _rewrites, "budgets": _budgets}
    stages = []
    for name in _STAGES:
        stage = Stage(name)
        pair.domain.work = 0
        work[name](pair, stage)
        stages.append(stage)
    return Comparison(tuple(stages), tuple(_notes(pair)))


_SEEN: Final = frozenset({"policies", "catalogues", "data", "metadata", "variables", "defaults", "severities"})
"""Keys of a policy set that stages are made from, or that decide nothing."""


def _notes(pair: Pair) -> Iterator[str]:
    if not pair.same_models:
        yield "the catalogues differ; `catalogue diff` shows how"
    yield from (setting for setting in _settings(pair) if "`attributes`" in setting)
    if _tables(pair.old) != _tables(pair.new):
        yield "the data documents differ"


def _settings(pair: Pair) -> Iterator[str]:
    """Yield the settings of the policy set that differ."""
    before, after = (side.bundle.linked.policy_set.document for side in (pair.old, pair.new))
    one, other = (document.model_dump(exclude=set(_SEEN)) for document in (before, after))
    yield from (f"`{key}` of the policy set differs" for key in one if one[key] != other[key])
    for key in ("max_output_tokens", "max_fallbacks"):
        if getattr(before.defaults, key) != getattr(after.defaults, key):
            yield f"`defaults.{key}` of the policy set differs"


# Access


def _access(pair: Pair, stage: Stage) -> None:
    """Compare what refuses requests, and which models may serve them. What both versions ask alike is left out."""
    old, new = (_refusals(side) for side in (pair.old, pair.new))
    what = "a request that only the {} version refuses"
    _ask(pair, stage, "stricter", what.format("new"), Some([*_without(new, old)]), Some([*old.values()]))
    _ask(pair, stage, "looser", what.format("old"), Some([*_without(old, new)]), Some([*new.values()]))
    passes = [Not(goal) for goal in (*new.values(), *_without(old, new))]
    what = "a request that only the {} version lets `{}` serve"
    for name in pair.new.plan.catalogue.models.keys() & pair.old.plan.catalogue.models.keys():
        before, after = (_permissions(side, name) for side in (pair.old, pair.new))
        if any(before.keys() ^ after.keys()):
            either = Every([*passes, *before.values()]), Every([*passes, *after.values()])
            _ask(pair, stage, "looser", what.format("new", name), either[1], Every([*_without(before, after)]), name)
            _ask(pair, stage, "stricter", what.format("old", name), either[0], Every([*_without(after, before)]), name)


_Goals: TypeAlias = Mapping[object, Goal]
"""Goals by what they are made from: those that are made from the same are the same in both versions."""


def _without(goals: _Goals, others: _Goals) -> list[Goal]:
    return [goal for made_from, goal in goals.items() if made_from not in others]


def _refusals(side: Side) -> _Goals:
    """Return when access refuses a request, exactly."""
    found: dict[object, Goal] = {_made_from(side, rule): goal for rule, goal in refusing(side)}
    if not side.plan.defaults.allows:
        found["default", *_allows(side)] = Not(allowed(side))
    return found


def _permissions(side: Side, name: str) -> _Goals:
    """Return what access asks of a model, exactly."""
    found: dict[object, Goal] = {_made_from(side, rule): goal for rule, goal in admitted(side, name)}
    if not side.plan.defaults.allows:
        found["default", *_allows(side)] = allowed(side)
    return found


def _allows(side: Side) -> Iterator[object]:
    rules = (rule for rule in side.rules["access"] if isinstance(rule.step, AccessStep) and not rule.step.denies)
    yield from (_made_from(side, rule) for rule in rules)


def _made_from(side: Side, rule: Rule) -> str:
    """Return all that an access rule is made from, as a text."""
    condition = "" if rule.when is None else rule.when.source
    content = _content(side, rule, None)
    beside = _read_beside(side, rule.place.document.document, condition)
    return repr((condition, content, beside, side.plan.layers[rule.layer].on_error))


def _ask(pair: Pair, stage: Stage, direction: Direction, what: str, one: Goal, other: Goal, model: str = "") -> None:
    """Note that a request meets one goal and not the other, or that this is not known."""
    goal = Every([one, Not(other)])
    found = pair.find(goal, model)
    both = pair.confirmed(goal, found.values, model) if isinstance(found, Found) else None
    if both is None and isinstance(found, Found):
        found = pair.solved(goal, model, "the engine decides otherwise on what was found")
        both = pair.confirmed(goal, found.values, model) if isinstance(found, Found) else None
    if both is not None:
        stage.differences.append(Difference(direction, what, *both))
    elif not isinstance(found, Nothing):
        why = found.why if isinstance(found, Undecided) else "the engine decides otherwise on what was found"
        stage.unknown.append(f"{what}: {why}")


# Routes


def _routes(pair: Pair, stage: Stage) -> None:
    """Compare the targets of all routes that one request can come to in both versions."""
    for setting in _settings(pair):
        if "`attributes`" not in setting:  # what these change is found where they are read
            stage.differences.append(Difference("other", setting))
    if pair.same_models and _whole(pair.old) == _whole(pair.new):
        return
    sides = [[*side.rules["routes"], side.default] for side in (pair.old, pair.new)]
    if len(sides[0]) * len(sides[1]) > _MOST_PAIRS:
        stage.unknown.append(f"there are more than {_MOST_PAIRS:,} pairs of routes")
        return
    old_goals, new_goals = (
        {rule.id: reaching(side, rule) for rule in rules}
        for side, rules in zip((pair.old, pair.new), sides, strict=True)
    )
    before, after = (
        {rule.id: _target(side, rule) for rule in rules}
        for side, rules in zip((pair.old, pair.new), sides, strict=True)
    )
    for old, new in product(*sides):
        if pair.same_models and before[old.id] == after[new.id]:
            continue
        found = pair.find(Every([old_goals[old.id], new_goals[new.id]]))
        if isinstance(found, Undecided):
            stage.unknown.append(f"requests for both `{old.id}` and, in the new version, `{new.id}`: {found.why}")
        elif isinstance(found, Found):
            _differing(pair, stage, old, new, found)
    for side in (pair.old, pair.new):
        _failures(pair, stage, side)


def _whole(side: Side) -> list[object]:
    """Return all routes in order, and the default, as values."""
    routes = [(_made_from(side, rule), _target(side, rule)) for rule in side.rules["routes"]]
    return [*routes, _target(side, side.default)]


def _failures(pair: Pair, stage: Stage, side: Side) -> None:
    """Note routes whose condition fails in one version only, which refuses a request under ``on_error: deny``."""
    other = pair.new if side is pair.old else pair.old
    fails = [_fails(side, rule) for rule in side.rules["routes"]]
    fails_there = Some([goal for rule in other.rules["routes"] if (goal := _fails(other, rule)) is not None])
    known = [goal for goal in fails if goal is not None]
    direction: Direction = "stricter" if side is pair.new else "looser"
    if known:
        version = "new" if side is pair.new else "old"
        what = f"a request for which a route fails in the {version} version only"
        _ask(pair, stage, direction, what, Some(known), fails_there)


def _fails(side: Side, rule: Rule) -> Goal | None:
    """Return that a request comes to a route whose condition fails, and is refused."""
    if rule.when is None or side.plan.layers[rule.layer].on_error != "deny":
        return None
    reached = reaching(side, rule, failing=True)
    return Every([reached, Not(side.condition(rule.when, rule.layer))])


def _target(side: Side, rule: Rule) -> object:
    """Return all that a route does with a request, as a value; a salt defaults to the id of the route."""
    document, (section, *at) = rule.place.document.document, rule.place.path
    route = getattr(document, "routes")[at[0]] if section == "routes" else getattr(document, "defaults").route  # noqa: B009
    text = repr(route.model_dump(exclude=set(_UNSEEN)))
    return text, rule.id if "'salt': ''" in text else "", repr(_read_beside(side, document, text))


def _variables_of(document: Document) -> Mapping[str, str]:
    return document.variables if isinstance(document, PolicyDocument) else {}


def _differing(pair: Pair, stage: Stage, old: Rule, new: Rule, found: Found) -> None:
    """Note what a pair of routes with different targets does to the models that may serve."""
    what = f"requests for `{old.id}` go to `{new.id}`" if old.id != new.id else f"the target of `{new.id}` differs"
    may = [_models(side, rule) for side, rule in ((pair.old, old), (pair.new, new))]
    begin = pair.situated(found.values)
    shown = None if begin is None else _shown(pair, Way(Every(()), new.id, step=_step(new)), begin)
    if shown is None:
        stage.unknown.append(f"{what}, but no request was found that shows it")
        return
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


_Shown: TypeAlias = tuple[Witness, Witness, tuple[str, ...], tuple[str, ...]]


def _shown(pair: Pair, way: Way, begin: Situation) -> _Shown | None:
    """Return a situation in which other models may serve, or in another order, and these models."""
    for situation in attempts(pair.new, way, begin):
        both = pair.decided(situation)
        if both is None:
            continue
        before, after = (_serving(side, witness) for side, witness in zip((pair.old, pair.new), both, strict=True))
        if before != after:
            return (*both, before, after)
    return None


def _serving(side: Side, witness: Witness) -> tuple[str, ...]:
    """Return the models that may serve, in order."""
    return models_for(side.plan, witness.request, witness.balances, witness.now).may_serve


# Rewrites and budgets


def _rewrites(pair: Pair, stage: Stage) -> None:
    _listed(pair, stage, "rewrites", ("apply", "merge"))
    on_error = [{policy.name: policy.document.on_error for policy in side.policies} for side in (pair.old, pair.new)]
    for name in on_error[0].keys() & on_error[1].keys():
        if on_error[0][name] != on_error[1][name]:
            stage.differences.append(Difference("other", f"`on_error` of `{name}` differs"))


def _budgets(pair: Pair, stage: Stage) -> None:
    _listed(pair, stage, "budgets", None)


def _listed(pair: Pair, stage: Stage, section: str, keys: tuple[str, ...] | None) -> None:
    """Compare rules that all act, one by one, by their ids, and the order in which they do."""
    old, new = ({rule.id: rule for rule in side.rules[section]} for side in (pair.old, pair.new))
    for name in old.keys() - new.keys():
        stage.differences.append(_alone(pair, pair.old, old[name], "looser", "is gone"))
    for name in new.keys() - old.keys():
        stage.differences.append(_alone(pair, pair.new, new[name], "stricter", "is new"))
    shared = [name for name in old if name in new]
    if shared != [name for name in new if name in old]:
        stage.differences.append(Difference("other", f"the order of the {section} differs"))
    for name in shared:
        _both(pair, stage, old[name], new[name], keys)


def _alone(pair: Pair, side: Side, rule: Rule, direction: Direction, what: str) -> Difference:
    """Return that one version has a rule, with a request that it is about."""
    found = pair.find(side.condition(rule.when, rule.layer))
    begin = pair.situated(found.values) if isinstance(found, Found) else None
    both = None if begin is None else pair.decided(begin)
    if isinstance(rule.step, BudgetStep) and rule.step.shadow:
        direction, what = "other", f"{what}, in shadow"
    return Difference(direction, f"`{rule.id}` {what}", *(both or (None, None)))


def _both(pair: Pair, stage: Stage, old: Rule, new: Rule, keys: tuple[str, ...] | None) -> None:
    before, after = _content(pair.old, old, keys), _content(pair.new, new, keys)
    if before != after:
        stage.differences.append(_changed(old, new, before, after))
    applies = [side.condition(rule.when, rule.layer) for side, rule in ((pair.old, old), (pair.new, new))]
    what = "a request that `{}` is about in the {} version only"
    names = _by_model(pair, old, new)
    for model in names:
        _ask(pair, stage, "stricter", what.format(new.id, "new"), applies[1], applies[0], model)
        _ask(pair, stage, "looser", what.format(new.id, "old"), applies[0], applies[1], model)


def _by_model(pair: Pair, old: Rule, new: Rule) -> list[str]:
    """Return the models for which conditions are asked, one empty name where they read none."""
    reads = any(rule.when is not None and rule.when.reads("model") for rule in (old, new))
    return sorted(pair.new.plan.catalogue.models) if reads and pair.same_models else [""]


def _content(side: Side, rule: Rule, keys: tuple[str, ...] | None) -> dict[str, Any]:
    """Return what a rule does where it holds, with the variables that it reads."""
    document = rule.place.document.document
    section, index = rule.place.path[:2]
    item = getattr(document, str(section))[index]
    content: dict[str, Any] = item.model_dump(exclude=set(_UNSEEN))
    content = content if keys is None else {key: content[key] for key in keys}
    return content | _read_beside(side, document, repr(content), rule.id)


def _read_beside(side: Side, document: Document, text: str, own: str = "") -> dict[str, Any]:
    """Return what else a text may mean: variables, tables, and whether it has names of two meanings.

    ``own`` is the budget that the text is about, whose state is its own.
    """
    found: dict[str, Any] = {}
    if "variables." in text:
        found["variables"] = {**side.bundle.linked.policy_set.document.variables, **_variables_of(document)}
    if "data." in text or found:
        found["data"] = _tables(side)
    whole = f"{text} {found}"
    if any(read[-1].rpartition("/")[2] in whole for read in side.differing if read[-1] != own):
        found["version"] = side.begins_at
    return found


def _tables(side: Side) -> list[object]:
    return [table.document.model_dump(exclude={"metadata"}) for table in side.bundle.linked.tables]


def _changed(old: Rule, new: Rule, before: dict[str, Any], after: dict[str, Any]) -> Difference:
    """Return how the contents of a rule differ. A limit that is written out is stricter if it is lower."""
    differing = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    direction: Direction = "other"
    limits = [rule.step.limit for rule in (old, new) if isinstance(rule.step, BudgetStep)]
    if (
        len(differing) == 1
        and differing[0].startswith("hard_limit")
        and all(isinstance(item, Decimal) for item in limits)
    ):
        direction = "stricter" if limits[1] < limits[0] else "looser"  # type: ignore[operator]
    names = ", ".join(f"`{key}`" for key in differing)
    return Difference(direction, f"{names} of `{new.id}` differs")
