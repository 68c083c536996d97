"""Arguments and options that several commands share. Nothing here is heavy: help shows them, too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from costlens_policy.clock import duration_of
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = [
    "Amount", "Day", "LateOption", "Number", "SignedAmount", "Suggesting", "Timestamp", "TrafficOptions", "Until",
    "documents_argument", "files_option", "gathered", "mapping_option", "max_increase_option", "max_rejects_option",
    "no_new_denials_option", "optional_traffic", "paths_argument", "start_option", "traffic_options", "write_option",
]  # fmt: skip


_Function = TypeVar("_Function", bound=Callable[..., Any])


class Number(click.FloatRange):
    """A number in a range; what is no number, or without end, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"`{value}` is not a finite number", param, ctx)
        return number


class Timestamp(click.ParamType):  # type: ignore[type-arg]  # older releases of click have no argument here
    """A timestamp with its zone, as RFC 3339 writes it."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            timestamp = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"`{value}` is not a timestamp; write it as 2026-11-02T09:00:00Z", param, ctx)
        if timestamp.tzinfo is None:
            self.fail(f"`{value}` has no time zone; write {value}Z for UTC, or an offset such as +01:00", param, ctx)
        return timestamp


class Day(click.ParamType):  # type: ignore[type-arg]  # as above
    """A day, as ISO 8601 writes it."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"`{value}` is not a day; write it as 2026-11-02", param, ctx)


class Until(click.ParamType):  # type: ignore[type-arg]  # as above
    """A timestamp with its zone, or a duration from now on."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        if isinstance(value, datetime | timedelta):
            return value
        try:
            return duration_of(value)
        except ValueError:
            return Timestamp().convert(value, param, ctx)


class Amount(click.ParamType):  # type: ignore[type-arg]  # as above
    """An amount of a budget: US dollars, tokens or requests, exact."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        from costlens_policy.money import usd

        try:
            return usd(value)
        except ValueError:
            self.fail(f"an amount must be a non-negative number, got `{value}`; write it as 250 or 12.50", param, ctx)


class SignedAmount(Amount):
    """An amount that may be negative, such as the difference that a correction makes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        text = str(value)
        amount = super().convert(text.removeprefix("-"), param, ctx)
        return -amount if text.startswith("-") else amount


class Suggesting(click.ParamType):  # type: ignore[type-arg]  # as above
    """One of the words that a function (``module:name``, imported late) returns; a near miss gets a suggestion."""

    def __init__(self, name: str, words_from: str) -> None:
        self.name = name
        self._words_from = words_from

    def words(self) -> tuple[str, ...]:
        module, _, function = self._words_from.partition(":")
        words: tuple[str, ...] = getattr(import_module(module), function)()
        return words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        words = self.words()
        if value in words:
            return str(value)
        from difflib import get_close_matches

        close = get_close_matches(str(value), words, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"known are {', '.join(f'`{word}`' for word in words)}"
        raise click.BadParameter(f"no {self.name} `{value}`; {hint}", ctx, param)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(word) for word in self.words() if word.startswith(incomplete)]


class LateOption(click.Option):
    """An option whose help or default come from functions, so that their source is imported only when it is needed."""

    def __init__(self, *names: Any, help_from: Callable[[], str] | None = None, **keywords: Any) -> None:
        super().__init__(*names, **keywords)
        self._help_from = help_from

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        self.resolve()
        return super().get_help_record(ctx)

    def resolve(self) -> None:
        """Set the help and the default to what the functions return."""
        if self._help_from is not None:
            self.help = self._help_from()
        if callable(self.default):
            self.default = self.default()


def paths_argument(function: _Function) -> _Function:
    """Add ``PATH…``: files or folders, by default the current directory."""
    return click.argument(
        "paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path), callback=_current_directory
    )(function)


def documents_argument(function: _Function) -> _Function:
    """As ``paths_argument``, for commands that read documents: a bundle is the folder that is packed in it."""
    return click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path), callback=_documents)(
        function
    )


def write_option(function: _Function) -> _Function:
    """Add ``--write FILE``, as ``target``."""
    return click.option(
        "--write",
        "target",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Write to FILE instead of printing.",
    )(function)


def gathered(argument: str, kind: type, options: Iterable[Callable[[Any], Any]]) -> Callable[[_Function], _Function]:
    """Add options whose values reach the command as one argument, an object of a slotted dataclass."""

    def decorate(function: _Function) -> _Function:
        def call(**given: Any) -> Any:
            asked = kind(**{name: given.pop(name) for name in kind.__slots__})  # type: ignore[attr-defined]  # it has them
            return function(**{argument: asked}, **given)

        call.__doc__, call.__name__ = function.__doc__, function.__name__
        for option in reversed(tuple(options)):
            call = option(call)
        call.__click_params__ = [*getattr(function, "__click_params__", []), *call.__click_params__]  # type: ignore[attr-defined]  # click keeps them there
        return call  # type: ignore[return-value]  # click calls it with keywords only

    return decorate


def max_increase_option(function: _Function) -> _Function:
    """Add ``--max-increase``, as text."""
    words = "Exit with 7 if the cost grows by more than this, such as 5%."
    return click.option("--max-increase", metavar="PERCENT", help=words)(function)


def no_new_denials_option(function: _Function) -> _Function:
    """Add ``--no-new-denials``, a flag."""
    words = "Exit with 7 if a request is newly denied."
    return click.option("--no-new-denials", is_flag=True, help=words)(function)


def _current_directory(_: click.Context, __: click.Parameter, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    return paths or (Path(),)


def _documents(context: click.Context, _: click.Parameter, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Lay out bundles in folders, which go when the command ends."""
    if context.resilient_parsing or not any(path.is_file() for path in paths):
        return paths or (Path(),)
    from costlens_policy.bundles.archive import is_bundle
    from costlens_policy.cli.sources import laid_out

    return tuple(context.with_resource(laid_out(path)) if is_bundle(path) else path for path in paths)


