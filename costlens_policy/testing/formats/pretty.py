"""A run for people: every file and case by name, each difference line by line, coverage, a summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from costlens_policy.diagnostics.render import render as render_diagnostics
from costlens_policy.diagnostics.text import BOLD, Painter, printable, summary
from costlens_policy.testing.coverage import Coverage, Item, Measure, PolicyCoverage
from costlens_policy.testing.formats.sentences import (
    difference_lines,
    nothing_to_run,
    reach_sentence,
    share_of,
    shortfall_sentence,
    summary_line,
)
from costlens_policy.testing.results import CaseOutcome, CaseResult, Run, SuiteResult

__all__ = ["case_lines", "render"]

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


def render(run: Run, *, color: bool = False) -> str:
    """Return the whole report."""
    paint = Painter(on=color)
    blocks = [render_diagnostics(run.diagnostics, "full", run.lines_of, color=color)] if run.diagnostics else []
    blocks += ["\n".join(_suite(suite, paint)) + "\n" for suite in run.suites]
    blocks += ["\n".join(_coverage_lines(coverage, run.explained)) + "\n" for coverage in run.coverage]
    blocks.append("\n".join(_end(run, paint)) + "\n")
    return "\n".join(blocks)


def _suite(suite: SuiteResult, paint: Painter) -> Iterator[str]:
    yield paint(f"{suite.file}: {suite.name}", BOLD)
    for result in suite.cases:
        mark, color = _MARKS[result.outcome]
        yield f"  {paint(mark, color)}  {printable(result.case.name)}"
        if not result.passed:
            yield from (f"{_INDENT}{line}".rstrip() for line in case_lines(result, paint))


def case_lines(result: CaseResult, paint: Painter = Painter(on=False)) -> Iterator[str]:  # noqa: B008 (it has no state)
    """Yield what a case that did not pass has to say: its place, the differences, and what was decided."""
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


def _coverage_lines(coverage: Coverage, explained: bool) -> Iterator[str]:
    """Yield the lines of a policy set: a column for each measure of which there is anything, then what is missing.

    Of that, rules alone are named unless the run explains all of it.
    """
    yield f"coverage of {coverage.policy_set} ({coverage.file}): {coverage.percent} %"
    measures = [measure for measure in Measure if any(coverage.of(measure))]
    rows = [("policy", *measures), *(_row(policy.policy, policy, measures) for policy in coverage.policies)]
    if len(coverage.policies) > 1:
        rows.append(_row("all", coverage, measures))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *numbers in rows:
        cells = (cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True))
        yield f"  {name.ljust(widths[0])}  {'  '.join(cells)}".rstrip()
    missing = [item for item in coverage.items if not item.covered]
    for item in missing:
        if explained or item.measure is Measure.RULES:
            yield f"  {_missing(item)}"
            if reach := reach_sentence(item):
                yield f"    {printable(reach)}"
    further = sum(item.measure is not Measure.RULES for item in missing)
    if further and not explained:
        yield f"  {further} more of conditions, operands and targets; `--coverage` lists them"


def _row(name: str, coverage: Coverage | PolicyCoverage, measures: Iterable[Measure]) -> tuple[str, ...]:
    found = (list(coverage.of(measure)) for measure in measures)
    return (name, *(share_of(items) if items else "" for items in found))


def _missing(item: Item) -> str:
    """Return an item that no case covers, with the reason."""
    detail = f" {item.detail}" if item.detail else ""
    kind = "" if item.detail else f"{item.kind} "
    return printable(f"not covered: {kind}`{item.rule}`{detail}{_place(item)}: {item.why}")


def _place(rule: Item) -> str:
    return f" ({rule.span.file}:{rule.span.start.line})" if rule.span is not None else ""
