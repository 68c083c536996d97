"""CL434: a condition, or a part of one, that never or always holds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from costlens_policy.assurance.domain import Goal, Holds, Not, Nothing
from costlens_policy.assurance.domain.trees import ASKED, Atom, Junction, Negation, Tree
from costlens_policy.assurance.removals import without_operand
from costlens_policy.assurance.subject import Rule, Subject
from costlens_policy.checker.checks.subject import Finding, Fix
from costlens_policy.compiler.rules import AccessStep
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["find_constant_parts"]

_FOUND: Final = Finding("CL434")


def find_constant_parts(subject: Subject) -> Iterator[Diagnostic]:
    """Report what is decided whatever the request is. A deny that never holds, or always, is an error."""
    for rules in subject.rules.values():
        for rule in rules:
            if isinstance(rule.goal, Holds) and not subject.is_diagnosed(rule) and not _reads_models(rule):
                yield from _whole(subject, rule, rule.goal)


def _reads_models(rule: Rule) -> bool:
    """Say whether a condition reads facts of models, which may be others on another day."""
    return rule.when is not None and (rule.when.reads("model") or ASKED in rule.when.typed.references)


def _whole(subject: Subject, rule: Rule, goal: Holds) -> Iterator[Diagnostic]:
    report = _FOUND.mistake if rule in subject.denies else _FOUND.warning
    opens = isinstance(rule.step, AccessStep) and not rule.step.denies and not subject.plan.defaults.allows
    if _never(subject, goal):
        yield report(
            f"the condition of `{rule.id}` never holds",
            rule.span,
            "never true",
            "correct it, or remove the rule",
            proved=True,
        )
    elif _never(subject, Not(goal)):
        yield (_FOUND.mistake if opens else report)(
            f"the condition of `{rule.id}` always holds",
            rule.span,
            "always true",
            "correct it, or leave `when` out",
            proved=True,
        )
    else:
        yield from _parts(subject, rule, goal.tree)


def _parts(subject: Subject, rule: Rule, tree: Tree) -> Iterator[Diagnostic]:
    """Report operands of `&&` and `||` that are the same for every request."""
    for operand in tree.operands if isinstance(tree, Junction) else ():
        atom = _atom(operand)
        if atom is None:
            yield from _parts(subject, rule, operand)
            continue
        goal = Holds(atom)
        said = "never" if _never(subject, goal) else "always" if _never(subject, Not(goal)) else ""
        if said and not _is_guard(atom):
            root = atom.formula.typed.root.extent
            text = atom.formula.source[root.start : root.end]
            inside = rule.when is not None and atom.formula.source == rule.when.source
            yield _FOUND.warning(
                f"`{text}` in `{rule.id}` {said} holds",
                rule.place.at("when").part(root) if inside else rule.span,
                f"{said} true",
                "correct it, or remove it",
                proved=True,
                fix=_removal(subject, rule, operand, atom),
            )


def _removal(subject: Subject, rule: Rule, operand: Tree, atom: Atom) -> Fix | None:
    """Return how to remove an operand, None where it may also fail, which is another outcome."""
    always = _never(subject, Not(Holds(operand)))
    if not always and not _never(subject, Holds(operand, error=True)):
        return None
    return partial(without_operand, rule, atom, always)


def _atom(tree: Tree) -> Atom | None:
    inner = tree.operand if isinstance(tree, Negation) else tree
    return inner if isinstance(inner, Atom) else None


def _is_guard(atom: Atom) -> bool:
    """Say whether a part depends on nothing that a request could change, such as facts of the catalogue."""
    return not any(read[0] in ("request", "now") for read in atom.reads)


def _never(subject: Subject, goal: Goal) -> bool:
    return isinstance(subject.domain.find(goal), Nothing)
