"""The recommendation: a decision of a policy set whose models are the strategies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

from costlens_policy.api import load
from costlens_policy.diagnostics.model import Diagnostic, PolicyError, Severity
from costlens_policy.engine.decision import Decision
from costlens_policy.engine.record import Outcome
from costlens_policy.errors import RequestError

__all__ = ["Consideration", "Recommendation", "own_policy_set", "recommend"]

_OUTPUT_LIMIT: Final = "max_output_tokens"


@dataclass(frozen=True, slots=True)
class Consideration:
    """A rule that holds whatever is chosen, and what it says."""

    rule: str
    says: str


@dataclass(frozen=True, slots=True)
class Recommendation:
    """``strategy`` is None where the policies refuse to recommend any. ``marks`` are what rules set for programs."""

    strategy: str | None
    rule: str
    says: str
    considerations: tuple[Consideration, ...]
    marks: Mapping[str, Any]
    facts: Mapping[str, Any]
    decision: Decision


def own_policy_set() -> AbstractContextManager[Path]:
    """Return the folder of the policy set that comes with the package, the same as `policies/advice`."""
    return as_file(files("costlens_policy.advise").joinpath("policy"))


def recommend(policy_set: str | os.PathLike[str], facts: Mapping[str, Any], now: datetime) -> Recommendation:
    """Decide the facts by a policy set.

    Raises ``PolicyError`` where the set is not right, or does not take the facts: then it is not one for advice.
    """
    engine = load(policy_set)
    try:
        decision = engine.decide(facts, now=now)
    except RequestError as error:
        raise PolicyError([_no_advice(policy_set, error)]) from error
    said = {
        rule.id: rule.reason
        for stage in decision.record().stages
        for rule in stage.rules
        if rule.outcome is Outcome.MATCHED
    }
    considerations = tuple(Consideration(rule, said.get(rule, "")) for rule in decision.rewrites)
    marks = {name: value for name, value in decision.params.items() if name != _OUTPUT_LIMIT}
    says = said.get(decision.rule, "") or "; ".join(decision.reasons)
    return Recommendation(decision.model, decision.rule, says, considerations, marks, dict(facts), decision)


def _no_advice(policy_set: str | os.PathLike[str], error: RequestError) -> Diagnostic:
    message = f"`{os.fspath(policy_set)}` does not take the facts of a workload: {'; '.join(error.problems)}"
    return Diagnostic("CL921", Severity.ERROR, message, help="declare the attributes as `policies/advice` does")
