"""How two versions of a stage differ, with requests that show it, and what could be neither proved nor shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from costlens_policy.assurance import Every, Found, Goal, Not, Nothing, Rule, Undecided, Witness
from costlens_policy.frozen import frozen
from costlens_policy.proof.versions.pair import Pair, Side

__all__ = ["Difference", "Direction", "Stage", "alone", "ask", "ask_about", "order_of"]

Direction: TypeAlias = Literal["stricter", "looser", "other"]


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


def ask(pair: Pair, stage: Stage, direction: Direction, what: str, goal: Goal, model: str = "") -> None:
    """Note a difference where something meets a goal, or that this is not known."""
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


def ask_about(pair: Pair, stage: Stage, old: Rule, new: Rule) -> None:
    """Note which requests a rule is about in one version only."""
    before, after = pair.old.condition(old.when, old.layer), pair.new.condition(new.when, new.layer)
    what = "a request that `{}` is about in the {} version only"
    for model in _by_model(pair, old, new):
        ask(pair, stage, "stricter", what.format(new.id, "new"), Every([after, Not(before)]), model)
        ask(pair, stage, "looser", what.format(new.id, "old"), Every([before, Not(after)]), model)


def _by_model(pair: Pair, *rules: Rule) -> list[str]:
    """Return the models for which conditions are asked, one empty name where they read none."""
    reads = any(rule.when is not None and rule.when.reads("model") for rule in rules)
    return sorted(pair.new.plan.catalogue.models) if reads and pair.same_models else [""]


def alone(pair: Pair, side: Side, rule: Rule, direction: Direction, what: str) -> Difference:
    """Return that one version has a rule, with a request that it is about."""
    found = pair.find(side.condition(rule.when, rule.layer))
    begin = pair.situated(found.values) if isinstance(found, Found) else None
    both = None if begin is None else pair.decided(begin)
    return Difference(direction, f"`{rule.id}` {what}", *(both or (None, None)))


def order_of(pair: Pair, stage: Stage, old: list[Rule], new: list[Rule]) -> None:
    """Note rules that act in another order, where one request may meet both of them."""
    place = {rule.id: at for at, rule in enumerate(new)}
    shared = [rule for rule in old if rule.id in place]
    for at, one in enumerate(shared):
        for other in shared[at + 1 :]:
            if place[other.id] < place[one.id]:
                goal = Every([pair.old.condition(rule.when, rule.layer) for rule in (one, other)])
                what = f"the order of `{one.id}` and `{other.id}` differs"
                for model in _by_model(pair, one, other):
                    ask(pair, stage, "other", what, goal, model)
