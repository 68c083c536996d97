"""CL427: a candidate that can never serve, since a rule about models or the terms of the route exclude it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from costlens_policy.catalogue import Model
from costlens_policy.checker.bundle import all_targets_of, inner_and_own, models_of_target, own_models, targets_of
from costlens_policy.checker.checks.choice_limits import limit_tests
from costlens_policy.checker.checks.subject import (
    Finding,
    Place,
    Placed,
    Subject,
    access_rules,
    catalogue_models,
    holds_for,
)
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.documents.policy import AccessRule, Choice

__all__ = ["check_excluded_candidates"]

_FOUND: Final = Finding("CL427")


def check_excluded_candidates(subject: Subject) -> Iterator[Diagnostic]:
    """Report models that access rules always refuse, or that the terms of routes always exclude.

    Where a route has no other, it is an error: all that it matches is refused.
    """
    rules = [rule for rule in access_rules(subject) if not rule.condition.never]
    refused: list[Model] = []
    hopeless = _hopeless(subject, rules)
    for model, place in catalogue_models(subject):
        refusing = next((rule for rule in rules if _always_refuses(subject, rule, model)), None)
        if refusing is not None:
            refused.append(model)
            report = _FOUND.mistake if place in hopeless else _FOUND.warning
            yield report(
                f"`{model.name}` can never serve: `{refusing.name}` refuses it",
                place.span,
                "always excluded",
                "remove the model, or narrow the access rule",
                [Related(refusing.place.at("id").span, "refuses it for every request")],
            )
    yield from _fallbacks(subject, refused)
    yield from _downgrades(subject, refused)


def _hopeless(subject: Subject, rules: Sequence[Placed[AccessRule]]) -> Collection[Place]:
    """Return where routes name models of which none can ever serve: such a route refuses all that it matches."""
    found: set[Place] = set()
    for document in subject.documents():
        for path, target in targets_of(document.document):
            named = list(models_of_target(target, path))
            models = [subject.bundle.catalogue.find(item.name) for item in named]
            is_open = any(inner.choose or inner.model_from for _, inner in inner_and_own(target, path))
            if not is_open and all(
                model is not None and any(_always_refuses(subject, rule, model) for rule in rules) for model in models
            ):
                found.update(Place(document, item.path) for item in named)
    return found


def _always_refuses(subject: Subject, rule: Placed[AccessRule], model: Model) -> bool:
    """Return whether a rule refuses a model whatever the request is."""
    when = subject.typed(rule.place.at("when"))
    if when is not None and not holds_for(subject, when, model):
        return False
    if rule.rule.only_models:
        return model not in [subject.bundle.catalogue.find(name) for name in rule.rule.only_models]
    only = subject.typed(rule.place.at("only"))
    if only is not None:
        return holds_for(subject, only, model) is False
    return rule.rule.effect == "deny" and when is not None


def _fallbacks(subject: Subject, refused: Collection[Model]) -> Iterator[Diagnostic]:
    """Yield the findings about fallbacks of choices."""
    for document in subject.documents():
        for path, target in all_targets_of(document.document):
            if target.choose is None or "fallbacks" in target.waive_terms_for:
                continue
            choice, place = target.choose, Place(document, path)
            if choice.on_none in ("cheapest", "best"):
                choice = choice.without_bounds()
            for at, name in enumerate(target.fallbacks):
                model = subject.bundle.catalogue.find(name)
                if model is None or model in refused:
                    continue
                if unmet := _unmet(subject, choice, place.at("choose"), model):
                    yield _FOUND.warning(
                        f"the fallback `{name}` never serves: it does not meet `{unmet}` of the choice",
                        place.at("fallbacks", at).span,
                        "always excluded",
                        "choose one that does, or add `waive_terms_for: [fallbacks]` to the route",
                        [Related(place.at("choose", *unmet.split(".")).span, "not met")],
                    )


def _unmet(subject: Subject, choice: Choice, place: Place, model: Model) -> str:
    """Return which term of a choice a model does not meet, whatever the request is."""
    among = subject.typed(place.at("among"))
    if among is not None and holds_for(subject, among, model) is False:
        return "among"
    return next((".".join(test.path) for test in limit_tests(choice) if not test.meets(model)), "")


def _downgrades(subject: Subject, refused: Collection[Model]) -> Iterator[Diagnostic]:
    """Yield the findings about models that downgrades add but no route has."""
    for policy in subject.bundle.policies:
        for index, budget in enumerate(policy.document.budgets):
            for step, threshold in enumerate(budget.thresholds):
                for at, name in enumerate(threshold.downgrade.models if threshold.downgrade is not None else ()):
                    model = subject.bundle.catalogue.find(name)
                    if model is not None and model not in refused and not _has_place(subject, model):
                        place = Place(policy, ("budgets", index, "thresholds", step, "downgrade", "models", at))
                        yield _FOUND.warning(
                            f"the downgrade to `{name}` never happens: the terms of every route exclude it",
                            place.span,
                            "never tried",
                            "add it to the fallbacks of a route, or add `waive_terms_for: [downgrades]` there",
                        )


def _has_place(subject: Subject, model: Model) -> bool:
    """Return whether some route names a model, or might take it from a downgrade."""
    find = subject.bundle.catalogue.find
    for document in subject.documents():
        for path, target in all_targets_of(document.document):
            names = [find(named.name) for named in own_models(target, path)]
            if "downgrades" in target.waive_terms_for or model in names:
                return True
            choice, place = target.choose, Place(document, (*path, "choose"))
            if choice is not None and choice.on_none in ("cheapest", "best"):
                choice = choice.without_bounds()
            if choice is not None and not choice.models and not _unmet(subject, choice, place, model):
                return True
    return False
