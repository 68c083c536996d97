"""What ``advise`` does: read, reckon, recommend, print."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from pathlib import Path

from costlens_policy.advise import advise
from costlens_policy.advise.text import as_markdown, as_text, export_advice
from costlens_policy.cli.console import note, write_out
from costlens_policy.cli.report import render_report
from costlens_policy.clock import system_now

__all__ = ["print_advice"]


def print_advice(path: Path, months: int, day: date | None, policy_set: Path | None, output: str) -> None:
    """Print the advice on a workload. Raises ``PolicyError`` where a document is not right."""
    now = system_now() if day is None else datetime.combine(day, time(), UTC)
    advice = advise(path, months=months, now=now, policy_set=policy_set)
    if advice.warnings:
        note(render_report(advice.warnings, stderr=True))
    if output == "json":
        write_out(json.dumps(export_advice(advice), indent=2, ensure_ascii=False))
    else:
        write_out(as_markdown(advice) if output == "markdown" else as_text(advice))
