"""Where the money went: a page with charts, and its first lines here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.markup import escape
from rich.table import Table
from sample_traffic import write_sample

from costlens_policy.report import Report, Settings, report_on
from costlens_policy.report.html import as_html
from costlens_policy.report.text import text_parts
from costlens_policy.report.timeline import shown_start
from costlens_policy.report.words import shown_usd

__all__ = ["spending"]


def spending(folder: Path) -> Iterator[Table | str]:
    """Write synthetic traffic and a report on it. Yield the part that is shown here."""
    calls, page = write_sample(folder / "calls.csv"), folder / "report.html"
    report = report_on([str(calls)], settings=Settings(by=("model", "team", "feature", "user")))
    page.write_text(as_html(report), encoding="utf-8")
    yield f"\n[bold]4. Where the money went, in five synthetic weeks of a company[/]: {page}\n"
    for part in text_parts(report):
        if isinstance(part, str):
            if part.startswith("\nspend by"):
                yield escape(part.strip())
        elif not part.show_header or str(part.title).strip() == "by feature":
            yield part
    yield from _anomaly(report)


def _anomaly(report: Report) -> Iterator[str]:
    found = next((item for item in report.anomalies.found if item.dimension == "feature"), None)
    if found is not None:
        when = shown_start(found.start, report.anomalies.unit, report.zone)
        spent, usual = shown_usd(found.spend), shown_usd(found.usual)
        yield f"outlier: {found.value} on {when}, {spent} where {usual} is usual"
