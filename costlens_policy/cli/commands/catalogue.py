"""``catalogue``: show, compare, import and lock models and prices."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from costlens_policy.cli.command import Command, Group
from costlens_policy.cli.exit_codes import ExitCode, NothingError
from costlens_policy.cli.formats import SUMMARY_FORMATS, format_option
from costlens_policy.cli.options import (
    Day,
    TrafficOptions,
    documents_argument,
    max_increase_option,
    no_new_denials_option,
    optional_traffic,
    write_option,
)
from costlens_policy.cli.output import print_or_write, print_table, standard_input, write_json, write_out
from costlens_policy.clock import system_now
from costlens_policy.errors import InputError
from costlens_policy.money import plain

if TYPE_CHECKING:
    from costlens_policy.catalogue import Catalogue, Model
    from costlens_policy.catalogue.comparison import ModelChange, PriceChange
    from costlens_policy.cli.traffic import Comparison, Gates
    from costlens_policy.compiler.plan import Plan
    from costlens_policy.replay.tables import Summary, SummaryTable

__all__ = ["command"]

_EXITS = [ExitCode.INVALID, ExitCode.NOTHING]
_HEADINGS = ("model", "provider", "context", "input", "output", "state", "prices from")
_TITLE: Final = "Effect of this catalogue change"
_NUMBERS: Final = frozenset({2, 3, 4})


@click.group("catalogue", cls=Group, short_help="Show, import, lock and compare models and prices.")
def command() -> None:
    """Show the models of a policy set, import models from price lists, and lock prices."""


@command.command(
    "list",
    cls=Command,
    short_help="List the models of a policy set with their prices.",
    examples=[
        ("the models of the policy set in this directory", "catalogue list ."),
        ("the models of a catalogue document, in JSON", "catalogue list catalogue.yaml --format json"),
        ("models of the installed price list", "catalogue list --offered openai/gpt-5*"),
    ],
    exits=_EXITS,
)
@documents_argument
@click.option(
    "--offered", metavar="PATTERN", help="List models of the installed price list that match `provider/name`, with `*`."
)
@click.option("--on", "day", metavar="DAY", type=Day(), help="Day of the prices. Default: today.")
@format_option("table", "json")
def _list(paths: tuple[Path, ...], offered: str | None, day: date | None, output: str) -> ExitCode:
    """List the models of the policy set or catalogues in PATH. Prices are in US dollars per million tokens."""
    from costlens_policy.cli.sources import load_models

    _print_models(_offered_models(offered) if offered else load_models(paths), day, output)
    return ExitCode.OK


@command.command(
    "show",
    cls=Command,
    short_help="Show all facts of one model.",
    examples=[
        ("by name or alias, from the policy set in this directory", "catalogue show gpt-5-nano"),
        ("from a catalogue", "catalogue show house-summarizer policies/catalogue.yaml"),
    ],
    exits=_EXITS,
)
@click.argument("name", metavar="NAME")
@documents_argument
@format_option("text", "json")
def _show(name: str, paths: tuple[Path, ...], output: str) -> ExitCode:
    """Show the model NAME, an alias or `provider/name` of the policy set or catalogues in PATH, with all its prices."""
    from costlens_policy.catalogue.writing import comment, explicit_entry, yaml_lines
    from costlens_policy.cli.sources import load_models

    catalogue = load_models(paths)
    model = catalogue.find(name)
    if model is None:
        near = catalogue.suggest(name)
        hint = f"did you mean `{near}`?" if near else "`costlens-policy catalogue list` lists them"
        raise click.UsageError(f"no model `{name}` in this catalogue; {hint}")
    entry = explicit_entry(model)
    if output == "json":
        write_out(json.dumps({"name": model.name, **entry}, indent=2, ensure_ascii=False, default=_json_text))
    else:
        notes = [comment(f"prices: {model.price_source}")] if model.price_source else []
        write_out("\n".join([*notes, *yaml_lines({model.name: entry})]))
    return ExitCode.OK


@command.command(
    "lock",
    cls=Command,
    short_help="Write out all models and prices, so that decisions are reproducible.",
    examples=[
        ("print the locked catalogue of the policy set in this directory", "catalogue lock ."),
        ("write it to a file", "catalogue lock . --write catalogue.lock.yaml"),
    ],
    exits=_EXITS,
)
@documents_argument
@write_option
def _lock(paths: tuple[Path, ...], target: Path | None) -> ExitCode:
    """Print a Catalogue document with all models, facts and prices of PATH, without imports.

    A policy set that uses it keeps its prices when the price list is updated.
    """
    from costlens_policy.catalogue.writing import lock
    from costlens_policy.cli.sources import load_models

    print_or_write(lock(load_models(paths), system_now().date()), target)
    return ExitCode.OK


@command.command(
    "diff",
    cls=Command,
    short_help="Compare two catalogues, and their effect on recorded traffic.",
    examples=[
        ("what a price list update changed since the lock", "catalogue diff catalogue.lock.yaml policies"),
        ("a branch against main", "catalogue diff main:policies/catalogue.yaml policies/catalogue.yaml"),
        (
            "changed decisions and cost",
            "catalogue diff old.yaml new.yaml --policy policies --traffic calls.csv --max-increase 5%",
        ),
    ],
    exits=[*_EXITS, ExitCode.GATE],
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Policy set that decides the traffic.",
)
@optional_traffic
@SUMMARY_FORMATS.option
@max_increase_option
@no_new_denials_option
def _diff(
    old: str,
    new: str,
    policy: Path | None,
    traffic: TrafficOptions,
    output: str,
    max_increase: str | None,
    no_new_denials: bool,
) -> ExitCode:
    """Compare the models, prices and limits of the catalogues OLD and NEW.

    Each is a catalogue document, a lock, a policy set, or one of them in a git revision as REV:path. With --policy and
    --traffic, recorded requests are decided with each: where the model is the same, its price changed; where it is
    not, the policy made another choice.
    """
    from costlens_policy.catalogue.comparison import compare
    from costlens_policy.cli.sources import load_models, policies_at
    from costlens_policy.cli.traffic import Gates, compare_plans, ended

    gates = Gates(max_increase, no_new_denials)
    _expect_both(policy, traffic, gates)
    with policies_at(old) as old_path, policies_at(new) as new_path:
        before, after = load_models([old_path]), load_models([new_path])
    changes = compare(before, after)
    compared = None
    if policy is not None:
        compared = compare_plans(_plan_with(policy, before), _plan_with(policy, after), traffic, gates)
    SUMMARY_FORMATS.print(_summary(changes, compared), output)
    return ExitCode.OK if compared is None else ended(compared, traffic)


@command.group("import", cls=Group, short_help="Import models from a price list.")
def _import_group() -> None:
    """Import models and prices from a price list, as a Catalogue document to keep, review and change.

    To follow updates of the installed list instead, name models under `imports` of a catalogue.
    """


@_import_group.command(
    "genai-prices",
    cls=Command,
    short_help="Import from the installed price list.",
    examples=[
        ("print a catalogue of some models", "catalogue import genai-prices openai/gpt-5 'anthropic/claude-*'"),
        ("write it", "catalogue import genai-prices openai/gpt-5* --write prices.yaml"),
    ],
)
@click.argument("patterns", metavar="PATTERN...", nargs=-1, required=True)
@click.option("--on", "day", metavar="DAY", type=Day(), help="Prices from this day on. Default: today.")
@write_option
def _import_installed(patterns: tuple[str, ...], day: date | None, target: Path | None) -> ExitCode:
    """Print a Catalogue document of the models that match PATTERN, `provider/name` with `*` for any text."""
    from costlens_policy.catalogue.price_list import import_genai_prices

    try:
        text = import_genai_prices(patterns, day or system_now().date())
    except InputError as error:
        raise click.UsageError(str(error)) from error
    print_or_write(text, target)
    return ExitCode.OK


@_import_group.command(
    "litellm",
    cls=Command,
    short_help="Import from a copy of LiteLLM's model_prices_and_context_window.json.",
    examples=[
        ("all models that are priced per token", "catalogue import litellm model_prices_and_context_window.json"),
        ("some of them", "catalogue import litellm model_prices_and_context_window.json 'azure/*' --write azure.yaml"),
    ],
    exits=[ExitCode.INVALID],
)
@click.argument("path", metavar="FILE", type=click.Path(allow_dash=True))
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1)
@write_option
def _import_litellm(path: str, patterns: tuple[str, ...], target: Path | None) -> ExitCode:
    """Print a Catalogue document of the models in FILE that match PATTERN; `-` is standard input.

    What a catalogue cannot express is listed in comments; an unreadable price is an error.
    """
    from costlens_policy.catalogue.litellm import import_litellm
    from costlens_policy.source.read import read_source, read_stdin

    source = read_stdin(standard_input()) if path == "-" else read_source(path)
    print_or_write(import_litellm(source, patterns or ("*",)), target)
    return ExitCode.OK


def _expect_both(policy: Path | None, options: TrafficOptions, gates: Gates) -> None:
    if policy is None and options.files:
        raise click.UsageError("`--traffic` needs `--policy PATH`")
    if policy is not None and not options.files:
        raise click.UsageError("`--policy` needs `--traffic FILE`")
    if policy is None and (gates.max_increase is not None or gates.no_new_denials):
        raise click.UsageError(
            "`--max-increase` and `--no-new-denials` need `--policy` and `--traffic`; catalogues alone have no cost"
        )


def _plan_with(policy: Path, catalogue: Catalogue) -> Plan:
    from costlens_policy.checker import check
    from costlens_policy.compiler import compile_plan

    return compile_plan(check(policy, catalogue=catalogue))


def _summary(changes: Sequence[ModelChange], compared: Comparison | None) -> Summary:
    from costlens_policy.replay.settings import assumptions
    from costlens_policy.replay.tables import Summary, difference_tables

    counts = {what: sum(change.what == what for change in changes) for what in ("changed", "added", "removed")}
    verdict = ", ".join(f"{number} {'model' if number == 1 else 'models'} {what}" for what, number in counts.items())
    tables, data = tuple(_tables(changes)), partial(_difference_data, changes, compared)
    if compared is None:
        return Summary(_TITLE, verdict, tables, (), (), data)
    difference = compared.difference
    return Summary(
        _TITLE,
        f"{verdict}\n{compared.verdict}",
        (*tables, *difference_tables(difference)),
        difference.notes,
        assumptions(difference.settings),
        data,
    )


def _tables(changes: Sequence[ModelChange]) -> Iterator[SummaryTable]:
    from costlens_policy.replay.tables import SummaryTable

    known = [change for change in changes if change.what == "changed"]
    prices = [_price_row(change.name, price) for change in known for price in change.prices]
    yield SummaryTable("Price changes (USD per million tokens)", ("model", "price", "was", "is", ""), prices, _NUMBERS)
    facts = [(change.name, fact.fact, fact.old or "", fact.new or "") for change in changes for fact in change.facts]
    yield SummaryTable("Other changes", ("model", "fact", "was", "is"), facts)
    for what, title, side in (("added", "New models", "new"), ("removed", "Removed models", "old")):
        rows = [(change.name, _usual_prices(change, side)) for change in changes if change.what == what]
        yield SummaryTable(title, ("model", "prices (USD per million tokens)"), rows)


def _price_row(model: str, price: PriceChange) -> tuple[str, ...]:
    ratio = "" if price.ratio is None else f"{price.ratio:+.1%}" if price.ratio else "the same"
    return model, _place(price), _amount(price.old), _amount(price.new), ratio


def _place(price: PriceChange) -> str:
    """Return which price it is: its kind, tier, length of prompts, and the day from which it holds."""
    parts = (
        "each request" if price.kind == "request" else price.kind,
        price.service_tier,
        f"above {price.above_input_tokens:,} tokens" if price.above_input_tokens else "",
        f"from {price.since}" if price.since else "",
    )
    return ", ".join(filter(None, parts))


def _usual_prices(change: ModelChange, side: str) -> str:
    """Return the usual prices of a model that only one catalogue has, the latest ones."""
    latest: dict[str, str] = {}
    for price in change.prices:
        amount = getattr(price, side)
        if not price.service_tier and not price.above_input_tokens and amount is not None:
            latest[price.kind] = f"{price.kind} {plain(amount)}"
    return ", ".join(latest.values()) or "none"


def _amount(amount: Decimal | None) -> str:
    return "none" if amount is None else plain(amount)


def _difference_data(changes: Sequence[ModelChange], compared: Comparison | None) -> dict[str, Any]:
    models = json.loads(json.dumps([asdict(change) for change in changes], default=_json_value))
    return {"models": models, "traffic": None if compared is None else compared.to_dict()}


def _json_value(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else value.isoformat() if isinstance(value, date) else str(value)


def _offered_models(pattern: str) -> Iterator[Model]:
    """Yield the models of the installed price list that match ``provider/name`` with ``*``."""
    from costlens_policy.catalogue.price_list import listed_model, matching, nearest_pattern

    names = matching(pattern)
    if not names:
        near = nearest_pattern(pattern)
        raise NothingError(
            f"`{pattern}` matches no model of the price list" + (f"; did you mean `{near}`?" if near else "")
        )
    yield from map(listed_model, names)


def _print_models(models: Iterable[Model], day: date | None, output: str) -> None:
    """Print one line for each model, with the prices of a day (UTC; today when left out)."""
    on = day or system_now().date()
    if output == "json":
        write_json([_listed_facts(model, on) for model in models])
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, caption="prices in US dollars per million tokens", caption_justify="left")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading in ("context", "input", "output") else "left")
    for model in models:
        facts = _listed_facts(model, on)
        context = "" if model.context_window is None else f"{model.context_window:,}"
        prices = [facts["input_usd_per_million_tokens"] or "", facts["output_usd_per_million_tokens"] or ""]
        table.add_row(
            *map(escape, [model.name, model.provider or "", context, *prices, facts["state"], model.price_source])
        )
    print_table(table)


def _listed_facts(model: Model, day: date) -> dict[str, Any]:
    period = model.period_on(day)
    prices = {} if period is None else period.rates.usd_per_million_tokens
    return {
        "name": model.name,
        "aliases": list(model.aliases),
        "provider": model.provider,
        "family": model.family,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "input_usd_per_million_tokens": plain(prices["input"]) if prices else None,
        "output_usd_per_million_tokens": plain(prices["output"]) if prices else None,
        "state": _state(model, day, priced=period is not None),
        "external": model.external,
        "price_source": model.price_source,
    }


def _state(model: Model, day: date, *, priced: bool) -> str:
    if model.retired_on(day):
        return "retired"
    if model.deprecated_on(day):
        return "deprecated"
    return "" if priced else "unpriced"


def _json_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else plain(value)
