"""Outcomes in: recorded scores of models, from tables, evaluation tools, preferences and logs."""

from __future__ import annotations

from costlens_policy.fit.outcomes.cases import Case, Notes, Outcomes, OutcomesError, Source, Tally, group_of
from costlens_policy.fit.outcomes.mapping import OutcomeSettings, Scale
from costlens_policy.fit.outcomes.reading import read_outcomes

__all__ = [
    "Case", "Notes", "OutcomeSettings", "Outcomes", "OutcomesError", "Scale", "Source", "Tally",
    "group_of", "read_outcomes",
]  # fmt: skip
