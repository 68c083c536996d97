"""Results of replay and diff as tables, for a terminal or as Markdown."""

from __future__ import annotations

from costlens_policy.replay.report.difference import difference_tables, difference_verdict
from costlens_policy.replay.report.markdown import markdown
from costlens_policy.replay.report.result import result_tables, result_verdict
from costlens_policy.replay.report.table import Table

__all__ = ["Table", "difference_tables", "difference_verdict", "markdown", "result_tables", "result_verdict"]
