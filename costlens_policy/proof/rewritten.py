"""What is sent to a model after all rewrites, and when a promise about it may be broken.

Rewrites are walked through in the order in which they are applied. Each either surely settles what is asked, may spoil
it, or leaves it alone; what is not understood spoils it. So nothing is too narrow: where no request meets what comes of
the walk, the promise is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple

from costlens_policy.assurance import Goal, Not, Subject
from costlens_policy.compiler.rules import BySplit, RewriteRule, RouteStep, routes_in
from costlens_policy.documents.invariants import Invariant, ParameterBounds
from costlens_policy.documents.parameters import OUTPUT_LIMIT
from costlens_policy.frozen import frozen
from costlens_policy.proof.outcomes import ALWAYS, NEVER, every, some
from costlens_policy.proof.spending import written
from costlens_policy.proof.ways import Way, priced_model
from costlens_policy.rewrites import Merge, RewriteStep, Step
from costlens_policy.rewrites.additions import SystemStep
from costlens_policy.rewrites.parameters import ClampStep, RemoveStep, SetStep
from costlens_policy.rewrites.redaction import RedactStep, redactor

__all__ = ["may_be_out_of_order", "may_be_outside", "may_hold_data", "may_lack_text", "spoiler"]

_OF_PARAMETERS: Final = frozenset({"set_params", "clamp_params", "remove_params"})
_ASIDE: Final = frozenset({
    "prefix", "suffix", "template", "replace", "drop_examples", "trim_history", "shorten_tool_output", "redact",
    "system",
})  # fmt: skip
"""Operations that change no parameters but texts, if any."""
_SHORT: Final = 100_000
"""Numbers below this are no personal data of any kind, so that no redaction changes them."""


@frozen(eq=False)
class _Applied:
    """Operations of one rule. ``may`` says when they may be applied to a call, ``may_not`` when they may not be."""

    id: str
    steps: tuple[RewriteStep, ...]
    merge: Merge | None
    may: Goal
    may_not: Goal

    @property
    def parts(self) -> Iterator[tuple[RewriteStep, Step]]:
        yield from ((step, part) for step in self.steps for part in step.parts)

    def sets(self, target: str) -> bool:
        return any(target in step.targets for step in self.steps)


def _rules(subject: Subject, way: Way) -> Iterator[_Applied]:
    """Yield what rewrites a call, in order, up to the thresholds of budgets: what its route applies, then the rules."""
    route = next(rule for rule in (*subject.rules["routes"], subject.default) if rule.id == way.rule)
    assert isinstance(route.step, RouteStep)
    own = list({id(step.rewrite): step.rewrite for step in _targets(route.step)}.values())
    for rewrite in own:
        if rewrite is not None:
            sure = len(own) == 1 and not _may_be_skipped(subject, route.layer, rewrite)
            yield _Applied(rewrite.id, rewrite.steps, None, ALWAYS, NEVER if sure else ALWAYS)
    for layer, rule in subject.plan.stages.rewrites:
        may = subject.condition(rule.when, layer)
        yield _Applied(rule.id, rule.steps, rule.merge, may, _not_applied(subject, layer, rule))


def _targets(route: RouteStep) -> Iterator[RouteStep]:
    """Yield a route as it may be for a call, for each share and way out."""
    yield from (step for step in routes_in(route) if not isinstance(step.target, BySplit))


def _not_applied(subject: Subject, layer: int, rule: RewriteRule) -> Goal:
    """Return when a rule may not be applied. A request for which it fails is refused, unless its policy skips it."""
    if _may_be_skipped(subject, layer, rule):
        return ALWAYS
    refuses = subject.plan.layers[layer].on_error == "deny" or _protects(rule)
    return Not(subject.condition(rule.when, layer, refuses))


def _protects(rule: RewriteRule) -> bool:
    return any(step.refuses for step in rule.steps)


def _may_be_skipped(subject: Subject, layer: int, rule: RewriteRule) -> bool:
    """Say whether operations may fail so that the whole rule is left out."""
    layers = subject.plan.layers
    skips = layer < len(layers) and layers[layer].on_error == "skip" and not _protects(rule)
    return skips and not all(_never_fails(part) for step in rule.steps for part in step.parts)


def _never_fails(part: Step) -> bool:
    return isinstance(part, SetStep | RemoveStep) or (isinstance(part, ClampStep) and part.name == OUTPUT_LIMIT)


def _thresholds(subject: Subject) -> Iterator[_Applied]:
    """Yield what thresholds of budgets apply in the end, each by itself; whether they are reached is not asked."""
    for layer in subject.plan.layers:
        for budget in layer.budgets:
            for threshold in budget.thresholds:
                if threshold.steps and not budget.shadow:
                    yield _Applied(budget.id, threshold.steps, None, ALWAYS, ALWAYS)


# Order


def may_be_out_of_order(subject: Subject, way: Way, wanted: Sequence[str]) -> Goal:
    """Return when two rewrites may be applied to one call, and not in the order in which they are ``wanted``."""
    rules = list(_rules(subject, way))
    place = {rule.id: at for at, rule in enumerate(rules)}
    found = []
    for index, first in enumerate(wanted):
        for second in wanted[index + 1 :]:
            one, other = rules[place[first]], rules[place[second]]
            before = rules[: min(place[first], place[second])]
            moved = ALWAYS if place[second] < place[first] else _joined_before(other, before)
            found.append(every([one.may, other.may, moved]))
    return some(found)


def _joined_before(rule: _Applied, before: Sequence[_Applied]) -> Goal:
    """Return when a rule may act in the place of an earlier one, since they set one target and are merged."""
    targets = {target for step in rule.steps for target in step.targets}
    return some(
        other.may
        for other in before
        if (rule.merge is not None or other.merge is not None) and any(map(other.sets, targets))
    )


# Texts


def may_hold_data(subject: Subject, way: Way, kinds: frozenset[str]) -> Goal:
    """Return when a text may hold personal data of some kinds: nothing redacts it, or texts are changed later on."""
    return _folded(_effects_on_data(subject, way, kinds))


def may_lack_text(subject: Subject, way: Way, text: str) -> Goal:
    """Return when the system text may lack a text: nothing puts it there, or something may take it away again."""
    return _folded(_effects_on_system(subject, way, text))


def spoiler(subject: Subject, way: Way, invariant: Invariant) -> str:
    """Return the rewrite that may spoil a promise about texts after all that settles it; empty where there is none."""
    if invariant.redacted:
        effects = _effects_on_data(subject, way, frozenset(invariant.redacted))
    elif invariant.system_contains is not None:
        effects = _effects_on_system(subject, way, invariant.system_contains)
    else:
        return ""
    last = next((effect for effect in reversed(list(effects))), None)
    return "" if last is None or last.settles else last.rule.id


class _Effect(NamedTuple):
    """What a rule does to a promise: it settles it, or it may spoil it."""

    rule: _Applied
    settles: bool


def _folded(effects: Iterator[_Effect]) -> Goal:
    """Return when a promise may be broken in the end, that is so in the beginning."""
    broken = ALWAYS
    for rule, settles in effects:
        broken = every([broken, rule.may_not]) if settles else some([broken, rule.may])
    return broken


def _effects_on_data(subject: Subject, way: Way, kinds: frozenset[str]) -> Iterator[_Effect]:
    for rule in (*_rules(subject, way), *_thresholds(subject)):
        for step in rule.steps:
            if _redacts(step, kinds):
                yield _Effect(rule, True)
            elif not (step.operation in _OF_PARAMETERS and all(map(_is_clean, step.parts))):
                yield _Effect(rule, False)


def _effects_on_system(subject: Subject, way: Way, text: str) -> Iterator[_Effect]:
    """Yield what is done to the system text. A text that is merged may stand in the place of an earlier one."""
    rules = list(_rules(subject, way))
    merging = [rule for rule in rules if rule.merge is not None and rule.sets(SystemStep.target)]
    moved = [rule for rule in merging if rule.merge == "set_once"]
    for rule in (*rules, *_thresholds(subject)):
        for step, part in rule.parts:
            if isinstance(part, SystemStep) and text in part.text:
                yield _Effect(rule, True)
            elif _may_take_text_away(step, part):
                yield _Effect(rule, False)
                moved += merging
    yield from (_Effect(replace(rule, may=ALWAYS), False) for rule in moved)


def _redacts(step: RewriteStep, kinds: frozenset[str]) -> bool:
    part = step.parts[0] if step.parts else None
    return (
        isinstance(part, RedactStep)
        and kinds <= {kind for kind, _ in part.labels}
        and not part.labels_hold_data
        and not part.regions
    )


def _is_clean(part: Step) -> bool:
    """Say whether an operation on parameters brings no personal data with it."""
    return not isinstance(part, SetStep) or _holds_none(part.value)


def _holds_none(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_holds_none(item) for item in (*value, *value.values()))
    if isinstance(value, list):
        return all(map(_holds_none, value))
    if isinstance(value, str):
        return _redacted(value) == value
    return value is None or (isinstance(value, int | float | Decimal) and abs(float(value)) < _SHORT)


@cache
def _redacted(text: str) -> str:
    return redactor()(text)


def _may_take_text_away(step: RewriteStep, part: Step) -> bool:
    if isinstance(part, SystemStep):
        return part.place == "replace"
    if step.operation in _OF_PARAMETERS:
        return part.target == f"params.{SystemStep.target}"
    return step.operation not in ("prefix", "suffix")


# Parameters


@frozen(eq=False)
class _Standing:
    """When a parameter may be absent, above or below its bounds, or anything ``other`` that it must not be."""

    absent: Goal
    above: Goal
    below: Goal
    other: Goal

    def settled(self, unless: Goal, **parts: Goal) -> _Standing:
        """Return what is left where something settles it, unless it may not; ``parts`` are those that it may bring."""
        left = {name: every([getattr(self, name), unless]) for name in ("absent", "above", "below", "other")}
        return _Standing(**{name: some([goal, parts.get(name, NEVER)]) for name, goal in left.items()})

    def spoiled(self, **parts: Goal) -> _Standing:
        return self.settled(ALWAYS, **parts)


def may_be_outside(subject: Subject, way: Way, name: str, bounds: ParameterBounds) -> Goal:
    """Return when a parameter of a call may not be what it is promised to be."""
    walk = _Parameter(subject, way, name, bounds)
    found = walk.standing()
    return some([found.above, found.below, found.other, *([] if bounds.allows_absence else [found.absent])])


class _Parameter:
    """One parameter on its way through the rewrites of a call."""

    def __init__(self, subject: Subject, way: Way, name: str, bounds: ParameterBounds) -> None:
        self._subject = subject
        self._way = way
        self._name = name
        self._bounds = bounds

    def standing(self) -> _Standing:
        rules = list(_rules(self._subject, self._way))
        merged = [rule for rule in rules if rule.sets(f"params.{self._name}")]
        if any(rule.merge not in (None, "append") for rule in merged):  # those are applied in order all the same
            found = self._joined(merged)
        else:
            found = self._through(self._asked(), rules)
        return self._fitted(self._through(found, list(_thresholds(self._subject))))

    def _fitted(self, found: _Standing) -> _Standing:
        """Return what is left where a limit that nobody asked for is lowered to what the model can write."""
        most = priced_model(self._subject, self._way.model).most_output
        if self._name != OUTPUT_LIMIT or most >= self._subject.plan.defaults.max_output_tokens:
            return found
        return found.spoiled(**({becomes: ALWAYS} if (becomes := self._bounds.judged(int(most))) else {}))

    def _asked(self) -> _Standing:
        """Return what the request may ask for. Where it sets no output limit, the default holds."""
        bounds = self._bounds
        if self._name != OUTPUT_LIMIT:
            there = self._written(f'has(request.params) && "{self._name}" in request.params')
            above, below = (NEVER if bound is None else there for bound in (bounds.max, bounds.min))
            return _Standing(ALWAYS, above, below, there)
        default = self._subject.plan.defaults.max_output_tokens
        asked = f"request.?{OUTPUT_LIMIT}.orValue({default})"
        above = NEVER if bounds.max is None else self._written(f"{asked} > {int(bounds.max // 1)}")
        below = NEVER if bounds.min is None else self._written(f"{asked} < {-int(-bounds.min // 1)}")
        other = NEVER if bounds.equals is None and not bounds.absent else ALWAYS
        return _Standing(NEVER, above, below, other)

    def _written(self, text: str) -> Goal:
        return written(self._subject, text)

    def _through(self, found: _Standing, rules: Sequence[_Applied]) -> _Standing:
        for rule in rules:
            for step, part in rule.parts:
                found = self._after(found, rule, step, part)
        return found

    def _after(self, found: _Standing, rule: _Applied, step: RewriteStep, part: Step) -> _Standing:
        if isinstance(part, SetStep | ClampStep | RemoveStep):
            if part.name != self._name:
                return found
            if isinstance(part, ClampStep):
                return self._clamped(found, rule, part)
            return self._set(found, rule, part)
        if step.operation in _ASIDE and (step.operation != "redact" or self._is_never_redacted()):
            return found if self._name != SystemStep.target else found.spoiled(other=rule.may)
        return found.spoiled(absent=rule.may, above=rule.may, below=rule.may, other=rule.may)

    def _set(self, found: _Standing, rule: _Applied, part: SetStep | RemoveStep) -> _Standing:
        if isinstance(part, SetStep):
            becomes = self._bounds.judged(part.value)
        else:  # then the default limit stands in for it
            default = self._subject.plan.defaults.max_output_tokens
            becomes = self._bounds.judged(default) if self._name == OUTPUT_LIMIT else "absent"
        return found.settled(rule.may_not, **({becomes: rule.may} if becomes else {}))

    def _clamped(self, found: _Standing, rule: _Applied, part: ClampStep) -> _Standing:
        """A number stays within the bounds of the operation; what is neither absent nor a number is refused."""
        bounds, low, high = self._bounds, part.low, part.high
        if bounds.equals is not None:
            return found if _is_within(part, bounds.equals) else found.spoiled(other=rule.may)
        if bounds.absent:
            return found
        above, below = found.above, found.below
        is_lowered = high is not None and bounds.judged(high) != "above"
        is_raised = low is not None and bounds.judged(low) != "below" and bounds.judged(high or low) != "below"
        if bounds.max is not None:
            spoils = low is not None and bounds.judged(low) == "above"
            above = _bounded(above, rule, settles=is_lowered, spoils=spoils)
        if bounds.min is not None:
            spoils = high is not None and bounds.judged(high) == "below"
            below = _bounded(below, rule, settles=is_raised, spoils=spoils)
        return _Standing(found.absent, above, below, every([found.other, rule.may_not]))

    def _is_never_redacted(self) -> bool:
        bounds = self._bounds
        if bounds.equals is not None:
            return _holds_none(bounds.equals)
        return bounds.absent or (bounds.max is not None and bounds.max < _SHORT and (bounds.min or 0) > -_SHORT)

    def _joined(self, rules: Sequence[_Applied]) -> _Standing:
        """Return what rules come to that are joined by their lower number: no more than any of them allows."""
        parts = [[part for _, part in rule.parts if part.target == f"params.{self._name}"] for rule in rules]
        found, bounds = self._asked(), self._bounds
        joins = all(rule.merge == "min" for rule in rules[1:]) and all(len(own) == 1 for own in parts)
        highest = [_highest(own[0]) for own in parts]
        if not joins or bounds.max is None or bounds.min is not None or None in highest:
            return _Standing(ALWAYS, ALWAYS, ALWAYS, ALWAYS)
        limits = [bounds.judged(high) != "above" for high in highest]
        unlimited = [rule.may_not for rule, is_limit in zip(rules, limits, strict=True) if is_limit]
        raised = [rule.may for rule, is_limit in zip(rules, limits, strict=True) if not is_limit]
        sets = [rule.may_not for rule, own in zip(rules, parts, strict=True) if isinstance(own[0], SetStep)]
        above = every([some([found.above, found.other, *raised]), *unlimited])
        return _Standing(every([found.absent, *sets]), above, NEVER, every([found.other, *unlimited]))


def _bounded(goal: Goal, rule: _Applied, *, settles: bool, spoils: bool) -> Goal:
    if settles:
        return every([goal, rule.may_not])
    return some([goal, rule.may]) if spoils else goal


def _highest(part: Step) -> float | None:
    """Return the most that an operation leaves a number at; None where it sets none, or is no such operation."""
    most = part.value if isinstance(part, SetStep) else part.high if isinstance(part, ClampStep) else None
    return most if type(most) in (int, float) else None


def _is_within(part: ClampStep, value: Any) -> bool:
    if type(value) not in (int, float):
        return False
    return (part.low is None or part.low <= value) and (part.high is None or value <= part.high)
