"""Outcomes in: recorded scores of models, from tables, evaluation tools, preferences and logs."""

from __future__ import annotations

from costlens_policy.fit.outcomes.cases import Case, Notes, Outcomes, OutcomesError, Source, Tally, group_of

__all__ = ["Case", "Notes", "Outcomes", "OutcomesError", "Source", "Tally", "group_of"]
