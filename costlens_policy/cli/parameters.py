"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from costlens_policy.clock import duration_of
from costlens_policy.money import usd

__all__ = [
    "Amount", "Day", "Instant", "Suggesting", "Until", "format_option", "gathered", "max_increase_option",
    "no_new_denials_option", "paths_argument", "write_option",
]  # fmt: skip

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Instant(click.ParamType):  # type: ignore[type-arg]  # older releases of click have no argument here
    """A time with its zone, as RFC 3339 writes it."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"`{value}` is not a time; write it as 2026-11-02T09:00:00Z", param, ctx)
        if instant.tzinfo is None:
            self.fail(f"`{value}` has no time zone; write {value}Z for UTC, or an offset such as +01:00", param, ctx)
        return instant


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
    """A time with its zone, or a length of time from now on."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        if isinstance(value, datetime | timedelta):
            return value
        try:
            return duration_of(value)
        except ValueError:
            return Instant().convert(value, param, ctx)


class Amount(click.ParamType):  # type: ignore[type-arg]  # as above
    """An amount of a budget: US dollars, tokens or requests, exact."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            return usd(value)
        except ValueError:
            self.fail(f"`{value}` is not an amount from zero on; write it as 250 or 12.50", param, ctx)


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
        close = get_close_matches(str(value), words, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(f'`{word}`' for word in words)}"
        raise click.BadParameter(f"no {self.name} `{value}`; {hint}", ctx, param)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(word) for word in self.words() if word.startswith(incomplete)]


def paths_argument(function: _Function) -> _Function:
    """Add ``PATH…``: files or folders, the current folder by default."""
    return click.argument(
        "paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path), callback=_present_folder
    )(function)


def write_option(function: _Function) -> _Function:
    """Add ``--write FILE``, as ``target``."""
    return click.option(
        "--write",
        "target",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Write into FILE instead of printing.",
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
    said = "Exit with 7 when the cost grows by more, such as 5%."
    return click.option("--max-increase", metavar="PERCENT", help=said)(function)


def no_new_denials_option(function: _Function) -> _Function:
    """Add ``--no-new-denials``, a flag."""
    said = "Exit with 7 when a request is denied that was not before."
    return click.option("--no-new-denials", is_flag=True, help=said)(function)


def format_option(*formats: str) -> Callable[[_Function], _Function]:
    """Add ``--format`` with the first of the formats as the default."""
    return click.option(
        "--format",
        "output",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        metavar="FORMAT",
        help=f"How to print: {', '.join(f'`{name}`' for name in formats)}.",
    )


def _present_folder(_: click.Context, __: click.Parameter, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    return paths or (Path(),)
