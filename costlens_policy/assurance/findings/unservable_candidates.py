"""CL466: a candidate that cannot serve anything its route matches, beside others that can."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from costlens_policy.assurance.subject import Rule, Subject, shown
from costlens_policy.assurance.tried import Tried, tried_routes
from costlens_policy.assurance.witness import Witness
from costlens_policy.checker.bundle import models_of_target, targets_of
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.diagnostics.model import Diagnostic, Span

__all__ = ["find_unservable_candidates"]

_FOUND: Final = Finding("CL466")


def find_unservable_candidates(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of models that a route names, and that are excluded from every request tried: no help when others fail."""
    for tried in subject.once(tried_routes):
        if tried.all_refused:
            continue
        for item in tried.never:
            place = _place(subject, tried.route, item.model)
            if place is not None:
                witness = subject.smallest(tried.witness, partial(_is_excluded, subject, tried, item.model))
                yield _FOUND.warning(
                    f"`{item.model}` can serve nothing that `{tried.route.id}` matches, "
                    f"such as `{shown(witness.request)}`",
                    place,
                    next(other.reason for other in witness.decision.excluded if other.model == item.model),
                    "name a model that can, or narrow the condition",
                    witnesses=[witness.shown],
                )


def _is_excluded(subject: Subject, tried: Tried, model: str, witness: Witness) -> bool:
    decision = witness.decision
    excluded = decision.rule == tried.route.id and any(item.model == model for item in decision.excluded)
    return excluded and subject.meets(tried.goal, witness.situation)


def _place(subject: Subject, route: Rule, name: str) -> Span | None:
    """Return where a route names a model; None where a choice or a budget brought it."""
    document, path = route.place.document, route.place.path
    target = next(target for at, target in targets_of(document.document) if at == path)
    chosen = () if target.choose is None else target.choose.models
    for named in models_of_target(target, path):
        model = subject.bundle.linked.catalogue.find(named.name)
        if model is not None and model.name == name and named.name not in chosen:
            return Place(document, named.path).span
    return None
