"""CL414: a deny that is skipped when its condition fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject, access_rules
from costlens_policy.checker.conditions.failures import first_failure
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.expressions.tree import Select

__all__ = ["check_skipped_denies"]

_FOUND: Final = Finding("CL414")


def check_skipped_denies(subject: Subject) -> Iterator[Diagnostic]:
    """Report deny rules whose condition can fail in a policy that says ``on_error: skip``."""
    uncertain = dict(_uncertain_budgets(subject))
    for rule in access_rules(subject):
        if rule.rule.effect == "allow" or rule.policy.document.on_error != "skip":
            continue
        when = rule.place.at("when")
        typed = subject.typed(when)
        failure = first_failure(typed, subject.variables(rule.policy), uncertain) if typed is not None else None
        if failure is not None:
            extent, why = failure
            yield _FOUND.mistake(
                f"`{rule.name}` lets requests through when its condition fails",
                when.part(extent),
                why,
                "write `on_error: deny`, or a condition that cannot fail",
                [Related(rule.place.document.located.root.span_of(("on_error",)), "a rule that fails is skipped")],
            )


def _uncertain_budgets(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield the names of budgets whose state cannot always be told, with the attribute that it takes, if it is one."""
    for policy in subject.bundle.policies:
        variables = subject.variables(policy)
        for index, budget in enumerate(policy.document.budgets):
            scope = subject.typed(Place(policy, ("budgets", index, "scope")))
            needed = ""
            if subject.typed(Place(policy, ("budgets", index, f"hard_limit_{budget.unit}"))) is None:
                if scope is None or first_failure(scope, variables) is None:
                    continue
                needed = scope.source if isinstance(scope.root, Select) else ""
            yield budget.id, needed
            yield f"{policy.name}/{budget.id}", needed
