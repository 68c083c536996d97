"""From a route's target to an ordered list of candidates."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from typing import TypeAlias

from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.rules import ByChoice, ByExpression, ByName, BySplit, RouteStep
from costlens_policy.engine.choice import rank
from costlens_policy.engine.context import Context, Refusal
from costlens_policy.engine.facts import Exclusion
from costlens_policy.engine.preparation import Preparations
from costlens_policy.expressions.runtime import CelError

__all__ = ["Picked", "candidates_of", "split_position"]


Picked: TypeAlias = tuple[Sequence[str], int]
"""The models to try, in order and each once, and how many of them the route picked: the others are fallbacks of a
choice, which have to meet its terms."""


def candidates_of(context: Context, route: RouteStep, prepare: Preparations, excluded: list[Exclusion]) -> Picked:
    """Return the models to try. What a choice rules out is added to ``excluded``."""
    target = route.target
    if isinstance(target, ByName):
        return target.models, len(target.models)
    if isinstance(target, BySplit):
        key = _text(context, route, target.key)
        return _all_within([target.models[split_position(key, target.salt, target.bounds)], *target.fallbacks])
    if isinstance(target, ByExpression):
        name = _text(context, route, target.model)
        known = context.plan.catalogue.find(name)
        return _all_within([name if known is None else known.name, *target.fallbacks])
    assert isinstance(target, ByChoice)
    ranked = rank(context, route, target, prepare, excluded)
    if not target.fallbacks:
        return ranked, len(ranked)
    if not route.binds_fallbacks:
        return _all_within([*ranked, *target.fallbacks])
    told = {item.model for item in excluded}
    fallbacks = [name for name in target.fallbacks if name not in told]
    return _once([*ranked, *fallbacks]), len(ranked)


def split_position(key: str, salt: str, bounds: tuple[int, ...]) -> int:
    """Return which share a key falls into: 64 bits of SHA-256 over salt, NUL and key, scaled to the weights."""
    digest = hashlib.sha256(f"{salt}\0{key}".encode("utf-8", "surrogatepass")).digest()
    return bisect_right(bounds, int.from_bytes(digest[:8]) * bounds[-1] >> 64)


def _text(context: Context, route: RouteStep, formula: Formula) -> str:
    """Evaluate the expression that a target needs. Without it there is no target, so a failure refuses the request."""
    try:
        return str(context.evaluate(formula, route.layer))
    except CelError as error:
        context.note(formula, route.id, "routes", error)
        raise Refusal(route.id, f"routes: the target of `{route.id}` failed: {error}") from None


def _all_within(names: list[str]) -> Picked:
    names = _once(names)
    return names, len(names)


def _once(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))
