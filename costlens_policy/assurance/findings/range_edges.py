"""CL448: two rules whose ranges meet with a gap of one, or overlap by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf, nextafter
from typing import Final

from costlens_policy.assurance.bounds import Range, numbers_of, range_of
from costlens_policy.assurance.domain import Every, Goal, Nothing, Undecided
from costlens_policy.assurance.subject import Rule, Subject, Witness
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.compiler.rules import AccessStep
from costlens_policy.diagnostics.model import Diagnostic, Related, Shown

__all__ = ["find_range_edges"]

_FOUND: Final = Finding("CL448")
_MISSED: Final = {
    "access": "neither `{}` nor `{}` allows",
    "routes": "matches neither `{}` nor `{}`",
    "rewrites": "neither `{}` nor `{}` changes",
    "budgets": "neither `{}` nor `{}` counts",
}


def find_range_edges(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of one number that two neighboring rules both leave out, or for which an allow and a deny both hold."""
    by_default = subject.bundle.linked.policy_set.document.defaults.access
    access = [rule for rule in subject.rules["access"] if isinstance(rule.step, AccessStep)]
    allows = [rule for rule in access if _effect(rule) == "allow"]
    yield from _gaps(subject, "access", allows if by_default == "deny" else ())
    for section in ("routes", "rewrites", "budgets"):
        yield from _gaps(subject, section, subject.rules[section])
    for allow, deny in _overlapping(allows, [rule for rule in access if _effect(rule) == "deny"]):
        for value in _edges(allow, deny):
            if allow.has(value) and deny.has(value) and _is_between(allow, deny, value):
                names = f"`{allow.rule.id}` and `{deny.rule.id}`"
                message = f"{_exactly(allow, value)} meets {names}, and the deny wins"
                both = Every([allow.rule.goal, deny.rule.goal])
                yield _report(allow.rule, deny.rule, message, "also holds for it", _shown(subject, both, allow, value))


def _effect(rule: Rule) -> str:
    step = rule.step
    if not isinstance(step, AccessStep) or step.only is not None or step.only_models:
        return ""
    return "deny" if step.denies else "allow"


def _gaps(subject: Subject, section: str, rules: Sequence[Rule]) -> Iterator[Diagnostic]:
    """Report what lies between two rules, and no rule is for."""
    for one, other in _neighbors(rules):
        for value in _edges(one, other):
            if one.has(value) or other.has(value) or not _is_between(one, other, value):
                continue
            if one.is_listed and other.is_listed:
                continue  # `level == 1` and `level == 3` say nothing about 2
            if any(_may_catch(subject, rule, one, value) for rule in rules):
                continue
            first, last = sorted((one.rule, other.rule), key=lambda rule: (rule.layer, rule.place.path[1]))
            missed = _MISSED[section].format(first.id, last.id)
            exact = _exactly(one, value)
            message = f"{exact} {missed}" if section == "routes" else f"{missed} {exact}"
            missing = Every([one.where_shared(), one.rule.otherwise, other.rule.otherwise])
            yield _report(first, last, message, "leaves it out", _shown(subject, missing, one, value))


def _neighbors(rules: Sequence[Rule]) -> Iterator[tuple[Range, Range]]:
    """Yield two rules for neighboring ranges of a number, the narrower of their other conditions first."""
    by_number: defaultdict[str, list[Range]] = defaultdict(list)
    for rule in rules:
        for number in sorted(numbers_of(rule)):
            found = range_of(rule, number)
            if found is not None:
                by_number[number].append(found)
    for ranges in by_number.values():
        alike: defaultdict[frozenset[str], list[Range]] = defaultdict(list)
        for range_ in sorted(ranges, key=lambda item: max(item.bounds)):
            alike[frozenset(range_.shared)].append(range_)
        for group in alike.values():
            yield from pairwise(group)
        for one, two in pairwise(sorted(ranges, key=lambda item: max(item.bounds))):
            if one.shared.keys() < two.shared.keys():
                yield two, one
            elif two.shared.keys() < one.shared.keys():
                yield one, two


def _overlapping(allows: Sequence[Rule], denies: Sequence[Rule]) -> Iterator[tuple[Range, Range]]:
    """Yield an allow and a deny for ranges of one number, beside the same conditions."""
    alike: defaultdict[tuple[str, frozenset[str]], list[Range]] = defaultdict(list)
    for rule in allows:
        for number in numbers_of(rule):
            found = range_of(rule, number)
            if found is not None:
                alike[number, frozenset(found.shared)].append(found)
    for rule in denies:
        for number in sorted(numbers_of(rule)):
            found = range_of(rule, number)
            if found is not None:
                yield from ((allow, found) for allow in alike[number, frozenset(found.shared)])


def _edges(one: Range, other: Range) -> list[float]:
    """Return the values at which one of two ranges may end, and the other begin."""
    bounds = one.bounds | other.bounds
    if one.is_whole and other.is_whole:
        near = {value for bound in bounds for value in (int(bound) - 1, int(bound), int(bound) + 1)}
        return sorted(value for value in near if one.cycle is None or 0 <= value < one.cycle)
    return sorted(bounds)


def _is_between(one: Range, other: Range, value: float) -> bool:
    """Say whether one of two rules alone holds just below a value, and the other alone just above it."""
    whole = one.is_whole and other.is_whole
    below, above = (value - 1, value + 1) if whole else (nextafter(value, -inf), nextafter(value, inf))
    sides = [(item.has(below), item.has(above)) for item in (one, other)]
    return sides in ([(True, False), (False, True)], [(False, True), (True, False)])


def _may_catch(subject: Subject, rule: Rule, range_: Range, value: float) -> bool:
    """Say whether a further rule is for all that a gap leaves out, or cannot be told."""
    found = range_of(rule, range_.number)
    if found is None:
        return True
    if found.ranges:
        return found.has(value) and found.shared.keys() <= range_.shared.keys()
    left = subject.domain.find(Every([range_.where_shared(), rule.otherwise]))
    return isinstance(left, Nothing | Undecided)


def _exactly(range_: Range, value: float) -> str:
    return f"`{range_.name}` of exactly {int(value) if value == int(value) else value}"


def _shown(subject: Subject, goal: Goal, range_: Range, value: float) -> list[Shown]:
    """Return a request with the number, in a list; empty where the number is worked out."""
    if range_.read is None:
        return []
    found = subject.witness(goal, {range_.read: int(value) if range_.is_whole else float(value)})
    return [found.shown] if isinstance(found, Witness) else []


def _report(one: Rule, other: Rule, message: str, label: str, witnesses: Sequence[Shown]) -> Diagnostic:
    return _FOUND.warning(
        message,
        other.span,
        label,
        "use `<=` in one of them and `>` in the other",
        [Related(one.span, "the range beside it")],
        witnesses=witnesses,
    )
