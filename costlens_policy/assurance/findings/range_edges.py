"""CL448: two rules whose ranges meet with a gap of one, or overlap by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import combinations, product
from typing import Final

from costlens_policy.assurance.domain import Every, Goal
from costlens_policy.assurance.domain.trees import Read
from costlens_policy.assurance.subject import Rule, Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.checker.reads import nodes_of
from costlens_policy.compiler.rules import AccessStep
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.expressions.runtime import from_python
from costlens_policy.expressions.tree import Call, Literal, Name
from costlens_policy.periods import zone_of

__all__ = ["find_range_edges"]

_FOUND: Final = Finding("CL448")


def find_range_edges(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of one number that two neighboring routes both leave out, or for which an allow and a deny both hold."""
    yield from _gaps(subject, [rule for rule in subject.rules["routes"] if rule.when is not None])
    rules = [rule for rule in subject.rules["access"] if rule.when is not None]
    if subject.bundle.linked.policy_set.document.defaults.access == "deny":
        yield from _gaps(subject, [rule for rule in rules if not _denies(rule)])
    for read, group in _by_number(subject, rules).items():
        allows, denies = [rule for rule in group if not _denies(rule)], [rule for rule in group if _denies(rule)]
        for allow, deny in product(allows, denies):
            both = _both(subject, read, allow, deny)
            if both is not None:
                message = f"`{_name(read)}` of exactly {both} meets `{allow.id}` and `{deny.id}`, and the deny wins"
                yield _report(allow, deny, message, "also holds for it")


def _gaps(subject: Subject, rules: list[Rule]) -> Iterator[Diagnostic]:
    """Report what lies between two rules, and no rule matches."""
    for read, group in _by_number(subject, rules).items():
        for one, other in combinations(group, 2):
            number = _gap(subject, read, one, other, rules)
            if number is not None:
                message = f"`{_name(read)}` of exactly {number} matches neither `{one.id}` nor `{other.id}`"
                yield _report(one, other, message, "leaves it out")
    by_zone: defaultdict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        if (zone := _zone_of_hours(rule)) is not None:
            by_zone[zone].append(rule)
    for zone, group in by_zone.items():
        for one, other in combinations(group, 2):
            hour = _hour_between(subject, zone, one, other, rules)
            if hour is not None:
                message = f"from {hour}:00 to {hour}:59 ({zone}) neither `{one.id}` nor `{other.id}` matches"
                yield _report(one, other, message, "leaves it out")


def _denies(rule: Rule) -> bool:
    return isinstance(rule.step, AccessStep) and rule.step.denies


def _by_number(subject: Subject, rules: list[Rule]) -> dict[Read, list[Rule]]:
    """Return the rules whose conditions read nothing but one integer, by its place."""
    uses = subject.domain.uses.by_read
    found: defaultdict[Read, list[Rule]] = defaultdict(list)
    for rule in rules:
        reads = rule.when.typed.references if rule.when is not None else frozenset()
        for read in reads if len(reads) == 1 else ():
            if read in uses and uses[read].type.name == "int":
                found[read].append(rule)
    return found


def _holding(subject: Subject, read: Read, goal: Goal) -> list[int]:
    """Return the critical numbers for which a goal is met."""
    values = [value for value in subject.domain.values(read) if type(value) is int]
    return sorted(value for value in values if subject.domain.met(goal, {read: value}))


def _gap(subject: Subject, read: Read, one: Rule, other: Rule, routes: list[Rule]) -> int | None:
    """Return a number between the two ranges, the only one there, that no other route matches."""
    first, second = (_holding(subject, read, rule.goal) for rule in (one, other))
    if not first or not second:
        return None
    low, high = (first, second) if first[-1] < second[0] else (second, first)
    if high[0] - low[-1] != 2:
        return None
    number = low[-1] + 1
    caught = any(subject.domain.met(rule.goal, {read: number}) is not False for rule in routes)
    return None if caught else number


def _zone_of_hours(rule: Rule) -> str | None:
    """Return the time zone in which a condition reads the hour; None where it reads anything else."""
    if rule.when is None or rule.when.typed.references != {("now",)}:
        return None
    zones: set[str] = set()
    for node in nodes_of(rule.when.typed.root):
        if isinstance(node, Call) and isinstance(node.target, Name):
            if node.function != "getHours" or len(node.arguments) != 1 or not isinstance(node.arguments[0], Literal):
                return None
            zones.add(str(node.arguments[0].value))
    return zones.pop() if len(zones) == 1 else None


def _hour_between(subject: Subject, zone: str, one: Rule, other: Rule, rules: list[Rule]) -> int | None:
    """Return the only hour of the day that no rule matches, where it lies between the hours of two."""
    midnight = datetime.combine(subject.now.date(), time(0, 30), zone_of(zone))
    at = {hour: from_python((midnight + timedelta(hours=hour)).astimezone(UTC)) for hour in range(24)}

    def holds(rule: Rule, hour: int) -> bool:
        return subject.domain.met(rule.goal, {("now",): at[hour % 24]}) is not False

    left = [hour for hour in at if not any(holds(rule, hour) for rule in rules)]
    if len(left) != 1:
        return None
    before, after = left[0] - 1, left[0] + 1
    between = (holds(one, before) and holds(other, after)) or (holds(other, before) and holds(one, after))
    return left[0] if between else None


def _both(subject: Subject, read: Read, allow: Rule, deny: Rule) -> int | None:
    """Return the only number for which an allow and a deny hold, where each holds for others, too."""
    shared = _holding(subject, read, Every([allow.goal, deny.goal]))
    alone = all(
        _holding(subject, read, Every([one.goal, other.otherwise])) for one, other in ((allow, deny), (deny, allow))
    )
    return shared[0] if len(shared) == 1 and alone else None


def _name(read: Read) -> str:
    return ".".join(read[1:])


def _report(one: Rule, other: Rule, message: str, label: str) -> Diagnostic:
    return _FOUND.warning(
        message,
        other.span,
        label,
        "use `<=` in one of them and `>` in the other",
        [Related(one.span, "the range beside it")],
    )
