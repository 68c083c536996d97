"""CL448: two rules whose ranges meet with a gap of one, or overlap by one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Final

from costlens_policy.assurance.domain import Every, Goal
from costlens_policy.assurance.domain.trees import Read
from costlens_policy.assurance.subject import Rule, Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.compiler.rules import AccessStep
from costlens_policy.diagnostics.model import Diagnostic, Related

__all__ = ["find_range_edges"]

_FOUND: Final = Finding("CL448")


def find_range_edges(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of one number that two neighboring routes both leave out, or for which an allow and a deny both hold."""
    routes = [rule for rule in subject.rules["routes"] if rule.when is not None]
    for one, other in combinations(routes, 2):
        for read in _numbers(subject, one, other):
            gap = _gap(subject, read, one, other, routes)
            if gap is not None:
                yield _report(
                    one,
                    other,
                    f"`{_name(read)}` of exactly {gap} matches neither `{one.id}` nor `{other.id}`",
                    "leaves it out",
                )
    rules = [rule for rule in subject.rules["access"] if rule.when is not None]
    for allow in rules:
        for deny in rules:
            if _denies(allow) or not _denies(deny):
                continue
            for read in _numbers(subject, allow, deny):
                both = _both(subject, read, allow, deny)
                if both is not None:
                    message = f"`{_name(read)}` of exactly {both} meets `{allow.id}` and `{deny.id}`, and the deny wins"
                    yield _report(allow, deny, message, "also holds for it")


def _denies(rule: Rule) -> bool:
    return isinstance(rule.step, AccessStep) and rule.step.denies


def _numbers(subject: Subject, one: Rule, other: Rule) -> list[Read]:
    """Return the integer that is all that both conditions read."""
    reads = one.when.typed.references if one.when is not None else frozenset()
    if other.when is None or len(reads) != 1 or reads != other.when.typed.references:
        return []
    uses = subject.domain.uses.by_read
    return [read for read in reads if read in uses and uses[read].type.name == "int"]


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
