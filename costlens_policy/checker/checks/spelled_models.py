"""CL428: a rule that binds, and goes by the name that the caller wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject, access_rules
from costlens_policy.checker.expressions.analyse import nodes_of, variable_reads
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions import Extent, Node, TypedExpr
from costlens_policy.expressions.tree import Call, ListLiteral, Literal, Name, Presence, Select

__all__ = ["check_spelled_models"]

_FOUND: Final = Finding("CL428")
_EQUALITY: Final = ("_==_", "_!=_", "@in")


def check_spelled_models(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of access rules and budgets that read ``request.model``: aliases and other spellings evade them."""
    for place in _binding(subject):
        typed = subject.typed(place)
        if typed is None:
            continue
        extent = _spelled(subject, typed)
        if extent is None:
            variables = subject.variables(place.document)
            reads = variable_reads(typed)
            extent = next((at for name, at in reads if name in variables and _spelled(subject, variables[name])), None)
        if extent is not None:
            yield _FOUND.warning(
                "this rule compares the name that the caller wrote, so another spelling evades it",
                place.part(extent),
                "an alias, `provider/name` or a dated name does not match",
                "read `model` instead: the model that would serve, however the caller spelled it",
            )


def _binding(subject: Subject) -> Iterator[Place]:
    """Yield the conditions that must not be evaded."""
    for rule in access_rules(subject):
        yield from (rule.place.at("when"), rule.place.at("only"))
    for policy in subject.bundle.policies:
        for index in range(len(policy.document.budgets)):
            place = Place(policy, ("budgets", index))
            yield from (place.at("when"), place.at("scope"))


def _spelled(subject: Subject, typed: TypedExpr) -> Extent | None:
    """Return the first read of ``request.model`` that another spelling changes.

    Compared with texts that name no model of the catalogue it is harmless: these are names of the policy's own, unless
    models are served that no catalogue names.
    """
    known = subject.bundle.catalogue.find
    unknown_serve = subject.bundle.policy_set.document.admit.unknown_models
    harmless: list[Extent] = []
    for node in nodes_of(typed.root):
        if isinstance(node, Presence) and _is_asked(node):
            harmless.append(node.extent)
        elif isinstance(node, Call) and node.function in _EQUALITY and len(node.arguments) == 2:
            texts = [text for argument in node.arguments for text in _texts(argument)]
            if texts and not unknown_serve and not any(known(text) for text in texts):
                harmless.append(node.extent)
    reads = [node.extent for node in nodes_of(typed.root) if _is_asked(node)]
    return next((read for read in reads if not any(_covers(extent, read) for extent in harmless)), None)


def _covers(outer: Extent, inner: Extent) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def _is_asked(node: Node) -> bool:
    return (
        isinstance(node, Select | Presence)
        and node.field == "model"
        and isinstance(node.operand, Name)
        and node.operand.name == "request"
    )


def _texts(node: Node) -> Iterator[str]:
    """Yield the texts of a literal, or of a list of them."""
    if isinstance(node, Literal) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ListLiteral):
        for element in node.elements:
            yield from _texts(element)
