"""Tests of policies: run suites against their policy sets, measure coverage, report."""

from __future__ import annotations

from costlens_policy.testing.report import ReportFormat, render
from costlens_policy.testing.results import CaseOutcome, CaseResult, Run, SuiteResult
from costlens_policy.testing.run import examine_suites, run_suites

__all__ = [
    "CaseOutcome", "CaseResult", "ReportFormat", "Run", "SuiteResult", "examine_suites", "render", "run_suites",
]  # fmt: skip
