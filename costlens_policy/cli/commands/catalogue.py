"""``catalogue``: look at models and prices, compare them, take them over from price lists, fix them in time."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from costlens_policy.cli.app import Group
from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.parameters import (
    Day,
    format_option,
    max_increase_option,
    no_new_denials_option,
    paths_argument,
    write_option,
)
from costlens_policy.cli.traffic_options import TrafficOptions, optional_traffic

__all__ = ["command"]

_EXITS = [ExitCode.INVALID, ExitCode.NOTHING]


@click.group("catalogue", cls=Group, short_help="Look at models and prices, import and lock them.")
def command() -> None:
    """Look at the models of a policy set, take models over from price lists, and fix prices in time."""


@command.command(
    "list",
    cls=Command,
    short_help="List the models of a policy set with their prices.",
    examples=[
        ("the models of the policy set in this folder", "catalogue list ."),
        ("the models of a catalogue document, in JSON", "catalogue list catalogue.yaml --format json"),
        ("what the installed price list has to offer", "catalogue list --offered openai/gpt-5*"),
    ],
    exits=_EXITS,
)
@paths_argument
@click.option(
    "--offered", metavar="PATTERN", help="List models of the installed price list instead, `provider/name` with `*`."
)
@click.option("--on", "day", metavar="DAY", type=Day(), help="Day of the prices; today when left out.")
@format_option("table", "json")
def list_models(paths: tuple[Path, ...], offered: str | None, day: date | None, output: str) -> ExitCode:
    """List the models of the policy set or catalogues in PATH. Prices are US dollars for a million tokens."""
    from costlens_policy.cli.catalogues import load_models, offered_models, print_models

    print_models(offered_models(offered) if offered else load_models(paths), day, output)
    return ExitCode.OK


@command.command(
    "show",
    cls=Command,
    short_help="Show all that is known of one model.",
    examples=[
        ("by name or alias, from the policy set in this folder", "catalogue show gpt-5-nano"),
        ("from somewhere else", "catalogue show house-summarizer policies/catalogue.yaml"),
    ],
    exits=_EXITS,
)
@click.argument("name", metavar="NAME")
@paths_argument
@format_option("text", "json")
def show(name: str, paths: tuple[Path, ...], output: str) -> ExitCode:
    """Show the model NAME, an alias or `provider/name` of the policy set or catalogues in PATH, with all its prices."""
    from costlens_policy.cli.catalogues import load_models, show_model

    show_model(load_models(paths), name, output)
    return ExitCode.OK


@command.command(
    "lock",
    cls=Command,
    short_help="Write every model and price out, so that decisions can be repeated.",
    examples=[
        ("print the locked catalogue of the policy set in this folder", "catalogue lock ."),
        ("keep it", "catalogue lock . --write catalogue.lock.yaml"),
    ],
    exits=_EXITS,
)
@paths_argument
@write_option
def lock(paths: tuple[Path, ...], target: Path | None) -> ExitCode:
    """Print a Catalogue document that has every model of PATH with all its facts and prices, without imports.

    A policy set that names it decides on the same prices after an update of the price list.
    """
    from costlens_policy.cli.catalogues import locked
    from costlens_policy.cli.output import print_or_write

    print_or_write(locked(paths), target)
    return ExitCode.OK


@command.command(
    "diff",
    cls=Command,
    short_help="Say what changes between two catalogues, and what that does to recorded traffic.",
    examples=[
        ("what an update of the price list changed since the lock", "catalogue diff catalogue.lock.yaml policies"),
        ("between a branch and main", "catalogue diff main:policies/catalogue.yaml policies/catalogue.yaml"),
        (
            "which decisions and how much money it moves",
            "catalogue diff old.yaml new.yaml --policy policies --traffic calls.csv --max-increase 5%",
        ),
    ],
    exits=[*_EXITS, ExitCode.GATE],
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--policy", type=click.Path(path_type=Path), metavar="PATH", help="Policy set to decide --traffic with.")
@optional_traffic
@format_option("text", "json", "markdown")
@max_increase_option
@no_new_denials_option
def diff(
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
    --traffic, recorded requests are decided on either: where the model stays the same, what changes is its price;
    where it does not, the policy chose anew.
    """
    from costlens_policy.cli.catalogue_diff import diff_catalogues
    from costlens_policy.cli.replaying import Gates

    return diff_catalogues(old, new, policy, traffic, output, Gates(max_increase, no_new_denials))


@command.group("import", cls=Group, short_help="Take models over from a price list.")
def import_group() -> None:
    """Take models and prices over from a price list, as a Catalogue document to keep, review and change.

    A catalogue may also name models of the installed list under `imports`; then they follow its updates.
    """


@import_group.command(
    "genai-prices",
    cls=Command,
    short_help="From the price list that is installed with this program.",
    examples=[
        ("print a catalogue of some models", "catalogue import genai-prices openai/gpt-5 'anthropic/claude-*'"),
        ("write it", "catalogue import genai-prices openai/gpt-5* --write prices.yaml"),
    ],
)
@click.argument("patterns", metavar="PATTERN...", nargs=-1, required=True)
@click.option("--on", "day", metavar="DAY", type=Day(), help="Prices from this day on; today when left out.")
@write_option
def import_installed(patterns: tuple[str, ...], day: date | None, target: Path | None) -> ExitCode:
    """Print a Catalogue document of the models that match PATTERN, `provider/name` with `*` for any text."""
    from costlens_policy.cli.catalogues import imported_from_genai_prices
    from costlens_policy.cli.output import print_or_write

    print_or_write(imported_from_genai_prices(patterns, day), target)
    return ExitCode.OK


@import_group.command(
    "litellm",
    cls=Command,
    short_help="From a copy of LiteLLM's model_prices_and_context_window.json.",
    examples=[
        ("all models that are priced by tokens", "catalogue import litellm model_prices_and_context_window.json"),
        ("some of them", "catalogue import litellm model_prices_and_context_window.json 'azure/*' --write azure.yaml"),
    ],
    exits=[ExitCode.INVALID],
)
@click.argument("path", metavar="FILE", type=click.Path(allow_dash=True))
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1)
@write_option
def import_litellm(path: str, patterns: tuple[str, ...], target: Path | None) -> ExitCode:
    """Print a Catalogue document of the models in FILE that match PATTERN; `-` is standard input.

    What a catalogue cannot hold is named in comments; a price that cannot be read fails the import.
    """
    from costlens_policy.cli.catalogues import imported_from_litellm
    from costlens_policy.cli.output import print_or_write

    print_or_write(imported_from_litellm(path, patterns), target)
    return ExitCode.OK
