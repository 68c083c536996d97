"""CL428: a rule that goes by the name that the caller wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject, access_rules
from costlens_policy.checker.reads import nodes_of, variable_reads
from costlens_policy.diagnostics.model import Diagnostic, Span
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.documents import Document, PolicyDocument
from costlens_policy.expressions import Extent, Node, TypedExpr
from costlens_policy.expressions.tree import Call, ListLiteral, Literal, Name, Presence, Select
from costlens_policy.source.located import Path

__all__ = ["check_spelled_models"]

_FOUND: Final = Finding("CL428")
_EQUALITY: Final = ("_==_", "_!=_", "@in")
_LABEL: Final = "an alias, `provider/name` or a dated name does not match"


def check_spelled_models(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about rules that go by ``request.model``: aliases and other spellings evade them.

    Of access rules and budgets whatever depends on the spelling is reported, of all else a comparison with a model.
    """
    if _has_one_spelling(subject):
        return
    blamed: set[Place] = set()
    for place in _binding(subject):
        typed = subject.typed(place)
        extent = None if typed is None else _evaded(subject, place, typed)
        if extent is not None:
            blamed.add(place)
            report = _FOUND.mistake if _is_deny(place) else _FOUND.warning
            yield report(
                "this rule compares the name that the caller wrote, so another spelling evades it",
                place.part(extent),
                _LABEL,
                "read `model`, the model that would serve, or `request.asked_model`, the model that is asked for",
            )
    if not subject.bundle.attributes["model"].values:
        yield from _compared_elsewhere(subject, blamed)


def _is_deny(place: Place) -> bool:
    """Say whether a rule refuses: a spelling that evades it opens a hole."""
    document = place.document.document
    if not isinstance(document, PolicyDocument) or place.path[0] != "access":
        return False
    return document.access[int(place.path[1])].effect == "deny"


def _has_one_spelling(subject: Subject) -> bool:
    """Return whether callers may only give names that are listed, no two of which mean the same model."""
    values = subject.bundle.attributes["model"].values
    meant = [model.name for text in values if (model := subject.bundle.catalogue.find(text))]
    return bool(values) and len(meant) == len(set(meant))


def _evaded(subject: Subject, place: Place, typed: TypedExpr) -> Extent | None:
    """Return where a binding expression, or a variable that it reads, depends on the spelling."""
    extent = _spelled(subject, typed)
    if extent is not None:
        return extent
    variables = subject.variables(place.document)
    reads = variable_reads(typed)
    return next((at for name, at in reads if name in variables and _spelled(subject, variables[name])), None)


def _compared_elsewhere(subject: Subject, blamed: set[Place]) -> Iterator[Diagnostic]:
    """Yield comparisons of ``request.model`` with models of the catalogue, outside the places that are blamed."""
    for document in subject.documents():
        for path, typed in subject.expressions[document].items():
            place = Place(document, path)
            if place in blamed or _admits(document.document, path):
                continue
            for texts, extent in _comparisons(typed):
                meant = {text: model.name for text in texts if (model := subject.bundle.catalogue.find(text))}
                if meant:
                    yield _elsewhere(place.part(extent), meant)


def _admits(document: Document, path: Path) -> bool:
    """Say whether this is the condition of a route that serves the model by the same name: others are not served so."""
    if not isinstance(document, PolicyDocument) or path[0] != "routes" or path[-1] != "when":
        return False
    return document.routes[int(path[1])].model_from is not None


def _elsewhere(span: Span, meant: Mapping[str, str]) -> Diagnostic:
    names = sorted(set(meant.values()))
    asked = 'request.?asked_model.name.orValue("")'
    values = ", ".join(f'"{name}"' for name in names)
    return _FOUND.warning(
        f"`request.model` is compared with {listed(meant)}, which callers may spell differently",
        span,
        _LABEL,
        "compare the model that is meant: "
        + (f"`{asked} == {values}`" if len(names) == 1 else f"`{asked} in [{values}]`"),
    )


def _comparisons(typed: TypedExpr) -> Iterator[tuple[tuple[str, ...], Extent]]:
    """Yield the strings that ``request.model`` is compared with, and where."""
    for node in nodes_of(typed.root):
        if isinstance(node, Call) and node.function in _EQUALITY and len(node.arguments) == 2:
            left, right = node.arguments
            for asked, other in ((left, right), (right, left)):
                if _is_asked(_without_default(asked)):
                    yield tuple(_texts(other)), asked.extent


def _without_default(node: Node) -> Node:
    return node.target if isinstance(node, Call) and node.function == "orValue" and node.target is not None else node


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
