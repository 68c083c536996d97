"""CL425: a policy set that refuses every request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Placed, Subject, access_rules
from costlens_policy.checker.condition import Cover
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.documents.policy import AccessRule

__all__ = ["check_denied_by_default"]

_FOUND: Final = Finding("CL425")


def check_denied_by_default(subject: Subject) -> Iterator[Diagnostic]:
    """Report a set whose default is to deny and that allows nothing, and a rule that denies everything.

    An allow has no effect if it never holds, or holds only where a deny does.
    """
    rules = list(access_rules(subject))
    everything = next((rule for rule in rules if rule.rule.effect == "deny" and rule.condition.always), None)
    default = Place(subject.bundle.policy_set, ("defaults", "access"))
    if everything is not None:
        yield _FOUND.mistake(
            f"`{everything.name}` refuses every request",
            everything.place.at("effect").span,
            "without a condition",
            "add a condition; a deny overrides every allow",
        )
    elif subject.bundle.policy_set.document.defaults.access == "deny":
        allows = [rule for rule in rules if rule.rule.effect == "allow"]
        denies: Cover[Placed[AccessRule]] = Cover()
        for rule in rules:
            if rule.rule.effect == "deny":
                denies.add(rule.condition, rule)
        if all(rule.condition.never or denies.first(rule.condition) is not None for rule in allows):
            yield _FOUND.mistake(
                "every request is refused: the default is `deny`, and no rule allows anything",
                default.span,
                "no access rule overrides this",
                "add a rule with `effect: allow` to a policy, or write `access: allow` here",
                [Related(rule.place.at("id").span, _why_not(rule)) for rule in allows],
            )


def _why_not(rule: Placed[AccessRule]) -> str:
    return "never holds" if rule.condition.never else "a deny holds wherever this does"
