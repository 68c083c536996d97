"""Show a run: for people, or in the formats that other tools read."""

from __future__ import annotations

from enum import StrEnum

from costlens_policy.testing.report.github import github
from costlens_policy.testing.report.json import as_json
from costlens_policy.testing.report.junit import junit
from costlens_policy.testing.report.pretty import pretty
from costlens_policy.testing.report.tap import tap
from costlens_policy.testing.results import Run

__all__ = ["ReportFormat", "render"]


class ReportFormat(StrEnum):
    PRETTY = "pretty"
    JSON = "json"
    JUNIT = "junit"
    TAP = "tap"
    GITHUB = "github"


def render(run: Run, format: ReportFormat | str = ReportFormat.PRETTY, *, colour: bool = False) -> str:
    """Return a run as text that ends in a line end. Only the pretty format has colours."""
    match ReportFormat(format):
        case ReportFormat.JSON:
            return as_json(run)
        case ReportFormat.JUNIT:
            return junit(run)
        case ReportFormat.TAP:
            return tap(run)
        case ReportFormat.GITHUB:
            return github(run)
        case ReportFormat.PRETTY:
            return pretty(run, colour=colour)
