"""The formats that are read: one file for each tool, recognized by what its files contain."""

from __future__ import annotations

from typing import Final

from costlens_policy.fit.outcomes.formats.braintrust import BRAINTRUST
from costlens_policy.fit.outcomes.formats.deepeval import DEEPEVAL
from costlens_policy.fit.outcomes.formats.format import Format, Opened
from costlens_policy.fit.outcomes.formats.inspect_logs import INSPECT, INSPECT_ARCHIVE
from costlens_policy.fit.outcomes.formats.lm_eval import LM_EVAL, LM_EVAL_RESULTS
from costlens_policy.fit.outcomes.formats.openai_evals import OPENAI_EVALS, OPENAI_ITEMS
from costlens_policy.fit.outcomes.formats.preferences import PREFERENCES
from costlens_policy.fit.outcomes.formats.promptfoo import PROMPTFOO, PROMPTFOO_CSV
from costlens_policy.fit.outcomes.formats.tables import TABLE

__all__ = ["FORMATS", "PREFERENCES", "Format", "Opened"]

FORMATS: Final = (
    INSPECT_ARCHIVE, INSPECT, PROMPTFOO, PROMPTFOO_CSV, LM_EVAL, LM_EVAL_RESULTS, OPENAI_EVALS, OPENAI_ITEMS, DEEPEVAL,
    BRAINTRUST, PREFERENCES, TABLE,
)  # fmt: skip
"""In the order in which a file is tried; a table is what no other format is."""
