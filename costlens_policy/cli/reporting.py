"""What ``report`` does: read, sum up, print, write a page."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from costlens_policy.cli.console import note, print_table, write_out
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.files import write_file
from costlens_policy.cli.nothing import NothingError
from costlens_policy.cli.reporting_options import ReportOptions
from costlens_policy.cli.traffic import too_many_rejects, write_rejects
from costlens_policy.errors import InputError

if TYPE_CHECKING:  # needs Polars, which not everybody has
    from costlens_policy.report import Read, Report

__all__ = ["print_report"]

_NEEDED = {"polars": "polars", "vl_convert": "vl-convert-python", "jinja2": "Jinja2"}


def print_report(options: ReportOptions, output: str, html: Path | None) -> ExitCode:
    """Print the report, and write the page. Returns ``GATE`` where too many rows were left out."""
    _need("polars")
    if html is not None:
        _need("vl_convert")
        _need("jinja2")
    from costlens_policy.cli.reporting_sources import read_calls, settings_of
    from costlens_policy.report import summarize

    too_many_rejects(0, 0, options.max_rejects)  # what is no number is said before anything runs
    settings = settings_of(options)
    read = read_calls(options, settings.by)
    write_rejects(read.rejects, options.rejects, len(read.rejects))
    if read.frame.height:
        report = summarize(read, settings)
        if html is not None:  # before anything is printed, since a reader of that may go away early
            _write_page(report, html)
        _print(report, output)
    if too_many_rejects(len(read.rejects), read.frame.height, options.max_rejects):
        note(f"failed: {len(read.rejects):,} rows were left out, more than {options.max_rejects}")
        return ExitCode.GATE
    if not read.frame.height:
        raise NothingError(f"no call in {read.source}{_left_out(read)}")
    return ExitCode.OK


def _need(module: str) -> None:
    if find_spec(module) is None:
        raise InputError(f"`{_NEEDED[module]}` is not installed; pip install 'costlens-policy[report]'")


def _left_out(read: Read) -> str:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in read.left_out.items())
    return f"; there are {reasons}" if reasons else ""


def _print(report: Report, output: str) -> None:
    if output == "json":
        from costlens_policy.report.export import export_report

        write_out(json.dumps(export_report(report), indent=2, ensure_ascii=False))
    elif output == "csv":
        from costlens_policy.report.export import as_csv

        write_out(as_csv(report))
    else:
        _print_text(report)


def _print_text(report: Report) -> None:
    from costlens_policy.report.text import text_parts

    for part in text_parts(report):
        if isinstance(part, str):
            write_out(part)
        else:
            print_table(part)


def _write_page(report: Report, path: Path) -> None:
    from costlens_policy.report.html import as_html

    write_file(path, as_html(report).encode())
    note(f"wrote `{path}`")
