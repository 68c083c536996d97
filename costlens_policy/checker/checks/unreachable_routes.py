"""CL412: a route after one that always matches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.bundle import passes_on
from costlens_policy.checker.checks.subject import Finding, Placed, Subject, routes
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.documents.policy import Route

__all__ = ["check_unreachable_routes"]

_FOUND: Final = Finding("CL412")


def check_unreachable_routes(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about routes after a route without a condition, in its policy or a later one."""
    ending: Placed[Route] | None = None
    for route in routes(subject):
        if ending is not None:
            yield _FOUND.warning(
                f"the route `{route.name}` is never reached",
                route.place.at("id").span,
                "never tried",
                f"move `{ending.rule.id}` below it, or add a condition to `{ending.rule.id}`",
                [Related(ending.place.at("id").span, f"`{ending.name}` always matches")],
            )
        elif route.condition.always and not passes_on(route.rule):
            ending = route
