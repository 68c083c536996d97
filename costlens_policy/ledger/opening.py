"""From a URL to a store: those of this package by its scheme, those of other packages by entry point.

A package adds a kind of ledger with an entry point in the group ``costlens_policy.ledgers``. Its name is the scheme of
the URLs, its value an ``Opener``::

    [project.entry-points."costlens_policy.ledgers"]
    x = "my_package.ledger:open_store"

The schemes of this package come first, and are opened without a look at what is installed.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from costlens_policy.frozen import frozen
from costlens_policy.ledger.errors import LedgerError, LedgerUnavailableError
from costlens_policy.ledger.options import seconds_of, take_options
from costlens_policy.ledger.protocol import Store

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["ENTRY_POINTS", "OpenOptions", "Opener", "open_ledger"]

ENTRY_POINTS: Final = "costlens_policy.ledgers"
"""The group of entry points in which packages declare kinds of ledgers."""

_FORMS: Final = "`memory:`, `sqlite:///spend.db`, `redis://host:6379/0` or `postgresql://user@host/database`"


@frozen
class OpenOptions:
    """How a ledger is to be opened. Later versions may add fields, each with a default.

    With ``read_only`` the ledger must exist, must not be made or changed, and need not be writable. ``query`` has the
    options after the ``?`` of the URL, decoded; of one that is repeated, the last value.
    """

    read_only: bool = False
    query: Mapping[str, str] = field(default_factory=dict)


class Opener(Protocol):
    """Opens the ledgers whose URLs have one scheme. It is called once for each ``open_ledger``, in any thread.

    ``url`` is the whole URL as it was given. It returns an open ``Store``, on which every operation works at once, or
    raises ``LedgerError`` for a URL or an option that it does not know, ``LedgerUnavailableError`` where the ledger
    cannot be reached or used. Messages must not repeat a password. Anything else that it raises is reported as a fault
    of the package that it comes from, and so is what the store raises later.
    """

    def __call__(self, url: str, options: OpenOptions, /) -> Store: ...


def open_ledger(url: str, *, read_only: bool = False) -> Store:
    """Open a ledger, making it where it is not there yet; with ``read_only`` it must be there.

    What is only looked at need not be writable: a file or a disk without that right, a replica, a user that may only
    read. Writes to it are then refused, one by one.

    ``memory:``, ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``redis://``, ``rediss://``,
    ``postgresql://``, and the schemes of installed plug-ins. Options follow ``?``: ``timeout`` in seconds for all of
    them, ``ledger`` for several ledgers in one Redis or PostgreSQL. Raises ``LedgerError`` for a URL of another form,
    ``LedgerUnavailableError`` where the store cannot be used.
    """
    scheme, separator, _ = url.partition(":")
    if not separator:
        raise LedgerError(f"`{url}` is not the URL of a ledger; use {_FORMS}")
    opener = _BUILT_IN.get(scheme) or _plug_in(scheme)
    return opener(url, OpenOptions(read_only, dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))))


def _memory(url: str, options: OpenOptions) -> Store:
    from costlens_policy.ledger.memory import MemoryStore

    return MemoryStore()


def _sqlite(url: str, options: OpenOptions) -> Store:
    from costlens_policy.ledger.sqlite import SQLiteStore

    parts = urlsplit(url)
    path = unquote(parts.path.removeprefix("/"))
    if parts.netloc or not path:
        raise LedgerError(
            f"`{url}` names no file; use `sqlite:///spend.db`, or `sqlite:////var/lib/spend.db` for an absolute path"
        )
    if path.startswith(":"):
        raise LedgerError(f"`{url}` names no file; use `memory:` for a ledger in memory")
    rest, known = take_options(url, {"timeout"})
    unknown = urlsplit(rest).query
    if unknown:
        raise LedgerError(f"a SQLite ledger has no option but `timeout`, got `{unknown}`")
    return SQLiteStore(path, seconds_of(known.get("timeout", "10")), read_only=options.read_only)


def _extra(kind: str, store: str) -> Opener:
    """Return the opener of a store whose driver is an extra, needed for its kind of URL only."""

    def opened(url: str, options: OpenOptions) -> Store:
        try:
            found: Callable[..., Store] = getattr(import_module(f"costlens_policy.ledger.{kind}"), store)
        except ModuleNotFoundError as error:
            if str(error.name).startswith("costlens_policy"):
                raise
            raise LedgerError(f"`{error.name}` is not installed: pip install 'costlens-policy[{kind}]'") from None
        return found(url, read_only=options.read_only)

    return opened


_BUILT_IN: Final[Mapping[str, Opener]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "redis": _extra("redis", "RedisStore"),
    "rediss": _extra("redis", "RedisStore"),
    "postgresql": _extra("postgresql", "PostgreSQLStore"),
    "postgres": _extra("postgresql", "PostgreSQLStore"),
}


def _plug_in(scheme: str) -> Opener:
    """Return the opener of an installed plug-in."""
    from importlib.metadata import entry_points  # takes longer to import than all of the ledger

    installed: dict[str, list[EntryPoint]] = defaultdict(list)
    for entry in entry_points(group=ENTRY_POINTS):
        installed[entry.name].append(entry)
    match installed.get(scheme, []):
        case [entry]:
            return _PlugIn(scheme, entry)
        case []:
            raise LedgerError(f"unsupported ledger URL scheme `{scheme}:`; {_what_there_is(installed)}")
        case several:
            names = " and ".join(sorted(f"`{_distribution(entry)}`" for entry in several))
            raise LedgerError(f"the ledger URL scheme `{scheme}:` is declared by {names}; uninstall all but one")


def _what_there_is(installed: Mapping[str, list[EntryPoint]]) -> str:
    found = sorted(
        f"`{scheme}:` of `{_distribution(entry)}`"
        for scheme, entries in installed.items()
        if scheme not in _BUILT_IN
        for entry in entries
    )
    plug_ins = f", or, from installed plug-ins, {', '.join(found)}" if found else ""
    return (
        f"use {_FORMS}{plug_ins}; for another scheme, `pip install` a package with an entry point of that name in the"
        f" group `{ENTRY_POINTS}` into `{sys.prefix}`"
    )


def _distribution(entry: EntryPoint) -> str:
    return entry.value if entry.dist is None else entry.dist.name


@frozen
class _PlugIn:
    """Opens the ledgers of a plug-in, and reports what is wrong with it by the name of its distribution."""

    scheme: str
    entry: EntryPoint

    def __call__(self, url: str, options: OpenOptions, /) -> Store:
        password = urlsplit(url).password
        store = self._reported("open", self._opener(), password)(url, options)
        missing = [name for name in _OPERATIONS if not callable(getattr(store, name, None))]
        if missing:
            raise LedgerError(f"{self._name} returned a store without `{'`, `'.join(missing)}`; upgrade or report it")
        return cast(Store, _PlugInStore(store, {name: self._operation(store, name, password) for name in _OPERATIONS}))

    def _opener(self) -> Callable[..., Any]:
        try:
            found = self.entry.load()
        except Exception as error:
            raise LedgerError(
                f"{self._name} cannot be imported ({_described(error)}); reinstall or report it"
            ) from error
        if not callable(found):
            raise LedgerError(f"{self._name} must name a callable, got `{self.entry.value}`; upgrade or report it")
        return cast(Callable[..., Any], found)

    def _operation(self, store: Any, name: str, password: str | None) -> Callable[..., Any]:
        return self._reported(name, getattr(store, name), password)

    def _reported(self, what: str, operation: Callable[..., Any], password: str | None) -> Callable[..., Any]:
        @wraps(operation)
        def reporting(*arguments: Any, **keywords: Any) -> Any:
            try:
                return operation(*arguments, **keywords)
            except LedgerError:
                raise
            except Exception as error:
                text = _described(error)
                text = text.replace(password, "…") if password else text
                raise LedgerUnavailableError(
                    f"{self._name} failed in `{what}` ({text}); upgrade or report it"
                ) from error

        return reporting

    @property
    def _name(self) -> str:
        return f"the ledger plug-in `{_distribution(self.entry)}` for `{self.scheme}:`"


class _PlugInStore:
    """A store of a plug-in; what it raises is reported as a fault of the plug-in. The rest of it is as it is."""

    def __init__(self, store: object, operations: Mapping[str, Callable[..., Any]]) -> None:
        self._store = store
        self.__dict__.update(operations)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


_OPERATIONS: Final = tuple(name for name, it in vars(Store).items() if callable(it) and not name.startswith("_"))


def _described(error: Exception) -> str:
    """Return the kind of an error, and the first line of its message."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
