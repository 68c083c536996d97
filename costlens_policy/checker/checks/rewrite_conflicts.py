"""CL401: two rewrites, or a route and a rewrite, set the same target, and neither has a ``merge``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Applied, Finding, Place, Subject, applied
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.documents.parameters import canonical_parameter
from costlens_policy.documents.rewrites import PARAMETERS, Effect, Operation
from costlens_policy.frozen import frozen

__all__ = ["Setting", "check_rewrite_conflicts", "settings_of"]

_FOUND: Final = Finding("CL401")
_PARAMETER: Final = f"{PARAMETERS}."


@frozen
class Setting:
    """One target of a rule, as ``Operation.targets`` names it, and what is done to it there."""

    rule: Applied
    target: str
    noun: str
    effect: Effect
    place: Place

    @property
    def merges(self) -> tuple[str, ...]:
        """What can be declared for two rules with this target."""
        return ("min", "max", "set_once") if self.target.startswith(_PARAMETER) else ("append", "set_once")

    def __str__(self) -> str:
        name = self.target.removeprefix(_PARAMETER)
        return self.noun if name == self.target else f"{self.noun} `{name}`"


def check_rewrite_conflicts(subject: Subject) -> Iterator[Diagnostic]:
    """Report the later of two rules that can meet at one target without a ``merge`` that fits."""
    earlier: dict[str, list[Setting]] = {}
    for rule in applied(subject):
        for setting in settings_of(rule):
            same = earlier.setdefault(setting.target, [])
            met = next((item for item in same if _conflict(item, setting)), None)
            if met is not None:
                yield _report(met, setting)
            same.append(setting)


def settings_of(rule: Applied) -> Iterator[Setting]:
    """Yield each target of a rule once, where it is set first."""
    seen: set[str] = set()
    for index, operation in enumerate(rule.operations):
        facts, place = operation.facts, rule.place.at("apply", index, operation.name)
        for target in operation.targets:
            if target not in seen:
                seen.add(target)
                yield Setting(rule, target, facts.noun, operation.effect, _place(place, operation, target))


def _place(place: Place, operation: Operation, target: str) -> Place:
    """Return where a target is named: of a parameter, its own name in the operation."""
    if not target.startswith(_PARAMETER):
        return place
    parameter = target.removeprefix(_PARAMETER)
    return next(place.at(step) for name, step, _ in operation.parameters if canonical_parameter(name) == parameter)


def _conflict(first: Setting, later: Setting) -> bool:
    """Return whether the later one overrides the first; removing a parameter does not override its bounds."""
    if later.effect not in ("replaces", "removes") or (first.effect, later.effect) == ("narrows", "removes"):
        return False
    merge = later.rule.merge or first.rule.merge
    return merge not in later.merges and not first.rule.excludes(later.rule)


def _report(first: Setting, later: Setting) -> Diagnostic:
    rule, before = later.rule, first.rule.name
    choices = listed((f"merge: {item}" for item in later.merges), "or")
    related = [Related(first.place.name_span, f"`{before}` sets it here")]
    if rule.merge is not None:
        span = rule.place.at("merge").span
        message = f"`merge: {rule.merge}` does not fit {later}, which `{before}` also sets"
        return _FOUND.error(message, span, "cannot be merged like this", f"use {choices}", related)
    return _FOUND.error(
        f"`{before}` and `{rule.name}` both set {later}",
        later.place.name_span,
        "set again here",
        f"add {choices} to `{rule.name.rpartition('/')[2]}`, or make the conditions mutually exclusive",
        related,
    )
