"""What a change of policies does to each stage: nothing, stricter, looser, or both ways, with a request for each way.

Equal, stricter and looser are proved: no request is treated the other way. What is not proved is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from os import PathLike
from time import monotonic
from typing import Any, Final, TypeAlias

from costlens_policy.assurance import Every, Goal, Not, Rule, Some
from costlens_policy.checker import CheckedBundle, check
from costlens_policy.clock import system_now
from costlens_policy.compiler.rules import AccessStep
from costlens_policy.frozen import frozen
from costlens_policy.proof.versions.budgets import compare_budgets
from costlens_policy.proof.versions.contents import content_of, exact, made_from
from costlens_policy.proof.versions.differences import Difference, Stage, alone, ask, ask_about, order_of
from costlens_policy.proof.versions.pair import Pair, Side
from costlens_policy.proof.versions.routes import compare_routes
from costlens_policy.proof.ways import admitted, allowed, refusing

__all__ = ["Comparison", "compare"]

_STAGES: Final = ("access", "routes", "rewrites", "budgets")


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
    old: str | PathLike[str] | CheckedBundle,
    new: str | PathLike[str] | CheckedBundle,
    now: datetime | None = None,
    limit_s: float | None = None,
) -> Comparison:
    """Compare two versions of a policy set, stage by stage: each a file, a folder, or what was checked already.

    ``now`` is the day of the catalogues' prices, today when left out. Raises ``PolicyError`` for a version with errors.
    After ``limit_s`` seconds nothing more is decided: what is open then is unknown.
    """
    at = now or datetime.combine(system_now().date(), time(12), UTC)
    before, after = (item if isinstance(item, CheckedBundle) else check(item) for item in (old, new))
    pair = Pair(before, after, at, math.inf if limit_s is None else monotonic() + limit_s)
    work = {"access": _access, "routes": _routes, "rewrites": _rewrites, "budgets": compare_budgets}
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


def _tables(side: Side) -> list[object]:
    return [exact(table.document.model_dump(exclude={"metadata"})) for table in side.bundle.linked.tables]


def _settings(pair: Pair) -> Iterator[str]:
    """Yield the settings of the policy set that differ."""
    before, after = (side.bundle.linked.policy_set.document for side in (pair.old, pair.new))
    one, other = (exact(document.model_dump(exclude=set(_SEEN))) for document in (before, after))
    yield from (f"`{key}` of the policy set differs" for key in one if one[key] != other[key])
    for key in ("max_output_tokens", "max_fallbacks"):
        if getattr(before.defaults, key) != getattr(after.defaults, key):
            yield f"`defaults.{key}` of the policy set differs"


# Access


def _access(pair: Pair, stage: Stage) -> None:
    """Compare what refuses requests, and which models may serve them. What both versions ask alike is left out."""
    old, new = (_refusals(side) for side in (pair.old, pair.new))
    what = "a request that only the {} version refuses"
    ask(pair, stage, "stricter", what.format("new"), Every([Some(_without(new, old)), Not(Some([*old.values()]))]))
    ask(pair, stage, "looser", what.format("old"), Every([Some(_without(old, new)), Not(Some([*new.values()]))]))
    passes = [Not(goal) for goal in (*new.values(), *_without(old, new))]
    what = "a request that only the {} version lets `{}` serve"
    for name in pair.new.plan.catalogue.models.keys() & pair.old.plan.catalogue.models.keys():
        before, after = (_permissions(side, name) for side in (pair.old, pair.new))
        if any(before.keys() ^ after.keys()):
            only_new = Every([*passes, *after.values(), Not(Every(_without(before, after)))])
            only_old = Every([*passes, *before.values(), Not(Every(_without(after, before)))])
            ask(pair, stage, "looser", what.format("new", name), only_new, name)
            ask(pair, stage, "stricter", what.format("old", name), only_old, name)


_Goals: TypeAlias = Mapping[object, Goal]
"""Goals by what they are made from: those that are made from the same are the same in both versions."""


def _without(goals: _Goals, others: _Goals) -> list[Goal]:
    return [goal for made_from, goal in goals.items() if made_from not in others]


def _refusals(side: Side) -> _Goals:
    """Return when access refuses a request, exactly."""
    found: dict[object, Goal] = {made_from(side, rule): goal for rule, goal in refusing(side)}
    if not side.plan.defaults.allows:
        found["default", *_allows(side)] = Not(allowed(side))
    return found


def _permissions(side: Side, name: str) -> _Goals:
    """Return what access asks of a model, exactly."""
    found: dict[object, Goal] = {made_from(side, rule): goal for rule, goal in admitted(side, name)}
    if not side.plan.defaults.allows:
        found["default", *_allows(side)] = allowed(side)
    return found


def _allows(side: Side) -> Iterator[object]:
    rules = (rule for rule in side.rules["access"] if isinstance(rule.step, AccessStep) and not rule.step.denies)
    yield from (made_from(side, rule) for rule in rules)


# Routes and rewrites


def _routes(pair: Pair, stage: Stage) -> None:
    # What attributes change is found where they are read.
    compare_routes(pair, stage, [setting for setting in _settings(pair) if "`attributes`" not in setting])


def _rewrites(pair: Pair, stage: Stage) -> None:
    """Compare rewrites one by one, by their ids, and the order of those that one request may meet."""
    old, new = ({rule.id: rule for rule in side.rules["rewrites"]} for side in (pair.old, pair.new))
    stage.differences += [alone(pair, pair.old, old[name], "looser", "is gone") for name in old if name not in new]
    stage.differences += [alone(pair, pair.new, new[name], "stricter", "is new") for name in new if name not in old]
    order_of(pair, stage, [*old.values()], [*new.values()])
    for name in old:
        if name in new:
            before, after = (_applied(side, rule[name]) for side, rule in ((pair.old, old), (pair.new, new)))
            differing = ", ".join(f"`{key}`" for key in before if before[key] != after[key])
            if differing:
                stage.differences.append(Difference("other", f"{differing} of `{name}` differs"))
            ask_about(pair, stage, old[name], new[name])
    on_error = [{policy.name: policy.document.on_error for policy in side.policies} for side in (pair.old, pair.new)]
    for name in on_error[0].keys() & on_error[1].keys():
        if on_error[0][name] != on_error[1][name]:
            stage.differences.append(Difference("other", f"`on_error` of `{name}` differs"))


def _applied(side: Side, rule: Rule) -> dict[str, object]:
    return {key: content_of(side, rule, (key,)) for key in ("apply", "merge")}
