"""What the ``catalogue`` commands do: find the models, print them, write them out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

from costlens_policy.catalogue import Catalogue, Model
from costlens_policy.catalogue.explicit import explicit_entry
from costlens_policy.catalogue.import_text import import_genai_prices, import_litellm
from costlens_policy.catalogue.lock import lock
from costlens_policy.catalogue.price_list import listed_model, matching, nearest_pattern
from costlens_policy.catalogue.resolve import resolve
from costlens_policy.catalogue.yaml_text import comment, yaml_lines
from costlens_policy.checker import check
from costlens_policy.checker.link import Library
from costlens_policy.cli.console import note, print_table, standard_input, write_out
from costlens_policy.cli.nothing import NothingError
from costlens_policy.cli.report import render_report
from costlens_policy.clock import system_now
from costlens_policy.diagnostics.model import PolicyError
from costlens_policy.documents import CatalogueDocument
from costlens_policy.errors import InputError
from costlens_policy.money import plain
from costlens_policy.source.located import LocatedDocument
from costlens_policy.source.read import read_source, read_stdin

__all__ = [
    "imported_from_genai_prices",
    "imported_from_litellm",
    "load_models",
    "locked",
    "offered_models",
    "print_models",
    "show_model",
]

_HEADINGS = ("model", "provider", "context", "input", "output", "state", "prices from")


def load_models(paths: Sequence[Path]) -> Catalogue:
    """Return the catalogue of the policy set in some paths, or that of catalogue documents named by file.

    Raises ``PolicyError`` where they are not right; warnings go to standard error.
    """
    documents = _catalogue_documents(paths)
    if documents is None:
        return check(paths).linked.catalogue
    resolved = resolve(documents)
    if any(item.is_error for item in resolved.diagnostics):
        raise PolicyError(resolved.diagnostics)
    if resolved.diagnostics:
        note(render_report(resolved.diagnostics, stderr=True))
    return resolved.catalogue


def locked(paths: Sequence[Path]) -> str:
    """Return the text of a locked catalogue."""
    return lock(load_models(paths), system_now().date())


def offered_models(pattern: str) -> Iterator[Model]:
    """Yield the models of the installed price list that match ``provider/name`` with ``*``."""
    names = matching(pattern)
    if not names:
        near = nearest_pattern(pattern)
        raise NothingError(
            f"`{pattern}` matches no model of the price list" + (f"; did you mean `{near}`?" if near else "")
        )
    yield from map(listed_model, names)


def imported_from_genai_prices(patterns: Sequence[str], day: date | None) -> str:
    """Return a catalogue document of models of the installed price list."""
    try:
        return import_genai_prices(patterns, day or system_now().date())
    except InputError as error:
        raise click.UsageError(str(error), click.get_current_context()) from error


def imported_from_litellm(path: str, patterns: Sequence[str]) -> str:
    """Return a catalogue document of models in LiteLLM's price list; ``-`` is standard input."""
    source = read_stdin(standard_input()) if path == "-" else read_source(path)
    return import_litellm(source, patterns or ("*",))


def print_models(models: Iterable[Model], day: date | None, output: str) -> None:
    """Print one line for each model, with the prices of a day (UTC; today when left out)."""
    on = day or system_now().date()
    if output == "json":
        write_out(json.dumps([_facts(model, on) for model in models], indent=2, ensure_ascii=False))
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, caption="prices in US dollars per million tokens", caption_justify="left")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading in ("context", "input", "output") else "left")
    for model in models:
        facts = _facts(model, on)
        context = "" if model.context_window is None else f"{model.context_window:,}"
        prices = [facts["input_usd_per_million_tokens"] or "", facts["output_usd_per_million_tokens"] or ""]
        table.add_row(
            *map(escape, [model.name, model.provider or "", context, *prices, facts["state"], model.price_source])
        )
    print_table(table)


def show_model(catalogue: Catalogue, name: str, output: str) -> None:
    """Print all that is known of a model, as the entry that would say the same in a catalogue document."""
    model = catalogue.find(name)
    if model is None:
        near = catalogue.suggest(name)
        hint = f"did you mean `{near}`?" if near else "`costlens-policy catalogue list` lists them"
        raise click.UsageError(f"no model `{name}` in this catalogue; {hint}", click.get_current_context())
    entry = explicit_entry(model)
    if output == "json":
        write_out(json.dumps({"name": model.name, **entry}, indent=2, ensure_ascii=False, default=_json_text))
        return
    notes = [comment(f"prices: {model.price_source}")] if model.price_source else []
    write_out("\n".join([*notes, *yaml_lines({model.name: entry})]))


def _catalogue_documents(paths: Sequence[Path]) -> list[tuple[LocatedDocument, CatalogueDocument]] | None:
    """Return the catalogue documents in files, or None where a path is a folder or holds something else."""
    library = Library()
    documents = []
    for path in paths:
        file = None if path.is_dir() else library.open(path)
        if file is None or not file.readings:
            return None
        for reading in file.readings:
            if reading.kind != "Catalogue":
                return None
            if not isinstance(reading.document, CatalogueDocument):
                raise PolicyError(reading.diagnostics)
            documents.append((reading.located, reading.document))
    return documents


def _facts(model: Model, day: date) -> dict[str, Any]:
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
