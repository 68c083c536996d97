"""What ``advise --traffic`` does: read calls, derive a workload for each task, rank them, print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from importlib.metadata import version
from pathlib import Path

import click

from costlens_policy.advise.derivation import DerivationSettings, Market
from costlens_policy.advise.ranking import Ranking, export_ranking, headline_of, parts_of_ranking, rank
from costlens_policy.advise.text import markdown_of, text_of
from costlens_policy.catalogue import Catalogue, Model
from costlens_policy.catalogue.price_list import listed_model, meant_by, nearest_pattern
from costlens_policy.cli.advising_calls import read_calls
from costlens_policy.cli.advising_files import write_workloads
from costlens_policy.cli.catalogues import load_models
from costlens_policy.cli.console import note, write_out
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.nothing import NothingError
from costlens_policy.cli.traffic import no_request, too_many_rejects, understand, write_rejects
from costlens_policy.cli.traffic_options import TrafficOptions
from costlens_policy.cli.traffic_progress import progress
from costlens_policy.clock import system_now

__all__ = ["Wanted", "advise_on_traffic"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for beside the traffic, word for word."""

    by: str
    prices: tuple[Path, ...]
    small: str | None
    trained: str | None
    write: Path | None


def advise_on_traffic(
    options: TrafficOptions, wanted: Wanted, months: int, day: date | None, policy_set: Path | None, output: str
) -> ExitCode:
    """Print the ranking and write the workloads. Returns ``GATE`` where too many rows were left out."""
    understood, market = understand(options), _market(wanted)
    files = understood.files
    with progress() as shown:
        shown.start("reading", None, "rows")
        read = read_calls(files, understood, wanted.by, lambda: shown.advance(1))
    calls = read.seen.calls
    if not calls and not read.rejects:
        raise no_request(files)
    write_rejects(read.rejects, options.rejects, len(read.rejects))
    if not calls:
        raise NothingError("no row can be read, so there is nothing to advise on")
    now = system_now() if day is None else datetime.combine(day, time(), UTC)
    settings = understood.settings
    asked = DerivationSettings(
        wanted.by, months, now, settings.cache, settings.cache_lifetime, settings.cache_min_tokens,
        settings.output_range,
    )  # fmt: skip
    _print(rank(read.seen, market, asked, policy_set), read.notes, output, wanted.write)
    if too_many_rejects(len(read.rejects), calls, options.max_rejects):
        note(f"failed: {len(read.rejects)} rows were left out, more than {options.max_rejects}")
        return ExitCode.GATE
    return ExitCode.OK


def _print(ranking: Ranking, notes: Sequence[str], output: str, folder: Path | None) -> None:
    written = [] if folder is None else write_workloads(ranking, folder)
    for text in notes:
        note(text)
    if output == "json":
        write_out(json.dumps(export_ranking(ranking) | {"notes": list(notes)}, indent=2, ensure_ascii=False))
    else:
        shown = markdown_of if output == "markdown" else text_of
        write_out(shown(headline_of(ranking), parts_of_ranking(ranking)))
    for path in written:
        note(f"wrote `{path}`")
    if folder is not None and not written:
        note("no task is a candidate, so no workload was written")


def _market(wanted: Wanted) -> Market:
    catalogue = load_models(wanted.prices) if wanted.prices else None
    offered = () if catalogue is None else tuple(catalogue)

    def find(name: str) -> Model | None:
        return _listed(name) if catalogue is None else catalogue.find(name)

    if catalogue is None:
        source = f"the price list genai-prices {version('genai-prices')}"
    else:
        source = ", ".join(f"`{path}`" for path in wanted.prices)
    small, trained = (_named(name, catalogue) for name in (wanted.small, wanted.trained))
    return Market(find, offered, source, small, trained)


def _listed(name: str) -> Model | None:
    meant = meant_by(name)
    return None if meant is None else listed_model(meant)


def _named(name: str | None, catalogue: Catalogue | None) -> Model | None:
    if name is None:
        return None
    found = _listed(name) if catalogue is None else catalogue.find(name)
    if found is None or not found.periods:
        near = nearest_pattern(name) if catalogue is None else catalogue.suggest(name)
        hint = f"did you mean `{near}`?" if near else "`costlens-policy catalogue list` shows those of a catalogue"
        raise click.UsageError(f"no price for `{name}`; {hint}", click.get_current_context())
    return found
