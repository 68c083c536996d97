"""Workflow commands of GitHub Actions: an annotation for each case that does not pass, and for missing coverage."""

from __future__ import annotations

from collections.abc import Iterator

from costlens_policy.diagnostics.model import Span
from costlens_policy.diagnostics.render import render as render_diagnostics
from costlens_policy.diagnostics.render import workflow_command
from costlens_policy.testing.formats.sentences import (
    coverage_sentence,
    difference_sentence,
    missing_in,
    nothing_to_run,
    shortfall_sentence,
    summary_line,
)
from costlens_policy.testing.results import Run

__all__ = ["render"]


def render(run: Run, *, color: bool = False) -> str:
    """Return the commands, then the summary as a plain line."""
    return "".join([render_diagnostics(run.diagnostics, "github"), *_cases(run), *_coverage(run), *_end(run)])


def _cases(run: Run) -> Iterator[str]:
    for result in run.results:
        if not result.passed:
            lines = [*map(difference_sentence, result.differences), *result.notes, *result.failures]
            title = ("title", f"{result.outcome}: {result.case.name}")
            yield workflow_command("error", [*_place(result.case.span), title], "\n".join(lines))


def _coverage(run: Run) -> Iterator[str]:
    for item in run.shortfalls:
        yield workflow_command("error", [("title", "coverage")], shortfall_sentence(item))
    for missing in missing_in(run):
        place = _place(missing.span) if missing.span is not None else ()
        yield workflow_command("warning", [*place, ("title", f"not covered: {missing.name}")], missing.why)
    for coverage in run.coverage:
        yield workflow_command("notice", [("title", f"coverage of {coverage.policy_set}")], coverage_sentence(coverage))


def _place(span: Span) -> list[tuple[str, str]]:
    return [("file", span.file.replace("\\", "/")), ("line", str(span.start.line)), ("col", str(span.start.column))]


def _end(run: Run) -> Iterator[str]:
    if run.suites:
        yield f"{summary_line(run)}\n"
    elif not any(item.is_error for item in run.diagnostics):
        yield workflow_command("error", [("title", "policy tests")], nothing_to_run(run))
