"""CL413: a rule that another one shadows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.bundle import passes_on
from costlens_policy.checker.checks.subject import Finding, Placed, Subject, access_rules, routes
from costlens_policy.checker.condition import Cover
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.documents.policy import AccessRule, Route

__all__ = ["check_shadowed_rules"]

_FOUND: Final = Finding("CL413")


def check_shadowed_rules(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about routes whose condition an earlier one covers, and of allow rules that a deny rule always overrules."""
    yield from _covered_routes(subject)
    yield from _overruled_allows(subject)


def _covered_routes(subject: Subject) -> Iterator[Diagnostic]:
    earlier: Cover[Placed[Route]] = Cover()
    for route in routes(subject):
        if route.condition.always and not passes_on(route.rule):
            return
        if route.condition.always or route.condition.never:
            continue
        covering = earlier.first(route.condition)
        if covering is not None:
            yield _FOUND.warning(
                f"the route `{route.name}` never matches: `{covering.name}` matches first",
                route.place.at("when").span,
                "holds only where the other also does",
                f"move `{route.rule.id}` before it, or make their conditions mutually exclusive",
                [Related(covering.place.at("when").span, "covers it")],
                proved=True,
            )
        if not passes_on(route.rule):
            earlier.add(route.condition, route)


def _overruled_allows(subject: Subject) -> Iterator[Diagnostic]:
    rules = [rule for rule in access_rules(subject) if not rule.condition.never]
    denies: Cover[Placed[AccessRule]] = Cover()
    for rule in rules:
        if rule.rule.effect == "deny":
            denies.add(rule.condition, rule)
    for rule in rules:
        if rule.rule.effect != "allow":
            continue
        over = denies.first(rule.condition)
        if over is not None:
            yield _FOUND.warning(
                f"`{rule.name}` never allows anything: `{over.name}` denies it",
                rule.place.at("effect").span,
                "always overruled",
                "narrow the deny, or remove the allow; a deny overrides every allow",
                [Related(over.place.at("effect").span, "holds wherever the other does")],
                proved=True,
            )
