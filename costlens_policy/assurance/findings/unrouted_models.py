"""CL440: a rule for models that no request can reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import Found, Goal, Holds, Nothing, atoms_of
from costlens_policy.assurance.domain.trees import Atom
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.bundle import all_targets_of, named_models
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions.tree import Name, Select

__all__ = ["find_unrouted_models"]

_FOUND: Final = Finding("CL440")
_WHO: Final = frozenset({"name", "provider", "family"})
"""What a model is, rather than what it costs or can do today."""
_FLAG: Final = frozenset({"external"})
"""What is so of a model beside its name."""


def find_unrouted_models(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of budgets and rewrites whose condition holds for no model that any route, fallback or downgrade names.

    Also of rules that ask for a name, a provider, a family and to be external or not, which no model has together.
    """
    yield from _for_no_model(subject)
    reachable = _reachable(subject)
    if reachable is None:
        return
    for section in ("budgets", "rewrites"):
        for rule in subject.rules[section]:
            if rule.when is None or not rule.when.reads("model"):
                continue
            found = {name: subject.domain.find(rule.goal, {("model",): name}) for name in subject.domain.models}
            holds_for = [name for name, result in found.items() if isinstance(result, Found)]
            if holds_for and all(isinstance(found[name], Nothing) for name in reachable if name in found):
                names = " and ".join(f"`{name}`" for name in holds_for[:3])
                yield _FOUND.warning(
                    f"`{rule.id}` holds only for {names}, to which no request goes",
                    rule.span,
                    "no route, fallback or downgrade names it",
                    "correct the name, or remove the rule",
                    proved=True,
                )


def _for_no_model(subject: Subject) -> Iterator[Diagnostic]:
    for section in ("access", "budgets", "rewrites"):
        for rule in subject.rules[section]:
            if rule.when is None or not rule.when.reads("model") or subject.is_diagnosed(rule):
                continue
            asked = [atom for atom in atoms_of(rule.goal) if ("model",) in atom.reads]
            named = [atom for atom in asked if _facts(atom) != _FLAG]
            if not named or not all(_facts(atom) <= _WHO and _holds_for_some(subject, Holds(atom)) for atom in named):
                continue
            if not _holds_for_some(subject, rule.goal) and isinstance(subject.domain.find(rule.goal), Nothing):
                yield _FOUND.warning(
                    f"`{rule.id}` holds for no model: none of the catalogue has all that its condition asks for",
                    rule.span,
                    "never true",
                    "compare `name`, `provider`, `family` and `external` with those of one model, or remove the rule",
                    proved=True,
                )


def _facts(atom: Atom) -> frozenset[str]:
    """Return the facts of models that an atom reads, `other` for one that is worked out."""
    nodes = list(nodes_of(atom.formula.typed.root))
    names = sum(isinstance(node, Name) and node.name == "model" for node in nodes)
    found = [node.field for node in nodes if isinstance(node, Select) and isinstance(node.operand, Name)]
    return frozenset(found if len(found) == names else [*found, "other"])


def _holds_for_some(subject: Subject, goal: Goal) -> bool:
    return any(isinstance(subject.domain.find(goal, {("model",): name}), Found) for name in subject.domain.models)


def _reachable(subject: Subject) -> frozenset[str] | None:
    """Return the models that can serve; None where any may."""
    names: set[str] = set()
    catalogue = subject.bundle.linked.catalogue
    for document in subject.documents.documents():
        for _, target in all_targets_of(document.document):
            if target.model_from is not None or (target.choose is not None and not target.choose.models):
                return None
        found = (catalogue.find(named.name) for named in named_models(document.document))
        names.update(model.name for model in found if model is not None)
    return frozenset(names)
