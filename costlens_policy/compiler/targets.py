"""Targets of routes, compiled: names resolved, weights summed, filters that need no request applied."""

from __future__ import annotations

from itertools import accumulate

from costlens_policy.catalogue import Catalogue
from costlens_policy.compiler.formulas import Formulas
from costlens_policy.compiler.rules import (
    ByChoice,
    ByExpression,
    ByName,
    BySplit,
    ChoiceLimits,
    RouteStep,
    TargetStep,
)
from costlens_policy.documents.routes import Choice, Route, Split, Target
from costlens_policy.source.located import Path

__all__ = ["canonical", "compile_route"]


def compile_route(
    target: Target, rule: str, at: Path, formulas: Formulas, catalogue: Catalogue, layer: int
) -> RouteStep:
    """Return the route, or the default target, that stands at a path of the document of a layer."""
    return RouteStep(
        rule,
        formulas.optional((*at, "when")),
        _target(target, rule, at, formulas, catalogue),
        target.reason if isinstance(target, Route) else "",
        layer,
        binds_fallbacks="fallbacks" not in target.waive_terms_for,
        binds_downgrades="downgrades" not in target.waive_terms_for,
    )


def _target(target: Target, rule: str, at: Path, formulas: Formulas, catalogue: Catalogue) -> TargetStep:
    fallbacks = canonical(target.fallbacks, catalogue)
    if target.choose is not None:
        return _choice(target.choose, (*at, "choose"), formulas, catalogue, fallbacks)
    if target.split is not None:
        return _split(target.split, rule, (*at, "split"), formulas, catalogue, fallbacks)
    if target.model_from is not None:
        return ByExpression(formulas.needed((*at, "model_from")), fallbacks)
    named = target.models if target.model is None else (target.model,)
    return ByName(tuple(dict.fromkeys((*canonical(named, catalogue), *fallbacks))))


def canonical(names: tuple[str, ...], catalogue: Catalogue) -> tuple[str, ...]:
    """Return the catalogue's own names; one that it does not know stays (the policy set may admit unknown models)."""
    known = ((name, catalogue.find(name)) for name in names)
    return tuple(name if model is None else model.name for name, model in known)


def _split(
    split: Split, rule: str, at: Path, formulas: Formulas, catalogue: Catalogue, fallbacks: tuple[str, ...]
) -> BySplit:
    return BySplit(
        key=formulas.needed((*at, "key")),
        salt=split.salt or rule,
        models=canonical(tuple(share.model for share in split.targets), catalogue),
        bounds=tuple(accumulate(share.weight for share in split.targets)),
        fallbacks=fallbacks,
    )


def _choice(choice: Choice, at: Path, formulas: Formulas, catalogue: Catalogue, fallbacks: tuple[str, ...]) -> ByChoice:
    among = formulas.optional((*at, "among"))
    names = canonical(choice.models, catalogue) or tuple(catalogue.models)
    limits = choice.limits
    return ByChoice(
        models=tuple(sorted(dict.fromkeys(names))),
        among=among,
        score=formulas.needed((*at, "minimize" if choice.maximize is None else "maximize")),
        descending=choice.maximize is not None,
        limits=ChoiceLimits(
            max_cost_usd=limits.max_cost_usd,
            max_latency_ms=None if limits.max_latency_ms is None else float(limits.max_latency_ms),
            min_quality=None if limits.min_quality is None else float(limits.min_quality),
            requires=frozenset(limits.requires),
        ),
        fallbacks=fallbacks,
    )
