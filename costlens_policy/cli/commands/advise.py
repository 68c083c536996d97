"""``advise``: compare the cost of prompting, caching, a smaller model and fine-tuning."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode, NothingError
from costlens_policy.cli.formats import Formats
from costlens_policy.cli.options import Day, TrafficOptions, optional_traffic
from costlens_policy.cli.output import note, render_diagnostics, write_file
from costlens_policy.clock import system_now
from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from costlens_policy.advise.derivation import Market
    from costlens_policy.advise.ranking import Ranked, Ranking
    from costlens_policy.catalogue import Catalogue, Model

__all__ = ["command"]

_LONGEST = 120
_FORMATS: Final = Formats(
    text="costlens_policy.advise.text:as_text",
    json="costlens_policy.advise.text:as_json",
    markdown="costlens_policy.advise.text:as_markdown",
)


class _Months(click.ParamType):  # type: ignore[type-arg]  # older releases of click have no argument here
    """A number of months, as ``12mo`` or ``2y``."""

    name = "horizon"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]{1,4})(mo|y)", str(value))
        months = int(found[1]) * (12 if found[2] == "y" else 1) if found else 0
        if not 1 <= months <= _LONGEST:
            self.fail(f"a horizon must be 1 to {_LONGEST} months, got `{value}`; write it as 12mo or 2y", param, ctx)
        return months


@click.command(
    "advise",
    cls=Command,
    short_help="Compare the cost of prompting, caching, a smaller model and fine-tuning.",
    examples=[
        ("a year of the workload in a file", "advise ticket-triage.yaml"),
        ("three years, for a pull request", "advise ticket-triage.yaml --horizon 3y --format markdown"),
        (
            "at the prices of a day, by your own rules",
            "advise ticket-triage.yaml --on 2026-11-02 --policy-set advice",
        ),
        ("which tasks of recorded calls are candidates", "advise --traffic calls.jsonl --prices policies"),
        (
            "by feature, with a model to fine-tune, writing workloads",
            "advise --traffic 'logs/*.jsonl.gz' --by feature --fine-tuned gpt-4.1-mini --write workloads",
        ),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING, ExitCode.GATE],
)
@click.argument("path", metavar="[WORKLOAD]", required=False, type=click.Path(path_type=Path))
@optional_traffic
@click.option(
    "--by",
    metavar="LABEL",
    default="task",
    show_default=True,
    help="With --traffic: the label that groups calls into tasks.",
)
@click.option(
    "--prices",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="With --traffic: a policy set, or catalogues, with models and prices. Default: the installed price list.",
)
@click.option(
    "--small", metavar="MODEL", help="With --traffic: the smaller model. Default: the cheapest one known to be as good."
)
@click.option(
    "--fine-tuned",
    "trained",
    metavar="MODEL",
    help="With --traffic: the model to fine-tune. Default: the catalogue's for the task, or the cheapest.",
)
@click.option(
    "--write",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="With --traffic: write a workload for each candidate.",
)
@click.option(
    "--horizon",
    "months",
    metavar="TIME",
    type=_Months(),
    default="12mo",
    show_default=True,
    help="Months as `18mo`, years as `2y`.",
)
@click.option("--on", "day", metavar="DAY", type=Day(), help="Day of the prices. Default: today.")
@click.option(
    "--policy-set",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Policy set that recommends, instead of the one that the workload names.",
)
@_FORMATS.option
def command(
    path: Path | None,
    traffic: TrafficOptions,
    by: str,
    prices: tuple[Path, ...],
    small: str | None,
    trained: str | None,
    write: Path | None,
    months: int,
    day: date | None,
    policy_set: Path | None,
    output: str,
) -> ExitCode:
    """Compare what the WORKLOAD costs by prompting, with caching, a smaller model, a fine-tuned model, or both.

    Totals, break-even points and ranges are computed exactly from the inputs. A policy set that you can read and change
    makes the recommendation, and the advice names its rules. With --traffic, a workload is derived from the recorded
    calls of each task, and tasks are ranked by savings.
    """
    if (path is None) == (not traffic.files):
        raise click.UsageError("name either a workload or recorded calls with `--traffic`")
    if path is None:
        wanted = _Wanted(by.removeprefix("request."), prices, small, trained, write)
        return _advise_on_traffic(traffic, wanted, months, day, policy_set, output)
    _print_advice(path, months, day, policy_set, output)
    return ExitCode.OK


def _print_advice(path: Path, months: int, day: date | None, policy_set: Path | None, output: str) -> None:
    """Print the advice on a workload. Raises ``PolicyError`` where a document is not right."""
    from costlens_policy.advise import advise
    from costlens_policy.advise.text import page_of

    now = system_now() if day is None else datetime.combine(day, time(), UTC)
    advice = advise(path, months=months, now=now, policy_set=policy_set)
    if advice.warnings:
        note(render_diagnostics(advice.warnings, stderr=True))
    _FORMATS.print(page_of(advice), output)


@frozen
class _Wanted:
    """What was asked for beside the traffic, word for word."""

    by: str
    prices: tuple[Path, ...]
    small: str | None
    trained: str | None
    write: Path | None


def _advise_on_traffic(
    options: TrafficOptions, wanted: _Wanted, months: int, day: date | None, policy_set: Path | None, output: str
) -> ExitCode:
    """Print the ranking and write the workloads. Returns ``GATE`` where too many rows were skipped."""
    from costlens_policy.advise.derivation import DerivationSettings
    from costlens_policy.advise.ranking import rank
    from costlens_policy.cli.recorded_calls import read_calls
    from costlens_policy.cli.traffic import no_request, note_rows, progress, too_many_rejects, understand, write_rejects
    from costlens_policy.replay.traffic.model_columns import unknown_models, with_models

    understood, market = understand(options), _market(wanted)
    files = understood.files
    understood = replace(understood, mapping=with_models(understood.mapping, market.find))
    with progress() as shown:
        shown.start("reading", None, "rows")
        read = read_calls(files, understood, wanted.by, lambda: shown.advance(1))
    note_rows(read.by_rows, "read")
    calls = read.seen.calls
    if not calls and not read.rejects:
        raise no_request(files)
    write_rejects(read.rejects, options.rejects, len(read.rejects))
    if not calls:
        raise NothingError("no row could be read")
    now = system_now() if day is None else datetime.combine(day, time(), UTC)
    settings = understood.settings
    asked = DerivationSettings(
        wanted.by, months, now, settings.cache, settings.cache_lifetime, settings.cache_min_tokens,
        settings.output_range,
    )  # fmt: skip
    unknown = unknown_models(understood.mapping, market.find, market.suggest, market.source)
    _print(rank(read.seen, market, asked, policy_set), (*read.notes, *unknown), output, wanted.write)
    if too_many_rejects(len(read.rejects), calls, options.max_rejects):
        note(f"failed: {len(read.rejects)} rows were skipped, more than {options.max_rejects}")
        return ExitCode.GATE
    return ExitCode.OK


def _print(ranking: Ranking, notes: Sequence[str], output: str, folder: Path | None) -> None:
    from costlens_policy.advise.ranking import page_of_ranking

    written = [] if folder is None else _write_workloads(ranking, folder)
    for text in notes:
        note(text)
    _FORMATS.print(page_of_ranking(ranking, notes), output)
    for path in written:
        note(f"wrote `{path}`")
    if folder is not None and not written:
        note("no task is a candidate, so no workload was written")


def _market(wanted: _Wanted) -> Market:
    from importlib.metadata import version

    from costlens_policy.advise.derivation import Market
    from costlens_policy.cli.sources import load_models

    catalogue = load_models(wanted.prices) if wanted.prices else None
    models = () if catalogue is None else tuple(catalogue)

    def find(name: str) -> Model | None:
        return _listed(name) if catalogue is None else catalogue.find(name)

    if catalogue is None:
        source = f"the price list genai-prices {version('genai-prices')}"
    else:
        source = ", ".join(f"`{path}`" for path in wanted.prices)
    small, trained = (_named(name, catalogue) for name in (wanted.small, wanted.trained))
    return Market(find, models, source, small, trained, partial(_near, catalogue))


def _near(catalogue: Catalogue | None, name: str) -> str | None:
    from costlens_policy.catalogue.price_list import nearest_pattern

    return nearest_pattern(name) if catalogue is None else catalogue.suggest(name)


def _listed(name: str) -> Model | None:
    from costlens_policy.catalogue.price_list import listed_model, meant_by

    meant = meant_by(name)
    return None if meant is None else listed_model(meant)


def _named(name: str | None, catalogue: Catalogue | None) -> Model | None:
    if name is None:
        return None
    found = _listed(name) if catalogue is None else catalogue.find(name)
    if found is None or not found.periods:
        near = _near(catalogue, name)
        hint = f"did you mean `{near}`?" if near else "`costlens-policy catalogue list` lists those of a catalogue"
        raise click.UsageError(f"no price for `{name}`; {hint}")
    return found


def _write_workloads(ranking: Ranking, folder: Path) -> list[Path]:
    """Write a workload for each candidate, and what they name. Nothing is overwritten: raises ``InputError``."""
    from costlens_policy.advise.advice import own_policy_set
    from costlens_policy.advise.derivation import CATALOGUE, POLICY_SET

    found = tuple(ranking.candidates)
    files = {folder / f"{name}.yaml": _workload(item, name) for name, item in zip(_names(found), found, strict=True)}
    workloads = list(files)
    if not files:
        return []
    files[folder / CATALOGUE] = _catalogue(found, ranking)
    with own_policy_set() as own:
        target = (folder / POLICY_SET).parent
        files |= {target / path.name: path.read_text(encoding="utf-8") for path in sorted(own.iterdir())}
    there = [path for path in files if path.exists()]
    if there:
        raise InputError(f"`{there[0]}` already exists; name another directory with --write")
    for path, text in files.items():
        write_file(path, text.encode())
    return workloads


def _names(items: tuple[Ranked, ...]) -> Iterator[str]:
    """Yield a file's name for each, unique among them and not that of the catalogue."""
    from costlens_policy.advise.derivation import CATALOGUE

    taken = {CATALOGUE.removesuffix(".yaml")}
    for item in items:
        name = base = str(item.derived.plain["metadata"]["name"])
        number = 1
        while name in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name)
        yield name


def _workload(item: Ranked, name: str) -> str:
    from costlens_policy.catalogue.writing import comment, yaml_lines

    derived = item.derived
    plain = {**derived.plain, "metadata": {**derived.plain["metadata"], "name": name}}
    notes = (
        *(f"not known from the traffic: {text}" for text in derived.unknown),
        *(f"assumed: {text}" for text in derived.assumed),
    )
    return "\n".join([*map(comment, notes), *yaml_lines(plain)]) + "\n"


def _catalogue(items: tuple[Ranked, ...], ranking: Ranking) -> str:
    from costlens_policy.catalogue.writing import document_text

    models: dict[str, Model] = {}
    for item in items:
        setting = item.advice.setting
        for contest in (setting.current, setting.small, setting.fine_tuned):
            if contest is not None:
                # It already has what it inherits from its base, which need not be in this file.
                models[contest.model.name] = replace(contest.model, base=None, trained_for=())
    head = {
        "name": "advise",
        "version": "1",
        "description": f"Models of the workloads beside it. Prices: {ranking.source}. Correct what you know better.",
    }
    return document_text(head, models.values())
