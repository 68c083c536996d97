"""CL490: a condition of which examples are tried, so that finding nothing proves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import atoms_of
from costlens_policy.assurance.domain.trees import Atom
from costlens_policy.assurance.subject import Rule, Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.diagnostics.model import Diagnostic, Span

__all__ = ["find_searched_conditions"]

_FOUND: Final = Finding("CL490")


def find_searched_conditions(subject: Subject) -> Iterator[Diagnostic]:
    """Note the first part of each condition that no finite number of values stands for."""
    for rules in subject.rules.values():
        for rule in rules:
            for atom in atoms_of(rule.goal):
                why = subject.domain.doubt_about(atom)
                if why:
                    yield _FOUND.note(
                        f"`{rule.id}` is searched, not decided: {why}",
                        _place(rule, atom),
                        "examples are tried",
                        "nothing to do; what is reported of this rule is shown by a request, and more may be there",
                    )
                    break


def _place(rule: Rule, atom: Atom) -> Span:
    """Return where an atom is written; of one in a variable, the condition."""
    if rule.when is None or atom.formula.source != rule.when.source:
        return rule.span
    return rule.place.at("when").part(atom.formula.typed.root.extent)
