"""CL433: a route for requests that access rules always deny."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import Every, Found, Nothing
from costlens_policy.assurance.others import Others
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.diagnostics.model import Diagnostic, Related

__all__ = ["find_denied_rules"]

_FOUND: Final = Finding("CL433")
_WHAT: Final = {"routes": "matches only", "rewrites": "changes only", "budgets": "counts only"}


def find_denied_rules(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of routes, rewrites and budgets that no request reaches, since access denies all for which they hold."""
    denies = Others(subject, subject.denies)
    for section, what in _WHAT.items():
        for rule in subject.rules[section]:
            if rule.when is None or subject.is_diagnosed(rule):
                continue
            beside = denies.beside(rule)
            if not beside or not isinstance(subject.domain.find(rule.goal), Found):
                continue
            passed = Every([rule.goal, *(deny.otherwise for deny in beside)])
            if isinstance(subject.domain.find(passed), Nothing):
                related = [Related(deny.span, "denies") for deny in beside]
                yield _FOUND.warning(
                    f"`{rule.id}` {what} requests that access denies",
                    rule.span,
                    "never reached",
                    f"remove `{rule.id}`, or narrow the rule that denies",
                    related[:3],
                    proved=True,
                )
