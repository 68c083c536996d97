"""CL468: a rule about models that no route can meet, so that all its requests are refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, Final

from costlens_policy.assurance.domain import Every
from costlens_policy.assurance.subject import Rule, Subject, shown
from costlens_policy.assurance.ways import ways_of
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.compiler.rules import AccessStep
from costlens_policy.diagnostics.model import Diagnostic, Related

__all__ = ["find_unmet_model_rules"]

_FOUND: Final = Finding("CL468")
_MOST_PAIRED: Final = 12


def find_unmet_model_rules(subject: Subject) -> Iterator[Diagnostic]:
    """Report rules with ``only`` or ``only_models`` under which no route has a model to serve, alone or in pairs."""
    rules = [rule for rule in subject.rules["access"] if isinstance(rule.step, AccessStep) and _admits(rule.step)]
    alone: list[Rule] = []
    for rule in rules:
        request = _refused(subject, [rule])
        if request is None:
            alone.append(rule)
            continue
        yield _FOUND.mistake(
            f"`{rule.id}` refuses every request that it is about, such as `{shown(request)}`",
            rule.span,
            "no route has a model that it admits",
            "route these requests to a model that the rule admits, or admit one that a route has",
        )
    for one, other in combinations(alone[:_MOST_PAIRED], 2):
        request = _refused(subject, [one, other])
        if request is not None:
            yield _FOUND.warning(
                f"`{one.id}` and `{other.id}` together refuse every request, such as `{shown(request)}`",
                other.span,
                "no route has a model that both admit",
                "admit a model in both, or deny such requests in so many words",
                [Related(one.span, "admits others")],
            )


def _admits(step: AccessStep) -> bool:
    return step.only is not None or bool(step.only_models)


def _refused(subject: Subject, rules: Sequence[Rule]) -> dict[str, Any] | None:
    """Return a request for which the rules hold, if on every route they alone refuse it."""
    first: dict[str, Any] | None = None
    ids = {rule.id for rule in rules}
    for values in ways_of(subject, Every([rule.goal for rule in rules])):
        request = subject.request(values)
        decision = subject.decide(request, values)
        if decision is None or (decision.effect == "deny" and not decision.excluded):
            continue
        if decision.model is not None or any(item.by not in ids for item in decision.excluded):
            return None
        first = first or request
    return first
