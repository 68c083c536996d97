"""Rules with their places and conditions, as several checks go through them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from costlens_policy.catalogue import Model
from costlens_policy.checker.attributes import ROOT_TYPES
from costlens_policy.checker.bundle import LinkedDocument
from costlens_policy.checker.checks.subject import Place, Subject
from costlens_policy.checker.conditions import Condition
from costlens_policy.checker.records import model_values
from costlens_policy.checker.targets import named_models
from costlens_policy.documents import PolicyDocument
from costlens_policy.documents.policy import AccessRule
from costlens_policy.documents.rewrites import Rewrite
from costlens_policy.documents.routes import Route
from costlens_policy.expressions import TypedExpr
from costlens_policy.expressions.compile import compile_expression
from costlens_policy.expressions.runtime import CelError

__all__ = ["Placed", "access_rules", "catalogue_models", "holds_for", "rewrites", "routes"]

R = TypeVar("R", AccessRule, Route, Rewrite)


@dataclass(frozen=True, slots=True)
class Placed(Generic[R]):
    """A rule, where it stands, and when it holds. ``name`` is ``policy/rule``."""

    rule: R
    name: str
    policy: LinkedDocument[PolicyDocument]
    place: Place
    condition: Condition


def access_rules(subject: Subject) -> Iterator[Placed[AccessRule]]:
    """Yield the access rules of all layers, in order."""
    for policy in subject.bundle.policies:
        yield from _placed(subject, policy, "access", policy.document.access)


def routes(subject: Subject) -> Iterator[Placed[Route]]:
    """Yield the routes of all layers, in the order in which they are tried."""
    for policy in subject.bundle.policies:
        yield from _placed(subject, policy, "routes", policy.document.routes)


def rewrites(subject: Subject) -> Iterator[Placed[Rewrite]]:
    """Yield the rewrites of all layers, in the order in which they are applied."""
    for policy in subject.bundle.policies:
        yield from _placed(subject, policy, "rewrites", policy.document.rewrites)


def catalogue_models(subject: Subject) -> Iterator[tuple[Model, Place]]:
    """Yield the models of the catalogue that the set and its policies name, and where they do."""
    for document in subject.documents():
        for named in named_models(document.document):
            model = subject.bundle.catalogue.find(named.name)
            if model is not None:
                yield model, Place(document, named.path)


def holds_for(subject: Subject, condition: TypedExpr, model: Model) -> bool | None:
    """Return whether a condition holds for a model on the day, None where it reads anything else. It fails: false."""
    if any(reference[0] != "model" for reference in condition.references):
        return None
    record = model_values(model, model.period_on(subject.day), subject.day)
    try:
        evaluate = compile_expression(condition, tuple(ROOT_TYPES))
        return bool(evaluate(*(record if root == "model" else None for root in ROOT_TYPES)))
    except CelError:
        return False


def _placed(
    subject: Subject, policy: LinkedDocument[PolicyDocument], section: str, rules: tuple[R, ...]
) -> Iterator[Placed[R]]:
    for index, rule in enumerate(rules):
        place = Place(policy, (section, index))
        yield Placed(rule, f"{policy.name}/{rule.id}", policy, place, subject.condition(place.at("when")))