@frozen
class TrafficOptions:
    """The traffic as it was named on the command line, word for word."""

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
        help="CSV, JSON lines or Parquet, also .gz and .zst; a folder, a glob, `-`, or an address: s3://, gs://, "
        "az://, delta:, iceberg:, postgresql://, duckdb: (docs/lake.md). May be repeated.",
    )  # fmt: skip


def _mapping_help() -> str:
    from costlens_policy.replay.traffic.ready import READY

    return f"Names the columns: {', '.join(READY)}, or a YAML file. Default: recognized from the columns."


mapping_option = click.option("--mapping", metavar="NAME|FILE", cls=LateOption, help_from=_mapping_help)
start_option = click.option(
    "--start", type=Timestamp(), metavar="TIME",
    help="What relative times count from. Default: 2026-01-01T00:00:00Z.",
)  # fmt: skip
max_rejects_option = click.option(
    "--max-rejects", default="0", show_default=True, metavar="N|PERCENT",
    help="Exit with 7 if more rows than this are skipped.",
)  # fmt: skip

_OPTIONS = (
    mapping_option,
    click.option(
        "--column", "columns", multiple=True, metavar="FIELD=COLUMN",
        help="Read a field from a column, such as time=ts or request.task=kind.",
    ),
    click.option(
        "--set", "constants", multiple=True, metavar="FIELD=VALUE",
        help="Set a field that has no column, such as request.task=chat.",
    ),
    click.option(
        "--cache", type=click.Choice(["on", "off"]), default="on", show_default=True, metavar="on|off",
        help="Model the providers' prompt caches, or ignore them.",
    ),
    click.option(
        "--cache-lifetime", "lifetime", type=Number(min=1), default=300, show_default=True,
        metavar="SECONDS", help="How long a prompt stays in a cache after its last use.",
    ),
    click.option(
        "--cache-min-tokens", "minimum", type=click.IntRange(min=0), default=1024, show_default=True, metavar="N",
        help="Shorter prompts are not cached.",
    ),
    click.option(
        "--output-range", "swing", default="20%", show_default=True, metavar="PERCENT",
        help="How much shorter or longer the output of another model may be.",
    ),
    start_option,
    click.option(
        "--rejects", type=click.Path(path_type=Path), metavar="FILE",
        help="Write the skipped rows, with the reasons, as CSV.",
    ),
    max_rejects_option,
)  # fmt: skip
