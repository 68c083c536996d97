"""CL433: a route for requests that access rules always deny."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from costlens_policy.assurance.domain import Every, Found, Nothing
from costlens_policy.assurance.others import Others
from costlens_policy.assurance.removals import without_rule
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.diagnostics.model import Diagnostic, Related

__all__ = ["find_denied_rules"]

_FOUND: Final = Finding("CL433")
_WHAT: Final = {"routes": "matches only", "rewrites": "changes only", "budgets": "counts only"}


def find_denied_rules(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of routes, rewrites and budgets that no request reaches, since access admits none for which they hold."""
    denies = Others(subject, subject.denies)
    for section, what in _WHAT.items():
        for rule in subject.rules[section]:
            if rule.when is None or subject.is_diagnosed(rule):
                continue
            passed = denies.find(rule.goal if subject.plan.defaults.allows else Every([rule.goal, subject.allowed]))
            if isinstance(passed, Nothing) and isinstance(subject.domain.find(rule.goal), Found):
                related = [Related(deny.span, "denies") for deny in denies.beside(rule.goal)]
                yield _FOUND.warning(
                    f"`{rule.id}` {what} requests that access denies",
                    rule.span,
                    "never reached",
                    f"remove `{rule.id}`, or let access admit what it is for",
                    related[:3],
                    proved=True,
                    fix=partial(without_rule, rule),
                )
