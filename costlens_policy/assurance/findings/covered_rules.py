"""CL432: a rule for which several others together leave nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from costlens_policy.assurance.domain import Every, Nothing
from costlens_policy.assurance.others import Others
from costlens_policy.assurance.removals import without_rule
from costlens_policy.assurance.subject import Rule, Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.compiler.rules import AccessStep
from costlens_policy.diagnostics.model import Diagnostic, Related

__all__ = ["find_covered_rules"]

_FOUND: Final = Finding("CL432")
_SINGULAR: Final = {"match first": "matches first", "deny it": "denies it", "allow it": "allows it"}


def find_covered_rules(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of routes that earlier ones cover, of allows that denies overrule, and of repeated access rules."""
    earlier = Others(subject)
    for route in subject.rules["routes"]:
        covering = _covering(subject, route, earlier)
        if covering:
            advice = f"move `{route.id}` before them, or narrow them"
            yield _report(route, f"the route `{route.id}` never matches", covering, "match first", advice)
        elif not route.passes_on:
            earlier.add(route)
    denies = Others(subject, subject.denies)
    before = {True: Others(subject), False: Others(subject)}
    for rule in subject.rules["access"]:
        if not isinstance(rule.step, AccessStep) or rule.step.by_model:
            continue
        covering = [] if rule.step.denies else _covering(subject, rule, denies)
        if covering:
            advice = "a deny overrides every allow; narrow the denies, or remove the allow"
            yield _report(rule, f"`{rule.id}` never allows anything", covering, "deny it", advice)
        elif covering := _covering(subject, rule, before[rule.step.denies]):
            what, do = ("denies", "deny it") if rule.step.denies else ("allows", "allow it")
            advice = f"remove `{rule.id}`, or narrow the earlier ones"
            yield _report(rule, f"`{rule.id}` {what} nothing more", covering, do, advice)
        else:
            before[rule.step.denies].add(rule)


def _covering(subject: Subject, rule: Rule, others: Others) -> list[Rule]:
    """Return those of others without which the rule would be reached, if together they leave nothing for it."""
    if rule.when is None or subject.is_diagnosed(rule) or not isinstance(others.find(rule.goal), Nothing):
        return []

    def is_covered(by: Sequence[Rule]) -> bool:
        goal = Every([rule.goal, *(other.otherwise for other in by)])
        return isinstance(subject.domain.find(goal), Nothing)

    if is_covered(()):
        return []
    needed = others.beside(rule.goal)
    for other in list(needed):
        without = [item for item in needed if item is not other]
        if is_covered(without):
            needed = without
    return needed


def _report(rule: Rule, what: str, covering: Sequence[Rule], do: str, advice: str) -> Diagnostic:
    names = " and ".join(f"`{other.id}`" for other in covering)
    related = [Related(other.span, "covers a part of it") for other in covering]
    verb = (
        do if len(covering) > 1 else do.replace("match", "matches").replace("deny", "denies").replace("allow", "allows")
    )
    return _FOUND.warning(
        f"{what}: {names} {verb}",
        rule.span,
        "holds only where one of them does",
        advice,
        related,
        proved=True,
        fix=partial(without_rule, rule),
    )
