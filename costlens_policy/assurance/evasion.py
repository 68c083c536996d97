"""How callers evade a rule: by leaving an attribute out, or by another value of one that is not trusted."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from costlens_policy.assurance.domain import ABSENT, Assignment, Every, Found, Goal, Not
from costlens_policy.assurance.domain.trees import Read, Use
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.attributes import SIGNALS
from costlens_policy.frozen import frozen

__all__ = ["Evasion", "evasions"]

_CALL: Final = frozenset({"model", "prompt", "system", "messages", "tools", "modalities", "params", SIGNALS})
"""What is asked for, rather than by whom: a call without it is another call."""

_PLAIN: Final = frozenset({"bool", "int", "uint", "double", "timestamp", "duration"})
"""Types of which no value is a stranger; what the standard attributes of these types say is about the call."""


@frozen
class Evasion:
    """Two requests that differ in one attribute, ``name``: the rule holds for ``held`` and not for ``free``.

    ``omitted`` says that ``free`` leaves the attribute out.
    """

    name: str
    held: Assignment
    free: Assignment
    omitted: bool

    @property
    def cure(self) -> str:
        """How to keep callers from leaving the attribute out; a key of a map cannot be declared by itself."""
        if "." not in self.name:
            return f"declare `{self.name}` as `required: true` or `trusted: true`"
        return f"declare an attribute in place of `{self.name}`, as `required: true` or `trusted: true`"


def evasions(subject: Subject, goal: Goal, elsewhere: Goal) -> Iterator[Evasion]:
    """Yield ways out of a goal that do not meet ``elsewhere`` either, the first for each attribute.

    An attribute that the service sets (``trusted: true``) is never a way out, one that callers set (``trusted: false``)
    always, what is asked for never, and any other where it may be left out and the rule holds for a value that no rule
    names: then a request without it passes although a stranger's does not.
    """
    held = subject.domain.find(goal)
    if not isinstance(held, Found):
        return
    for read in [read for read in held.values if len(read) >= 2 and read[0] == "request"]:
        trusted = _is_trusted(subject, read)
        if trusted or (trusted is None and read[1] in _CALL):
            continue
        found = _strangers(subject, goal, held.values, read) if trusted is None else held.values
        if found is None:
            continue
        for value in subject.domain.values(read):
            if trusted is None and value is not ABSENT:
                continue
            way = _way_out(subject, Every((Not(goal), Not(elsewhere))), goal, found, read, value)
            if way is not None:
                yield way
                break


def _is_trusted(subject: Subject, read: Read) -> bool | None:
    declared = subject.bundle.linked.policy_set.document.attributes.get(read[1])
    return None if declared is None else declared.trusted


def _strangers(subject: Subject, goal: Goal, values: Assignment, read: Read) -> Assignment | None:
    """Return the request with a value that no rule names, where the goal is met by it, too.

    A declared attribute whose type has no such values, such as a number, has to meet the goal with any.
    """
    use = subject.domain.uses.by_read[read]
    if use.patterns or use.parts or use.functions or use.searched:
        return None  # what fits a pattern, or differs in case only, is not a stranger
    entries = {place: ABSENT for place in values if len(place) > len(read) and place[: len(read)] == read}
    named = {place[len(read)] for place in entries}
    present = [value for value in subject.domain.values(read) if value is not ABSENT]
    if use.type.name in _PLAIN and read[1] in subject.bundle.linked.policy_set.document.attributes:
        always = all(subject.domain.met(goal, {**values, read: value}) for value in present)
        return {**values, read: present[0]} if always else None
    for value in present:
        if not _is_strange(value, use, named):
            continue
        stranger = {**values, **(entries if isinstance(value, dict) else {}), read: value}
        if subject.domain.met(goal, stranger):
            return stranger
    return None


def _is_strange(value: object, use: Use, named: Collection[str]) -> bool:
    """Say whether a value is one that no rule names: a text, a list with one such element, a map with or without one.

    ``named`` are the entries of a map that rules read.
    """
    if isinstance(value, list):
        return len(value) == 1 and value[0] not in use.members
    if isinstance(value, dict):
        return (use.has_children or use.type.name == "map") and len(value) <= 1 and value.keys().isdisjoint(named)
    if not isinstance(value, str):
        return False
    named_as = value.startswith(tuple(use.prefixes)) or value.endswith(tuple(use.suffixes))
    return value != "" and value not in use.literals and not named_as


def _way_out(subject: Subject, out: Goal, goal: Goal, values: Assignment, read: Read, value: object) -> Evasion | None:
    given = {place: known for place, known in values.items() if place[: len(read)] != read}
    found = subject.domain.find(out, {**given, read: value})
    if not isinstance(found, Found):
        return None
    held = {**found.values, **values}
    if subject.domain.met(goal, held) is not True:
        return None
    return Evasion(".".join(read[1:]), held, found.values, value is ABSENT)
