"""CL415: a choice that no model of the catalogue can meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from costlens_policy.catalogue import Model
from costlens_policy.checker.bundle import all_targets_of
from costlens_policy.checker.checks.choice_limits import limit_tests
from costlens_policy.checker.checks.subject import Finding, Place, Subject, holds_for
from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.documents.policy import Choice

__all__ = ["check_unmeetable_choices"]

_FOUND: Final = Finding("CL415")


def check_unmeetable_choices(subject: Subject) -> Iterator[Diagnostic]:
    """Report choices whose filter or limits exclude every model; this is a warning if others may serve."""
    for document in subject.documents():
        for path, target in all_targets_of(document.document):
            if target.choose is not None:
                place = Place(document, (*path, "choose"))
                problem = _examine(subject, target.choose, place)
                if problem is not None:
                    can_serve = target.fallbacks and "fallbacks" in target.waive_terms_for
                    can_serve = can_serve or _has_way_out(subject, target.choose, place)
                    yield replace(problem, severity=Severity.WARNING) if can_serve else problem


def _has_way_out(subject: Subject, choice: Choice, place: Place) -> bool:
    """Return whether `on_none` leads to other models, or to the same without the limits that they do not meet."""
    if choice.on_none in ("cheapest", "best"):
        return _examine(subject, choice.without_bounds(), place) is None
    return choice.on_none != "refuse"


def _examine(subject: Subject, choice: Choice, place: Place) -> Diagnostic | None:
    """Return the first step at which no model is left."""
    models = [model for model in _models(subject, choice) if not model.retired_on(subject.day)]
    if not models:
        return _FOUND.error("there is no model to choose from", place.key_span, "", "list models that are not retired")
    among = subject.typed(place.at("among"))
    if among is not None:
        models = [model for model in models if holds_for(subject, among, model) is not False]
        if not models:
            advice = (
                "compare it with `costlens-policy catalogue list`; a model never meets a condition on an unknown fact"
            )
            return _FOUND.error("no model meets `among`", place.at("among").span, "holds for no model", advice)
    for test in limit_tests(choice):
        left = [model for model in models if test.meets(model)]
        if not left:
            label = f"the best of {len(models)} has {test.best(models)}"
            advice = (
                "loosen the limit, or add the missing facts to the catalogue; "
                "a model never meets a limit on an unknown fact"
            )
            limit = place.at(*test.path).span
            return _FOUND.error(f"no remaining model meets the limit `{test.path[-1]}`", limit, label, advice)
        models = left
    return None


def _models(subject: Subject, choice: Choice) -> Iterator[Model]:
    catalogue = subject.bundle.catalogue
    named = (catalogue.find(name) for name in choice.models)
    yield from (model for model in named if model is not None) if choice.models else catalogue
