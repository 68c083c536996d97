"""Outcomes in: recorded scores of models, from tables, evaluation tools, preferences and logs."""

from __future__ import annotations

from costlens_policy.fit.outcomes.cases import (
    Case,
    Notes,
    Outcomes,
    OutcomesError,
    Source,
    Tally,
    UnscoredError,
    group_of,
)
from costlens_policy.fit.outcomes.mapping import OutcomeSettings, Scale
from costlens_policy.fit.outcomes.reading import prompts_in, read_outcomes

__all__ = [
    "Case", "Notes", "OutcomeSettings", "Outcomes", "OutcomesError", "Scale", "Source", "Tally",
    "UnscoredError", "group_of", "prompts_in", "read_outcomes",
]  # fmt: skip
