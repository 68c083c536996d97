"""``reconcile``: hold what providers bill against what the ledger has recorded."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.formats import Formats
from costlens_policy.cli.options import gathered, mapping_option
from costlens_policy.cli.output import note
from costlens_policy.clock import system_now
from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from costlens_policy.invoice import Agreement, Invoice, Recorded, Selection, Table, Tolerance
    from costlens_policy.report import Prices

__all__ = ["command"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_GATEWAYS: Final = frozenset({"openrouter"})
"""Providers that bill models of others."""


@frozen
class _Options:
    """What was asked for, word for word. Either ``ledger`` or ``traffic`` names where the calls come from."""

    ledger: str | None
    traffic: tuple[str, ...]
    mapping: str | None
    budget: str | None
    prices: tuple[Path, ...]
    by: str
    key: str
    key_of: str
    same: tuple[str, ...]
    providers: tuple[str, ...]
    zone: str
    tolerance: tuple[str, ...]
    rates: tuple[str, ...]
    columns: tuple[str, ...]
    constants: tuple[str, ...]
    only: tuple[str, ...]
    all_rows: bool
    correct: bool
    reason: str | None
    author: str | None


_OPTIONS: Final = (
    click.option(
        "--ledger", metavar="URL", envvar="COSTLENS_LEDGER", help="The ledger, such as sqlite:///spend.db."
    ),
    click.option("--traffic", multiple=True, metavar="FILE", help="Logs instead of a ledger, such as a decision log."),
    mapping_option,
    click.option("--budget", metavar="POLICY/BUDGET", help="With --ledger: only calls that this budget has counted."),
    click.option(
        "--prices", multiple=True, type=click.Path(path_type=Path), metavar="PATH",
        help="A policy set, or catalogues, with names and prices of models. Default: the installed price list.",
    ),
    click.option(
        "--by", default="day,model", show_default=True, metavar="LIST",
        help="What to compare by: day, provider, model and key, separated by commas.",
    ),
    click.option(
        "--key", default="key", show_default=True, metavar="LABEL",
        help="With --by key: the label of recorded calls that is the billed key, such as team; `key` is the scope key.",
    ),
    click.option(
        "--key-of", default="", metavar="WORD",
        help="With --by key: which billed key, such as api_key, project, workspace or account. Default: the first.",
    ),
    click.option(
        "--same", multiple=True, metavar="BILLED=RECORDED",
        help="A model or key that the invoice calls by another name than the ledger.",
    ),
    click.option(
        "--provider", "providers", multiple=True, metavar="NAME",
        help="Compare the calls of this provider, or of `all`. Default: those that the invoice names.",
    ),
    click.option("--zone", default="UTC", show_default=True, metavar="ZONE", help="The zone of the invoice's days."),
    click.option(
        "--tolerance", multiple=True, metavar="LIMIT",
        help="A difference that is allowed: 0.5% of what is billed, or an amount such as 0.01. Default: both of these.",
    ),
    click.option(
        "--rate", "rates", multiple=True, metavar="CURRENCY=USD",
        help="US dollars for one unit of another currency, such as EUR=1.08.",
    ),
    click.option(
        "--map", "columns", multiple=True, metavar="FIELD=COLUMN",
        help="Read a plain table: time, amount, provider, model, currency, key, project, requests, input_tokens, …",
    ),
    click.option(
        "--set", "constants", multiple=True, metavar="FIELD=VALUE", help="With --map: a field that has no column."
    ),
    click.option(
        "--only", multiple=True, metavar="COLUMN=VALUE", help="With --map: only rows with this value."
    ),
    click.option("--all", "all_rows", is_flag=True, help="Show rows that agree, too."),
    click.option("--correct", is_flag=True, help="Enter the differences into the ledger, each as a correction."),
    click.option("--reason", metavar="TEXT", help="With --correct: why, such as the number of the invoice."),
    click.option("--author", metavar="NAME", help="With --correct: who. Default: your git or user name."),
)  # fmt: skip

_FORMATS: Final = Formats(
    text="costlens_policy.cli.formats:summary_text",
    json="costlens_policy.replay.tables:as_json",
    csv="costlens_policy.invoice.text:as_csv",
    markdown="costlens_policy.replay.tables:markdown",
)


@click.command(
    "reconcile",
    cls=Command,
    short_help="Hold what providers bill against the ledger, and explain the difference.",
    examples=[
        ("a month of OpenAI, by day and model", "reconcile costs.json usage.json --ledger sqlite:///spend.db"),
        ("fail in CI beyond 2 %, or a dollar", "reconcile costs.csv --ledger $LEDGER --tolerance 2% --tolerance 1"),
        ("by team, each with a project", "reconcile costs.json --ledger $LEDGER --by key --key-of project --key team"),
        (
            "an Azure export",
            "reconcile az.csv --ledger $LEDGER --map time=Date --map amount=CostInBillingCurrency "
            "--map model=MeterName --set provider=azure",
        ),
        ("enter what the ledger lacks", "reconcile costs.json --ledger $LEDGER --correct --reason 'invoice 1123'"),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING, ExitCode.DISAGREES],
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@gathered("options", _Options, _OPTIONS)
@_FORMATS.option
def command(files: tuple[str, ...], options: _Options, output: str) -> ExitCode:
    """Compare the invoices in FILE with what a ledger has recorded, by day and model.

    FILE is what the APIs of OpenAI and Anthropic return for costs and usage, an export of their dashboards, an AWS Cost
    and Usage Report, or a FOCUS file, as JSON, CSV or Parquet. Several files are one invoice; what is in two of them
    counts once. Each difference is shown with the causes that its figures are consistent with.
    """
    _check(options)
    from costlens_policy.cli.traffic import found_files
    from costlens_policy.invoice import agree, read_invoice
    from costlens_policy.invoice.text import Reconciled, summary_of

    zone, same = _zone(options.zone), _pairs(options.same, "--same")
    prices = _prices(options.prices)
    invoice = read_invoice(found_files(files), _table(options), _rates(options.rates), zone)
    recorded, source = _recorded(options, invoice, prices, zone, same)
    agreement = agree(
        invoice, recorded, source=source, by=_by(options.by), zone=zone, tolerance=_tolerance(options.tolerance),
        same=same, key_of=options.key_of,
    )  # fmt: skip
    result = Reconciled(agreement, options.all_rows)
    if options.correct:
        result = _correct(options, agreement)
    _FORMATS.print(summary_of(result), output)
    if result.made is not None:
        note(f"{len(result.made.done):,} corrections were entered")
        return ExitCode.DISAGREES if result.made.refused or not _explained(result) else ExitCode.OK
    return ExitCode.OK if agreement.agrees else ExitCode.DISAGREES


def _explained(result: Any) -> bool:
    return not result.corrections.unassigned


def _check(options: _Options) -> None:
    from importlib.util import find_spec

    if (options.ledger is None) == (not options.traffic):
        raise click.UsageError("name either a ledger with `--ledger` or logs with `--traffic`")
    if options.correct and options.ledger is None:
        raise click.UsageError("`--correct` needs `--ledger`; a log is not changed")
    if options.correct and not (options.reason or "").strip():
        raise click.UsageError("`--correct` needs `--reason`, which the history keeps")
    if (options.constants or options.only) and not options.columns:
        raise click.UsageError("`--set` and `--only` belong to a plain table; name its columns with `--map`")
    if find_spec("polars") is None:
        raise InputError("`polars` is not installed; pip install 'costlens-policy[report]'")


def _zone(name: str) -> ZoneInfo:
    from costlens_policy.periods import PeriodError, zone_of

    try:
        return zone_of(name)
    except PeriodError as error:
        raise click.UsageError(str(error)) from error


def _by(text: str) -> tuple[str, ...]:
    from costlens_policy.diagnostics.suggestion import did_you_mean
    from costlens_policy.invoice.agreement import DIMENSIONS

    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in DIMENSIONS:
            hint = did_you_mean(name, DIMENSIONS) or f"choose among {', '.join(DIMENSIONS)}"
            raise click.UsageError(f"`--by` cannot be `{name}`; {hint}")
    return names


def _pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise click.UsageError(f"`{option}` must be NAME=VALUE, got `{text}`")
        if found.setdefault(name.strip(), value.strip()) != value.strip():
            raise click.UsageError(f"`{option}` gives `{name.strip()}` twice")
    return found


def _rates(given: tuple[str, ...]) -> dict[str, Decimal]:
    rates: dict[str, Decimal] = {}
    for currency, text in _pairs(given, "--rate").items():
        try:
            rate = Decimal(text)
        except InvalidOperation:
            rate = Decimal(0)
        if not rate.is_finite() or rate <= 0:
            raise click.UsageError(f"a rate must be a positive number of US dollars, got `{text}`")
        if currency.upper() == "USD":
            raise click.UsageError("`--rate` is for another currency than US dollars, got `USD`")
        rates[currency.upper()] = rate
    return rates


def _tolerance(given: tuple[str, ...]) -> Tolerance:
    """Read limits, each a percentage or an amount. Without one, both defaults hold; with one, it alone."""
    from costlens_policy.invoice import Tolerance

    if not given:
        return Tolerance()
    ratio = amount = Decimal(0)
    for text in given:
        number = text.strip().removeprefix("$").removesuffix("%")
        try:
            value = Decimal(number)
        except InvalidOperation:
            value = Decimal(-1)
        if not value.is_finite() or value < 0:
            raise click.UsageError(f"`--tolerance` must be a percentage such as 0.5%, or an amount, got `{text}`")
        if text.strip().endswith("%"):
            ratio = value / 100
        else:
            amount = value
    return Tolerance(ratio, amount)


def _table(options: _Options) -> Table | None:
    from costlens_policy.invoice import Table

    if not options.columns:
        return None
    columns, constants = _pairs(options.columns, "--map"), _pairs(options.constants, "--set")
    return Table.of(columns, constants, _pairs(options.only, "--only"))


def _prices(paths: tuple[Path, ...]) -> Prices:
    from costlens_policy.cli.sources import load_models
    from costlens_policy.report import Prices

    return Prices(load_models(paths), ", ".join(f"`{path}`" for path in paths)) if paths else Prices()


def _recorded(
    options: _Options, invoice: Invoice, prices: Prices, zone: ZoneInfo, same: dict[str, str]
) -> tuple[Recorded, str]:
    """Return what a ledger or logs have recorded, and their name. Raises ``LedgerError`` and ``TrafficError``."""
    from costlens_policy.cli.sources import ledger_at
    from costlens_policy.cli.traffic import progress
    from costlens_policy.invoice import read_logged, read_recorded
    from costlens_policy.report import TrafficSource

    chosen = _selection(options, invoice, zone, same)
    if options.ledger is not None:
        with ledger_at(options.ledger, read_only=True) as store, progress() as shown:
            shown.start("reading", None, "calls")
            return read_recorded(store, prices, chosen, lambda: shown.advance(1)), "the ledger"
    return read_logged(_log(options, prices, TrafficSource), prices, chosen), "the log"


def _log(options: _Options, prices: Prices, kind: Any) -> Any:
    from costlens_policy.cli.traffic import found_files, mapping_for
    from costlens_policy.replay.settings import START
    from costlens_policy.report import Extras

    files = found_files(options.traffic)
    mapping = mapping_for(options.mapping, files, {}, {}).with_columns({}, {})
    labels = tuple(dict.fromkeys(("provider", *(() if options.key == "key" else (options.key,)))))
    extras = Extras.of(mapping, {}, {}, labels, START)
    return kind(files, extras.reader_mapping, extras, prices, START, "either", None)


def _selection(options: _Options, invoice: Invoice, zone: ZoneInfo, same: dict[str, str]) -> Selection:
    from costlens_policy.catalogue.versions import provider_named
    from costlens_policy.invoice import Selection
    from costlens_policy.invoice.agreement import span_of
    from costlens_policy.invoice.lines import model_stem

    given = frozenset(map(provider_named, options.providers)) or invoice.providers
    providers = None if "all" in given or not given or given & _GATEWAYS else given
    stems = frozenset(model_stem(same.get(line.model, line.model)) for line in invoice.lines if line.model)
    label = options.key if "key" in _by(options.by) else ""
    return Selection(providers, *span_of(invoice, zone), stems, label, options.budget)


def _correct(options: _Options, agreement: Agreement) -> Any:
    from costlens_policy.cli.commands.budget.changes import current_author
    from costlens_policy.cli.sources import ledger_at
    from costlens_policy.invoice import correct, corrections_of
    from costlens_policy.invoice.text import Reconciled

    assert options.ledger is not None
    assert options.reason is not None
    corrections = corrections_of(agreement)
    with ledger_at(options.ledger, read_only=False) as store:
        author = options.author or current_author()
        made = correct(store, corrections.made, author=author, reason=options.reason, now=system_now())
    return Reconciled(agreement, options.all_rows, corrections, made)
