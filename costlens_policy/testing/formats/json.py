"""A run as one JSON object, for programs. The shape is documented in docs/testing.md."""

from __future__ import annotations

import json
from typing import Any

from costlens_policy.diagnostics.model import Span
from costlens_policy.diagnostics.render import render as render_diagnostics
from costlens_policy.testing.compare import ABSENT, Difference
from costlens_policy.testing.coverage import Coverage, Item, Measure, PolicyCoverage, Reach, percent_of
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
            {
                "suite": item.where or None,
                "measure": str(item.measure),
                "required_percent": item.required,
                "percent": item.reached,
            }
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
        "measures": _measures(coverage),
        "policies": [
            {
                "policy": policy.policy,
                "percent": policy.percent,
                "measures": _measures(policy),
                "rules": [_rule(rule) for rule in policy.rules],
                "items": [_item(item) for item in policy.items if item.measure is not Measure.RULES],
            }
            for policy in coverage.policies
        ],
    }


def _measures(coverage: Coverage | PolicyCoverage) -> dict[str, Any]:
    """Return how much of each measure is covered, without those of which there is nothing."""
    return {
        str(measure): {
            "covered": sum(item.covered for item in items),
            "counted": sum(item.counts for item in items),
            "percent": percent_of(items),
        }
        for measure in Measure
        if (items := list(coverage.of(measure)))
    }


def _item(item: Item) -> dict[str, Any]:
    decided = {"true": item.was_true, "false": item.was_false} if item.measure is Measure.MCDC else None
    return {
        "measure": str(item.measure),
        "kind": item.kind,
        "rule": item.rule,
        "item": item.detail,
        **_place(item.span),
        "covered": item.covered,
        "cases": item.count,
        "decided": decided,
        "why_not": item.why or None,
        **_reach(item),
    }


def _reach(item: Item) -> dict[str, Any]:
    """Return the request that would cover an item, or why there is none; nothing where that was not examined."""
    if item.covered or item.reach is Reach.NOT_EXAMINED:
        return {}
    return {
        "reach": str(item.reach),
        "reach_note": item.note or None,
        "witnesses": [witness.to_dict() for witness in item.witnesses],
    }


def _rule(rule: Item) -> dict[str, Any]:
    condition = {"true": rule.was_true, "false": rule.was_false, "failed": rule.failed}
    return {
        "rule": rule.rule,
        "kind": rule.kind,
        **_place(rule.span),
        "covered": rule.covered,
        "matched": rule.count,
        "not_reached": rule.not_reached,
        "condition": condition if rule.conditional else None,
        "why_not": rule.why or None,
        **_reach(rule),
    }


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return {"file": None, "line": None, "column": None}
    return {"file": span.file, "line": span.start.line, "column": span.start.column}
