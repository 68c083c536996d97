"""From the options of ``report`` to its settings, its prices, and the calls that it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from costlens_policy.catalogue import Model
from costlens_policy.cli.budgets.opened import ledger_at
from costlens_policy.cli.catalogues import load_models
from costlens_policy.cli.reporting_options import ReportOptions
from costlens_policy.cli.traffic import found_files, mapping_for
from costlens_policy.cli.traffic_progress import progress
from costlens_policy.clock import system_now
from costlens_policy.periods import PeriodError
from costlens_policy.periods.local_days import zone_of
from costlens_policy.replay.settings import START
from costlens_policy.report import CallQuery, Extras, LedgerSource, Prices, Read, Settings, TrafficSource
from costlens_policy.report.sources.labels import split_columns

__all__ = ["read_calls", "settings_of"]


def settings_of(options: ReportOptions) -> Settings:
    """Return how to sum up. Raises ``click.UsageError``."""
    by = tuple(dict.fromkeys(name.strip().removeprefix("request.") for name in options.by.split(",") if name.strip()))
    if not by:
        raise _usage("`--by` names no label; write `--by model,team`")
    if (options.ledger is None) == (not options.files):
        raise _usage("name either a ledger with `--ledger` or logs with `--traffic`")
    if options.since is not None and options.until is not None and options.until <= options.since:
        raise _usage("`--until` is not after `--since`, so no call lies between them")
    try:
        zone = zone_of(options.zone)
    except PeriodError as error:
        raise _usage(str(error)) from error
    now = options.now or (None if options.ledger is None else system_now())
    return Settings(by, options.top, options.unit, zone, options.window, now)  # type: ignore[arg-type]  # click has checked the words


def read_calls(options: ReportOptions, by: tuple[str, ...]) -> Read:
    """Read all calls. Raises ``TrafficError``, ``LedgerError``, ``PolicyError``, ``InputError``."""
    prices = _prices(options.prices)
    baseline = None if options.baseline is None else _baseline(options.baseline, prices)
    asked = CallQuery(by, options.since, options.until)
    with progress() as shown:
        shown.start("reading", None, "rows")

        def tick() -> None:
            shown.advance(1)

        if options.ledger is None:
            return _traffic(options, by, prices, baseline).read(asked, tick)
        with ledger_at(options.ledger, read_only=True) as store:
            source = LedgerSource(
                store, _without_password(options.ledger), prices, options.budget, options.key, baseline
            )
            return source.read(asked, tick)


def _prices(paths: tuple[Path, ...]) -> Prices:
    return Prices(load_models(paths), ", ".join(f"`{path}`" for path in paths)) if paths else Prices()


def _baseline(name: str, prices: Prices) -> Model:
    model = prices.model(name)
    if model is None or not model.periods:
        near = prices.suggest(name)
        hint = f"did you mean `{near}`?" if near else "`costlens-policy catalogue list` shows those of a catalogue"
        raise _usage(f"no price for the baseline `{name}`; {hint}")
    return model


def _traffic(options: ReportOptions, by: tuple[str, ...], prices: Prices, baseline: Model | None) -> TrafficSource:
    if options.budget is not None or options.key is not None:
        raise _usage("`--budget` and `--key` choose among the charges of a ledger; a log has none")
    files = found_files(options.files)
    columns, own, constants, fixed = split_columns(
        dict(map(_pair, options.columns)), dict(map(_pair, options.constants))
    )
    mapping = mapping_for(options.mapping, files, columns, constants).with_columns(columns, constants)
    start = options.start or START
    extras = Extras.of(mapping, own, fixed, by, start)
    costs: Any = options.costs  # click has checked the word
    return TrafficSource(files, extras.reader_mapping, extras, prices, start, costs, baseline)


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise click.BadParameter(f"`{text}` is no pair; write field=column, such as team=cost_center")
    return name.strip(), value.strip()


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return url.replace(f":{parts.password}@", ":…@") if parts.password else url


def _usage(message: str) -> click.UsageError:
    return click.UsageError(message, click.get_current_context())
