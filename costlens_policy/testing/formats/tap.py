"""A run in the Test Anything Protocol, version 14: a subtest for each suite, a YAML block for each case that fails."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.frozen import frozen
from costlens_policy.testing.formats.sentences import difference_sentence, nothing_to_run, shortfall_sentence
from costlens_policy.testing.results import CaseResult, Run, SuiteResult

__all__ = ["render"]


@frozen
class _Point:
    """One test point with the lines that come before it (a subtest) and after it (a YAML block)."""

    passed: bool
    description: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def render(run: Run, *, color: bool = False) -> str:
    """Return the lines of the protocol."""
    points = [*_problems(run), *map(_suite, run.suites), *_coverage(run)]
    warnings = [_remark(item) for item in run.diagnostics if not item.is_error]
    if not points:
        return "\n".join(["TAP version 14", *warnings, f"1..0 # SKIP {_escaped(nothing_to_run(run))}\n"])
    return "\n".join(["TAP version 14", *warnings, *_numbered(points)]) + "\n"


def _remark(item: Diagnostic) -> str:
    place = "" if item.span is None else f"{item.span.file}:{item.span.start.line}:{item.span.start.column}: "
    return f"# {place}{item.severity}[{item.code}]: {_escaped(item.message)}"


def _numbered(points: Sequence[_Point]) -> Iterator[str]:
    yield f"1..{len(points)}"
    for number, point in enumerate(points, 1):
        yield from point.before
        yield f"{'ok' if point.passed else 'not ok'} {number} - {_escaped(point.description)}"
        yield from point.after


def _suite(suite: SuiteResult) -> _Point:
    title = f"{suite.file}: {suite.name}"
    inner = (f"    {line}" for line in _numbered([_case(result) for result in suite.cases]))
    passed = all(result.passed for result in suite.cases)
    return _Point(passed, title, before=(f"# Subtest: {_escaped(title)}", *inner))


def _case(result: CaseResult) -> _Point:
    if result.passed:
        return _Point(True, result.case.name)
    start = result.case.span.start
    problems = [*map(difference_sentence, result.differences), *result.notes]
    block: dict[str, object] = {
        "outcome": str(result.outcome),
        "at": {"file": result.case.span.file, "line": start.line, "column": start.column},
        "problems": problems,
        "reasons": [] if result.decision is None else list(result.decision.reasons),
    }
    if result.failures:
        block["errors"] = list(result.failures)
    return _Point(False, result.case.name, after=tuple(_yaml(block)))


def _problems(run: Run) -> Iterator[_Point]:
    for item in run.diagnostics:
        if item.is_error:
            place = None
            if item.span is not None:
                start = item.span.start
                place = {"file": item.span.file, "line": start.line, "column": start.column}
            block = {"code": item.code, "at": place, "help": item.help}
            yield _Point(False, f"{item.code}: {item.message}", after=tuple(_yaml(block)))


def _coverage(run: Run) -> Iterator[_Point]:
    for item in run.shortfalls:
        yield _Point(False, shortfall_sentence(item))


def _yaml(block: Mapping[str, object]) -> Iterator[str]:
    """Yield the block; JSON values are YAML, and need no escaping of their own."""
    yield "  ---"
    yield from (f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in block.items())
    yield "  ..."


def _escaped(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("#", "\\#").split())
