"""Tests of policies: run suites against their policy sets, measure coverage, and show the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.on_demand import on_demand

if TYPE_CHECKING:
    from costlens_policy.testing.formats import RunFormat, render
    from costlens_policy.testing.results import CaseOutcome, CaseResult, Run, SuiteResult
    from costlens_policy.testing.run import examine_suites, run_suites

__all__ = ["CaseOutcome", "CaseResult", "Run", "RunFormat", "SuiteResult", "examine_suites", "render", "run_suites"]

_ORIGINS = {
    **dict.fromkeys(["CaseOutcome", "CaseResult", "Run", "SuiteResult"], "costlens_policy.testing.results"),
    **dict.fromkeys(["RunFormat", "render"], "costlens_policy.testing.formats"),
    **dict.fromkeys(["examine_suites", "run_suites"], "costlens_policy.testing.run"),
}

__getattr__ = on_demand(__name__, _ORIGINS)
