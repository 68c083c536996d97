"""CL455: a rule asks for a service tier at which a model that it can reach has no price."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.catalogue import Model
from costlens_policy.catalogue.service_tiers import SERVICE_TIER, possible_rates, tier_asked
from costlens_policy.checker.bundle import all_targets_of, inner_and_own, models_of_target
from costlens_policy.checker.checks.subject import (
    Finding,
    Place,
    Subject,
    catalogue_models,
    holds_for,
    operations_of,
)
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.documents.policy import Target

__all__ = ["check_unpriced_tiers"]

_FOUND: Final = Finding("CL455")


def check_unpriced_tiers(subject: Subject) -> Iterator[Diagnostic]:
    """Warn where ``service_tier`` is set, and a model that the rule can reach has no price at that tier.

    A tier that costs no more than the usual one has the usual price, and long prompts and every kind of token have a
    price wherever a model has one; so what remains is named here.
    """
    for word, place in _asked(subject):
        without = [model for model in _reached(subject, place) if not _is_priced(subject, model, word)]
        if not without:
            continue
        names = listed(sorted(model.name for model in without), most=4)
        has = "has" if len(without) == 1 else "have"
        advice = (
            "add the prices of the tier to a catalogue as `service_tiers`, or set it for other models only; "
            "a budget in US dollars excludes a model whose price is unknown, and nothing else limits it"
        )
        yield _FOUND.warning(
            f"{names} {has} no price at the service tier `{word}`", place.span, "unpriced at this tier", advice
        )


def _asked(subject: Subject) -> Iterator[tuple[str, Place]]:
    """Yield the service tiers that rules set, and the one that requests without parameters get."""
    policy_set = subject.bundle.policy_set
    params = policy_set.document.attributes.get("params")
    if params is not None and isinstance(params.default, dict):
        word = tier_asked(params.default)
        if word is not None:
            yield word, Place(policy_set, ("attributes", "params", "default", SERVICE_TIER))
    for operation, place in operations_of(subject):
        for name, step, value in operation.parameters:
            word = (
                tier_asked({SERVICE_TIER: value}) if name == SERVICE_TIER and operation.effect == "replaces" else None
            )
            if word is not None:
                yield word, place.at(operation.name, step)


def _is_priced(subject: Subject, model: Model, word: str) -> bool:
    period = model.period_on(subject.day)
    return period is None or bool(possible_rates(period, 1, word))  # one without any price is reported elsewhere


def _reached(subject: Subject, place: Place) -> Iterator[Model]:
    """Yield the models that may serve a request to which an operation applies, each once."""
    section = place.path[0]
    whole = place.path[:2]
    seen: set[str] = set()
    for model in _of_target(subject, place) if section in ("routes", "defaults") else _all(subject, place, whole):
        if model.name not in seen:
            seen.add(model.name)
            yield model


def _of_target(subject: Subject, place: Place) -> Iterator[Model]:
    """Yield the models of the target that has the operation, and of the targets inside it."""
    for path, target in all_targets_of(place.document.document):
        if place.path[: len(path) + 1] == (*path, "apply"):
            yield from _models_of(subject, target, Place(place.document, path))


def _models_of(subject: Subject, target: Target, place: Place) -> Iterator[Model]:
    catalogue = subject.bundle.catalogue
    named = (catalogue.find(item.name) for item in models_of_target(target, place.path))
    yield from (model for model in named if model is not None)
    for path, inner in inner_and_own(target, place.path):
        if inner.model_from is not None or (inner.choose is not None and not inner.choose.models):
            among = subject.typed(Place(place.document, (*path, "choose", "among")))
            for model in catalogue:
                serves = model.period_on(subject.day) is not None and not model.retired_on(subject.day)
                if serves and (among is None or holds_for(subject, among, model) is not False):
                    yield model


def _all(subject: Subject, place: Place, whole: tuple[str | int, ...]) -> Iterator[Model]:
    """Yield all models that a route can reach, as far as the condition of the rule is about the model."""
    when = subject.typed(Place(place.document, (*whole, "when")))
    found = [model for model, _ in catalogue_models(subject)]
    for document in subject.documents():
        for path, target in all_targets_of(document.document):
            if target.choose is not None or target.model_from is not None:
                found += _models_of(subject, target, Place(document, path))
    yield from (model for model in found if when is None or holds_for(subject, when, model) is not False)
