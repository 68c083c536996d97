"""``report``: show where the money went."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode, NothingError
from costlens_policy.cli.formats import Formats
from costlens_policy.cli.options import (
    LateOption,
    Timestamp,
    files_option,
    gathered,
    mapping_option,
    max_rejects_option,
    start_option,
)
from costlens_policy.cli.output import note, write_file
from costlens_policy.clock import system_now
from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from costlens_policy.catalogue import Model
    from costlens_policy.report import Prices, Read, Report, Settings, TrafficSource

__all__ = ["command"]


@frozen
class _ReportOptions:
    """What was asked for, word for word. Either ``ledger`` or ``files`` name where the calls come from."""

    ledger: str | None
    budget: str | None
    key: str | None
    files: tuple[str, ...]
    mapping: str | None
    columns: tuple[str, ...]
    constants: tuple[str, ...]
    start: datetime | None
    prices: tuple[Path, ...]
    costs: str
    baseline: str | None
    by: str
    since: datetime | None
    until: datetime | None
    now: datetime | None
    unit: str | None
    zone: str
    window: str
    top: int
    rejects: Path | None
    max_rejects: str


_Function = TypeVar("_Function", bound=Callable[..., Any])

_NEEDED = {"polars": "polars", "vl_convert": "vl-convert-python", "jinja2": "Jinja2"}

_SOURCES = (
    click.option("--ledger", metavar="URL", help="A ledger, such as sqlite:///spend.db."),
    click.option("--budget", metavar="POLICY/BUDGET", help="With --ledger: only charges of this budget."),
    click.option("--key", metavar="KEY", help="With --ledger: only charges of this scope key, such as a team."),
    files_option(required=False),
    mapping_option,
    click.option(
        "--column", "columns", multiple=True, metavar="FIELD=COLUMN",
        help="Read a field from a column: those of `replay`, labels, latency_ms, latency_s, end_time, denied, "
        "baseline_cost.",
    ),
    click.option(
        "--set", "constants", multiple=True, metavar="FIELD=VALUE",
        help="Set a field that has no column, such as model=gpt-5.",
    ),
    start_option,
    click.option(
        "--prices", multiple=True, type=click.Path(path_type=Path), metavar="PATH",
        help="A policy set, or catalogues, with prices. Default: the installed price list.",
    ),
    click.option(
        "--costs", type=click.Choice(["either", "recorded", "computed"]), default="either", show_default=True,
        metavar="WHICH",
        help="Cost of a call: `recorded` in the log, `computed` from prices, or `either`, in this order.",
    ),
    click.option("--since", type=Timestamp(), metavar="TIME", help="Only calls from this time on."),
    click.option("--until", type=Timestamp(), metavar="TIME", help="Only calls before this time."),
    click.option("--rejects", type=click.Path(path_type=Path), metavar="FILE", help="Write the skipped rows as CSV."),
    max_rejects_option,
)  # fmt: skip


def _usual_labels() -> str:
    from costlens_policy.checker.attributes import REPORT_LABELS

    return ",".join(REPORT_LABELS)


_SUMMARY = (
    click.option("--baseline", metavar="MODEL", help="Show savings against one model serving every call."),
    click.option(
        "--by", cls=LateOption, default=_usual_labels, show_default=True, metavar="LABELS",
        help="Labels to group by, separated by commas.",
    ),
    click.option(
        "--top", type=click.IntRange(1, 1000), default=10, show_default=True, metavar="N",
        help="How many groups to show; the rest are summed up in one row.",
    ),
    click.option(
        "--time", "unit", type=click.Choice(["hour", "day", "week", "month"]), metavar="UNIT",
        help="Time steps: hour, day, week or month. Default: chosen by the time span of the calls.",
    ),
    click.option("--zone", default="UTC", show_default=True, metavar="ZONE", help="Time zone, such as Europe/Berlin."),
    click.option(
        "--window", type=click.Choice(["day", "week", "month"]), default="month", show_default=True, metavar="WINDOW",
        help="Forecast to the end of the day, week or month.",
    ),
    click.option(
        "--now", type=Timestamp(), metavar="TIME",
        help="When the forecast is made. Default: the last call of a log, or now for a ledger.",
    ),
)  # fmt: skip


def _report_options(function: _Function) -> _Function:
    """Add the options, as one argument ``options``."""
    return gathered("options", _ReportOptions, (*_SOURCES, *_SUMMARY))(function)


_FORMATS: Final = Formats(
    text="costlens_policy.report.text:text_parts",
    json="costlens_policy.report.export:as_json",
    csv="costlens_policy.report.export:as_csv",
)


@click.command(
    "report",
    cls=Command,
    short_help="Show where the money went: by model, team, feature, user, rule and time.",
    examples=[
        ("what a ledger has charged", "report --ledger sqlite:///spend.db"),
        ("an HTML page with charts", "report --ledger sqlite:///spend.db --html spend.html"),
        ("logs, by team and task", "report --traffic 'logs/*.jsonl.gz' --by team,task --column task=kind"),
        ("what one model for everything would have cost", "report --traffic calls.csv --baseline gpt-5"),
        ("an Azure trace, priced as one model", "report --traffic t.csv --mapping azure-llm --set model=gpt-5"),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING, ExitCode.GATE],
)
@_report_options
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Also write an HTML page with charts.")
@_FORMATS.option
def command(options: _ReportOptions, html: Path | None, output: str) -> ExitCode:
    """Sum up the calls of a ledger or of logs: spend, tokens, requests, cache hits, latency, denials, savings.

    Sums are exact. Missing values are shown as not recorded; skipped rows and assumptions are printed with the result.
    """
    from costlens_policy.cli.traffic import too_many_rejects, write_rejects

    _need("polars")
    if html is not None:
        _need("vl_convert")
        _need("jinja2")
    from costlens_policy.report import summarize

    too_many_rejects(0, 0, options.max_rejects)  # a wrong number is reported before anything runs
    settings = _settings_of(options)
    prices = _prices(options.prices)
    labels = settings.by if prices.measured is None else tuple(dict.fromkeys((*settings.by, "model", "task")))
    read = _read_calls(options, labels, prices)
    write_rejects(read.rejects, options.rejects, len(read.rejects))
    if read.frame.height:
        report = summarize(read, settings, prices)
        if html is not None:  # before anything is printed, since whoever reads that may stop early
            _write_page(report, html)
        _FORMATS.print(report, output)
    if too_many_rejects(len(read.rejects), read.frame.height, options.max_rejects):
        note(f"failed: {len(read.rejects):,} rows were skipped, more than {options.max_rejects}")
        return ExitCode.GATE
    if not read.frame.height:
        raise NothingError(f"no call in {read.source}{_left_out(read)}")
    return ExitCode.OK


def _need(module: str) -> None:
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise InputError(f"`{_NEEDED[module]}` is not installed; pip install 'costlens-policy[report]'")


def _left_out(read: Read) -> str:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in read.left_out.items())
    return f"; there are {reasons}" if reasons else ""


def _write_page(report: Report, path: Path) -> None:
    from costlens_policy.report.html import as_html

    write_file(path, as_html(report).encode())
    note(f"wrote `{path}`")


def _settings_of(options: _ReportOptions) -> Settings:
    """Return how to sum up. Raises ``click.UsageError``."""
    from costlens_policy.periods import PeriodError, zone_of
    from costlens_policy.report import Settings

    by = tuple(dict.fromkeys(name.strip().removeprefix("request.") for name in options.by.split(",") if name.strip()))
    if not by:
        raise click.UsageError("`--by` needs a label, such as `--by model,team`")
    if (options.ledger is None) == (not options.files):
        raise click.UsageError("name either a ledger with `--ledger` or logs with `--traffic`")
    if options.since is not None and options.until is not None and options.until <= options.since:
        raise click.UsageError("`--until` must be after `--since`")
    try:
        zone = zone_of(options.zone)
    except PeriodError as error:
        raise click.UsageError(str(error)) from error
    now = options.now or (None if options.ledger is None else system_now())
    return Settings(by, options.top, options.unit, zone, options.window, now)  # type: ignore[arg-type]  # click has checked the words


def _read_calls(options: _ReportOptions, by: tuple[str, ...], prices: Prices) -> Read:
    """Read all calls, with some labels. Raises ``TrafficError``, ``LedgerError``, ``PolicyError``, ``InputError``."""
    from costlens_policy.cli.sources import ledger_at
    from costlens_policy.cli.traffic import note_rows, progress
    from costlens_policy.report import CallQuery, LedgerSource

    baseline = None if options.baseline is None else _baseline(options.baseline, prices)
    query = CallQuery(by, options.since, options.until)
    with progress() as shown:
        shown.start("reading", None, "rows")

        def tick() -> None:
            shown.advance(1)

        if options.ledger is None:
            traffic = _traffic(options, by, prices, baseline)
            read = traffic.read(query, tick)
            note_rows(traffic.by_rows, "read")
            return read
        with ledger_at(options.ledger, read_only=True) as store:
            source = LedgerSource(
                store, _without_password(options.ledger), prices, options.budget, options.key, baseline
            )
            return source.read(query, tick)


def _prices(paths: tuple[Path, ...]) -> Prices:
    from costlens_policy.cli.sources import load_models
    from costlens_policy.report import Prices

    return Prices(load_models(paths), ", ".join(f"`{path}`" for path in paths)) if paths else Prices()


def _baseline(name: str, prices: Prices) -> Model:
    model = prices.model(name)
    if model is None or not model.periods:
        near = prices.suggest(name)
        hint = f"did you mean `{near}`?" if near else "`costlens-policy catalogue list` lists those of a catalogue"
        raise click.UsageError(f"no price for the baseline `{name}`; {hint}")
    return model


def _traffic(options: _ReportOptions, by: tuple[str, ...], prices: Prices, baseline: Model | None) -> TrafficSource:
    from costlens_policy.cli.traffic import fields_of, found_files, mapping_for
    from costlens_policy.replay.settings import START
    from costlens_policy.report import Extras, TrafficSource
    from costlens_policy.report.traffic import split_columns

    if options.budget is not None or options.key is not None:
        raise click.UsageError("`--budget` and `--key` select charges of a ledger; a log has none")
    files = found_files(options.files)
    columns, own, constants, fixed = split_columns(fields_of(options.columns), fields_of(options.constants))
    mapping = mapping_for(options.mapping, files, columns, constants).with_columns(columns, constants)
    start = options.start or START
    extras = Extras.of(mapping, own, fixed, by, start)
    costs: Any = options.costs  # click has checked the word
    return TrafficSource(files, extras.reader_mapping, extras, prices, start, costs, baseline)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return url.replace(f":{parts.password}@", ":…@") if parts.password else url
