"""CL425: a policy set that refuses every request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.rules import access_rules
from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic, Related

__all__ = ["check_denied_by_default"]

_FOUND: Final = Finding("CL425")


def check_denied_by_default(subject: Subject) -> Iterator[Diagnostic]:
    """Warn where the default is to deny and no rule allows anything, or where one denies everything."""
    rules = list(access_rules(subject))
    everything = next((rule for rule in rules if rule.rule.effect == "deny" and rule.condition.always), None)
    default = Place(subject.bundle.policy_set, ("defaults", "access"))
    if everything is not None:
        yield _FOUND.warning(
            f"`{everything.name}` refuses every request",
            everything.place.at("effect").span,
            "without a condition",
            "a deny wins over every allow; give it a condition",
        )
    elif subject.bundle.policy_set.document.defaults.access == "deny":
        allows = [rule for rule in rules if rule.rule.effect == "allow"]
        if all(rule.condition.never for rule in allows):
            yield _FOUND.warning(
                "every request is refused: the default is to deny, and no rule allows anything",
                default.span,
                "no access rule overrides this",
                "add a rule with `effect: allow` to a policy, or write `access: allow` here",
                [Related(rule.place.at("when").span, "never holds") for rule in allows],
            )
