"""CL485: an access rule that holds for an empty list, though it asks for elements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import ABSENT, Found, atoms_of
from costlens_policy.assurance.domain.trees import Atom, Read
from costlens_policy.assurance.subject import Rule, Subject, shown
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.compiler.rules import AccessStep
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions.tree import Call, Comprehension, ListLiteral, Macro

__all__ = ["find_empty_lists"]

_FOUND: Final = Finding("CL485")


def find_empty_lists(subject: Subject) -> Iterator[Diagnostic]:
    """Report denies, and allows where the default denies, that `all` makes hold for requests without the list."""
    for rule in subject.rules["access"]:
        step = rule.step
        assert isinstance(step, AccessStep)
        if step.by_model or not (step.denies or not subject.plan.defaults.allows):
            continue
        for atom in atoms_of(rule.goal):
            read = _list_of(atom)
            found = subject.find(rule.goal, {read: ABSENT}) if read else None
            if read is None or not isinstance(found, Found) or _holds_for_others(subject, rule, read):
                continue
            witness = subject.situated(found.values)
            if witness is None or (witness.decision.effect == "deny") is not step.denies:
                continue
            name = ".".join(read[1:])
            yield _FOUND.mistake(
                f"`{rule.id}` {'denies' if step.denies else 'allows'} requests without `{name}`, "
                f"such as `{shown(witness.request)}`: `all` holds for an empty list",
                rule.span,
                "true where there is no element",
                f"write `exists`, or `request.?{name}.orValue([]).size() > 0 && …` before it",
                witnesses=[witness.shown],
            )
            break


def _list_of(atom: Atom) -> Read | None:
    """Return the list whose elements an atom asks for with `all`, where an empty one stands in for it; else None."""
    root = atom.formula.typed.root
    if not isinstance(root, Comprehension) or root.macro is not Macro.ALL or len(atom.reads) != 1:
        return None
    range_ = root.range
    default = range_.arguments[0] if isinstance(range_, Call) and range_.function == "orValue" else None
    return atom.reads[0] if isinstance(default, ListLiteral) and not default.elements else None


def _holds_for_others(subject: Subject, rule: Rule, read: Read) -> bool:
    """Say whether the rule also holds for a list with an element that nothing names."""
    members = subject.domain.uses.by_read[read].members
    others = (value for value in subject.domain.values(read) if isinstance(value, list) and len(value) == 1)
    return any(isinstance(subject.find(rule.goal, {read: value}), Found) for value in others if value[0] not in members)
