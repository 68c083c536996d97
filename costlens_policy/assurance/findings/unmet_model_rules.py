"""CL468: a rule about models that no route can meet, so that all its requests are refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from costlens_policy.assurance.domain import Every, atoms_of
from costlens_policy.assurance.subject import Rule, Subject, shown
from costlens_policy.assurance.ways import ways_of
from costlens_policy.assurance.witness import Witness
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.compiler.rules import AccessStep
from costlens_policy.diagnostics.model import Diagnostic, Related

__all__ = ["find_unmet_model_rules"]

_FOUND: Final = Finding("CL468")
_MOST_PAIRED: Final = 12


def find_unmet_model_rules(subject: Subject) -> Iterator[Diagnostic]:
    """Report rules about models under which no route has a model to serve, alone or in pairs."""
    rules = [rule for rule in subject.rules["access"] if isinstance(rule.step, AccessStep) and _refuses(rule.step)]
    rules = [rule for rule in rules if not _goes_by_more(subject, rule)]
    alone: list[Rule] = []
    for rule in rules:
        witness = _refused(subject, [rule])
        if witness is None:
            alone.append(rule)
            continue
        yield _FOUND.mistake(
            f"`{rule.id}` refuses every request that it is about, such as `{shown(witness.request)}`",
            rule.span,
            "no route has a model that it admits",
            "route these requests to a model that the rule admits, or admit one that a route has",
            witnesses=[witness.shown],
        )
    for one, other in combinations(alone[:_MOST_PAIRED], 2):
        witness = _refused(subject, [one, other])
        if witness is not None:
            yield _FOUND.warning(
                f"`{one.id}` and `{other.id}` together refuse every request, such as `{shown(witness.request)}`",
                other.span,
                "no route has a model that both admit",
                "admit a model in both, or deny such requests in so many words",
                [Related(one.span, "admits others")],
                witnesses=[witness.shown],
            )


def _refuses(step: AccessStep) -> bool:
    return step.by_model and step.denies


def _goes_by_more(subject: Subject, rule: Rule) -> bool:
    """Say whether models meet a rule by something of the request that no finite number of values stands for."""
    return any(atom.formula.reads("model") and subject.domain.doubt_about(atom) for atom in atoms_of(rule.goal))


def _refused(subject: Subject, rules: Sequence[Rule]) -> Witness | None:
    """Return a request for which the rules hold, if on every route they alone refuse it."""
    first: Witness | None = None
    ids = {rule.id for rule in rules}

    def refuses(witness: Witness) -> bool:
        decision = witness.decision
        return decision.model is None and all(item.by in ids for item in decision.excluded)

    for values in ways_of(subject, Every([rule.goal for rule in rules])):
        witness = subject.situated(values)
        if witness is None or (witness.decision.effect == "deny" and not witness.decision.excluded):
            continue
        if not refuses(witness):
            return None
        first = first or witness
    return None if first is None else subject.smallest(first, lambda seen: refuses(seen) and _by(seen) == _by(first))


def _by(witness: Witness) -> frozenset[str]:
    """Return the rules that exclude candidates."""
    return frozenset(item.by for item in witness.decision.excluded)
