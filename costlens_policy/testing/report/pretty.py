"""The report for people: every file and case by name, each difference line by line, coverage, a summary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.diagnostics.render import Format
from costlens_policy.diagnostics.render import render as render_diagnostics
from costlens_policy.diagnostics.text import BOLD, Painter, printable, summary
from costlens_policy.testing.report.coverage import coverage_lines
from costlens_policy.testing.report.differences import difference_lines
from costlens_policy.testing.report.summary import nothing_to_run, shortfall_sentence, summary_line
from costlens_policy.testing.results import CaseOutcome, CaseResult, Run, SuiteResult

__all__ = ["pretty"]

_GREEN: Final = "32"
_RED: Final = "31"
_YELLOW: Final = "33"
_MARKS: Final = {
    CaseOutcome.PASSED: ("passed ", _GREEN),
    CaseOutcome.FAILED: ("FAILED ", _RED),
    CaseOutcome.VACUOUS: ("VACUOUS", _YELLOW),
    CaseOutcome.ERROR: ("ERROR  ", _RED),
}
_SIGNS: Final = {"=": BOLD, "-": _GREEN, "+": _RED, " ": ""}
_INDENT: Final = " " * 11


def pretty(run: Run, *, colour: bool) -> str:
    """Return the whole report."""
    paint = Painter(on=colour)
    blocks = [render_diagnostics(run.diagnostics, Format.FULL, run.lines_of, colour=colour)] if run.diagnostics else []
    blocks += ["\n".join(_suite(suite, paint)) + "\n" for suite in run.suites]
    blocks += ["\n".join(coverage_lines(coverage)) + "\n" for coverage in run.coverage]
    blocks.append("\n".join(_end(run, paint)) + "\n")
    return "\n".join(blocks)


def _suite(suite: SuiteResult, paint: Painter) -> Iterator[str]:
    yield paint(f"{suite.file}: {suite.name}", BOLD)
    for result in suite.cases:
        mark, colour = _MARKS[result.outcome]
        yield f"  {paint(mark, colour)}  {printable(result.case.name)}"
        if not result.passed:
            yield from (f"{_INDENT}{line}".rstrip() for line in _details(result, paint))


def _details(result: CaseResult, paint: Painter) -> Iterator[str]:
    start = result.case.span.start
    yield f"--> {result.case.span.file}:{start.line}:{start.column}"
    for item in result.differences:
        for sign, text in difference_lines(item):
            line = printable(text) if sign == "=" else f"  {sign} {printable(text)}"
            yield paint(line, _SIGNS[sign]) if _SIGNS[sign] else line
    yield from map(printable, result.notes)
    if result.decision is not None:
        decision = result.decision
        served = f", {decision.model}" if decision.model else ""
        yield f"decided: {decision.effect}{served}, by `{decision.rule}`"
        yield from (f"  {printable(reason)}" for reason in (*decision.reasons, *result.failures))


def _end(run: Run, paint: Painter) -> Iterator[str]:
    if any(item.is_error for item in run.diagnostics):
        files = len({item.span.file for item in run.diagnostics if item.span is not None})
        yield paint(summary(run.diagnostics, files), _RED)
    if run.suites:
        good = all(result.passed for result in run.results)
        yield paint(summary_line(run), _GREEN if good else _RED)
        yield from (paint(shortfall_sentence(item), _RED) for item in run.shortfalls)
    elif not any(item.is_error for item in run.diagnostics):
        yield paint(nothing_to_run(run), _RED)
