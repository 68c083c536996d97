"""A run as one JSON object, for programs. The shape is documented in docs/testing.md."""

from __future__ import annotations

import json
from typing import Any

from costlens_policy.diagnostics.model import Span
from costlens_policy.diagnostics.render import render as render_diagnostics
from costlens_policy.testing.compare import ABSENT, Difference
from costlens_policy.testing.coverage import Coverage, RuleCoverage
from costlens_policy.testing.formats.sentences import plain
from costlens_policy.testing.results import CaseResult, Run, SuiteResult

__all__ = ["render"]


def render(run: Run, *, color: bool = False) -> str:
    """Return the run as JSON text."""
    return json.dumps(_run(run), indent=2, ensure_ascii=False) + "\n"


def _run(run: Run) -> dict[str, Any]:
    return {
        "exit_code": run.exit_code,
        "counts": {str(outcome): number for outcome, number in run.counts().items()},
        "filter": run.filtered,
        "suites": [_suite(suite) for suite in run.suites],
        "coverage": [_coverage(coverage) for coverage in run.coverage],
        "shortfalls": [
            {"suite": item.where or None, "required_percent": item.required, "percent": item.reached}
            for item in run.shortfalls
        ],
        "diagnostics": json.loads(render_diagnostics(run.diagnostics, "json")),
    }


def _suite(suite: SuiteResult) -> dict[str, Any]:
    return {
        "name": suite.name,
        "file": suite.file,
        "policy_set": suite.policy_set,
        "coverage_percent": suite.coverage.percent,
        "seconds": round(suite.seconds, 6),
        "cases": [_case(result) for result in suite.cases],
    }


def _case(result: CaseResult) -> dict[str, Any]:
    decision = result.decision
    return {
        "name": result.case.name,
        "outcome": str(result.outcome),
        **_place(result.case.span),
        "seconds": round(result.seconds, 6),
        "differences": [_difference(item) for item in result.differences],
        "notes": list(result.notes),
        "decision": None
        if decision is None
        else {
            "effect": decision.effect,
            "model": decision.model,
            "rule": decision.rule,
            "reasons": list(decision.reasons),
            "errors": [
                {"rule": item.rule, "code": item.code, "message": item.message, **_place(item.span)}
                for item in decision.errors
            ],
        },
    }


def _difference(item: Difference) -> dict[str, Any]:
    sides = {"expected": item.expected, "actual": item.actual}
    return {
        "path": item.path,
        "relation": item.relation or "equals",
        **{side: plain(value) for side, value in sides.items() if value is not ABSENT},
    }


def _coverage(coverage: Coverage) -> dict[str, Any]:
    """Return the coverage of one policy set as JSON-like data."""
    return {
        "policy_set": coverage.policy_set,
        "file": coverage.file,
        "percent": coverage.percent,
        "policies": [
            {"policy": policy.policy, "percent": policy.percent, "rules": [_rule(rule) for rule in policy.rules]}
            for policy in coverage.policies
        ],
    }


def _rule(rule: RuleCoverage) -> dict[str, Any]:
    condition = {"true": rule.was_true, "false": rule.was_false, "failed": rule.failed}
    return {
        "rule": rule.rule,
        "kind": rule.kind,
        **_place(rule.span),
        "covered": rule.covered,
        "matched": rule.matched,
        "not_reached": rule.not_reached,
        "condition": condition if rule.conditional else None,
        "why_not": rule.why or None,
    }


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return {"file": None, "line": None, "column": None}
    return {"file": span.file, "line": span.start.line, "column": span.start.column}
