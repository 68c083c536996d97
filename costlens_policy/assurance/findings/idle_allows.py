"""CL461: an allow that changes nothing, since calls are allowed by default."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from costlens_policy.assurance.domain import Every, Found, Not, Nothing
from costlens_policy.assurance.removals import without_rule
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.compiler.rules import AccessStep
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["find_idle_allows"]

_FOUND: Final = Finding("CL461")


def find_idle_allows(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of allows under ``access: allow``: they admit what is admitted anyway, and lift no deny.

    One whose condition fails for some request, which is refused then, does change something.
    """
    if subject.bundle.linked.policy_set.document.defaults.access != "allow":
        return
    for rule in subject.rules["access"]:
        step = rule.step
        if isinstance(step, AccessStep) and not step.denies and step.only is None and not step.only_models:
            fails = subject.find(Every([rule.goal, Not(subject.condition(rule.when, rule.layer))]))
            if isinstance(fails, Found):  # which refuses the request
                continue
            yield _FOUND.warning(
                f"`{rule.id}` changes nothing: calls are allowed unless a rule denies them",
                rule.place.at("effect").span,
                "allowed by default",
                "deny what is not to be allowed, or set `access: deny` in the policy set",
                proved=isinstance(fails, Nothing),
                fix=partial(without_rule, rule),
            )
