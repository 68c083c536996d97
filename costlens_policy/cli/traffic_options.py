"""Options about traffic, which ``replay`` and ``diff`` share. Nothing here is heavy: help shows them, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from costlens_policy.cli.parameters import Instant, gathered
from costlens_policy.replay.traffic.ready import READY

__all__ = [
    "TrafficOptions", "files_option", "mapping_option", "max_rejects_option", "optional_traffic",
    "start_option", "traffic_options",
]  # fmt: skip

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class TrafficOptions:
    """The traffic as it was asked for on the command line, word for word."""

    files: tuple[str, ...]
    mapping: str | None
    columns: tuple[str, ...]
    constants: tuple[str, ...]
    cache: str
    lifetime: float
    minimum: int
    swing: str
    start: datetime | None
    rejects: Path | None
    max_rejects: str


def traffic_options(function: _Function) -> _Function:
    """Add the options about traffic, as one argument ``traffic``."""
    return gathered("traffic", TrafficOptions, (files_option(required=True), *_OPTIONS))(function)


def optional_traffic(function: _Function) -> _Function:
    """Add the same options to a command that also does without traffic; ``files`` may be empty."""
    return gathered("traffic", TrafficOptions, (files_option(required=False), *_OPTIONS))(function)


def files_option(*, required: bool) -> Callable[[Any], Any]:
    return click.option(
        "--traffic", "files", multiple=True, required=required, metavar="FILE",
        help="CSV, JSON lines or Parquet, also .gz and .zst; a folder, a glob, or `-`. Repeat for more.",
    )  # fmt: skip


mapping_option = click.option(
    "--mapping", metavar="NAME|FILE",
    help=f"Which column says what: {', '.join(READY)}, or a YAML file; the one that fits when left out.",
)  # fmt: skip
start_option = click.option(
    "--start", type=Instant(), metavar="TIME",
    help="What relative times count from; 2026-01-01T00:00:00Z when left out.",
)  # fmt: skip
max_rejects_option = click.option(
    "--max-rejects", default="0", show_default=True, metavar="N|PERCENT",
    help="As many rows may be left out before the exit code says so.",
)  # fmt: skip

_OPTIONS = (
    mapping_option,
    click.option(
        "--column", "columns", multiple=True, metavar="FIELD=COLUMN",
        help="Where a field stands, such as time=ts or request.task=kind.",
    ),
    click.option(
        "--set", "constants", multiple=True, metavar="FIELD=VALUE",
        help="A field that has no column, such as request.task=chat.",
    ),
    click.option(
        "--cache", type=click.Choice(["on", "off"]), default="on", show_default=True, metavar="on|off",
        help="Model the providers' prompt caches, or ignore them.",
    ),
    click.option(
        "--cache-lifetime", "lifetime", type=click.FloatRange(min=1), default=300, show_default=True,
        metavar="SECONDS", help="How long a prompt stays in a cache after its last use.",
    ),
    click.option(
        "--cache-min-tokens", "minimum", type=click.IntRange(min=0), default=1024, show_default=True, metavar="N",
        help="Shorter prompts are not cached.",
    ),
    click.option(
        "--output-range", "swing", default="20%", show_default=True, metavar="PERCENT",
        help="By how much answers may be shorter or longer with another model.",
    ),
    start_option,
    click.option(
        "--rejects", type=click.Path(path_type=Path), metavar="FILE",
        help="Write the rows that were left out, and why, as CSV.",
    ),
    max_rejects_option,
)  # fmt: skip
