"""Recognizing mappings by the columns of files, and checking that files have all specified columns.

Columns that name an attribute of the request are found, and unread ones that may be money or attributes are noted.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final

from costlens_policy.checker.attributes import SIGNALS
from costlens_policy.replay.traffic.cells import cell, has_cell
from costlens_policy.replay.traffic.mapping import FIELDS, TEXTS, ColumnMapping
from costlens_policy.replay.traffic.places import rereadable
from costlens_policy.replay.traffic.ready import PLAIN, READY
from costlens_policy.replay.traffic.row import TrafficError
from costlens_policy.replay.traffic.sources import read_file

__all__ = ["MASK", "ColumnCheck", "recognized", "with_requests"]

_REQUEST: Final = "request."
MASK: Final = re.compile(r"\[(?:[0-9]+ characters|[0-9a-f]{16})\]")
"""What decision logs write in the place of texts: their size, or a hash."""
_ROWS_LOOKED_AT: Final = 50
"""The number of rows that are examined to recognize a mapping."""
_MOST_NAMES: Final = 200
_DEEP: Final = 3
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LETTERS: Final = re.compile(r"[^a-z0-9]+")
_SPLIT: Final = re.compile(r"[^a-z0-9]+")
_MONEY: Final = frozenset({
    "token", "tokens", "cost", "costs", "spend", "usd", "charge", "charges", "credits", "cached", "reasoning",
    "thinking", "billed", "price", "amount", "search", "searches",
})  # fmt: skip
_OF_CACHES: Final = frozenset({"creation", "read", "write", "written", "input", "tokens"})
_NO_MONEY: Final = frozenset({
    "max", "limit", "min", "per", "rate", "hit", "key", "id", "type", "ttl", "budget", "remaining", "window", "hash",
    "version", "name", "enabled", "first", "time", "ms", "latency", "seconds", "auth", "access", 
})  # fmt: skip


def recognized(files: Sequence[str], columns: Mapping[str, str], constants: Mapping[str, Any]) -> ColumnMapping:
    """Return the one ready mapping that the first file with rows fits, else ``plain``.

    ``columns`` and ``constants`` are those that were named: where ``plain`` with them is enough, it is ``plain``. What
    can be read only once is not looked at. Raises ``TrafficError`` for a file that cannot be read.
    """
    for file in filter(rereadable, files):
        rows = _first_rows(file)
        if rows:
            fitting = [item for item in READY.values() if item.signature and _has_all(rows, item.signature)]
            plain = _is_enough(rows, {**PLAIN.columns, **columns}, constants)
            return replace(fitting[0], recognized=True) if len(fitting) == 1 and not plain else PLAIN
    return PLAIN


def with_requests(mapping: ColumnMapping, files: Sequence[str], attributes: Collection[str]) -> ColumnMapping:
    """Return the mapping with the columns ``request.NAME`` of attributes, where it reads them unmapped.

    Signals can have a column each, ``request.signals.NAME``, where no column has them all.

    They are those of the first rows of the first file with rows, unless a log masked them there, since no rule would
    match what stands for a text; of what can be read only once, they are all that there may be.
    Raises ``TrafficError`` for a file that cannot be read.
    """
    if not mapping.requests:
        return mapping
    signals = attributes[SIGNALS].signals if isinstance(attributes, Mapping) and SIGNALS in attributes else ()
    named = [f"{_REQUEST}{name}" for name in (*attributes, *(f"{SIGNALS}.{signal.name}" for signal in signals))]
    columns = [
        name for name in named
        if name not in mapping.columns and name not in mapping.constants and name not in mapping.repeated
    ]  # fmt: skip
    if all(map(rereadable, files)):
        rows = next(filter(None, map(_first_rows, files)), [])
        columns = [name for name in columns if any(has_cell(row, name) for row in rows) and not _masked(rows, name)]
        if f"{_REQUEST}{SIGNALS}" in columns:
            columns = [name for name in columns if not name.startswith(f"{_REQUEST}{SIGNALS}.")]
    return replace(mapping, columns={**mapping.columns, **{name: name for name in columns}}) if columns else mapping


def _masked(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    values = (cell(row, column) for row in rows)
    return any(isinstance(value, str) and MASK.fullmatch(value) for value in values)


def _first_rows(file: str) -> list[Mapping[str, Any]]:
    return [row.fields for row in islice(read_file(file), _ROWS_LOOKED_AT) if not row.problem]


def _has_all(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bool:
    """Return whether one row has all columns."""
    return any(all(has_cell(row, column) for column in columns) for row in rows)


def _is_enough(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], constants: Mapping[str, Any]) -> bool:
    def there(*names: str) -> bool:
        return any(name in constants or (name in columns and _has_all(rows, (columns[name],))) for name in names)

    return there("time") and (
        there("usage") or (there("prompt_tokens", "uncached_tokens", *TEXTS) and there("output_tokens"))
    )


class ColumnCheck:
    """One file: ``look`` at each row until all that was asked for is seen, then ``check`` what never was.

    ``more`` are further required columns, by field, and ``attributes`` those that requests may have.
    """

    __slots__ = (
        "_attributes", "_first", "_groups", "_known", "_mapping", "_names", "_shapes", "_spelled", "file",
        "is_sample", "similar", "unread",
    )  # fmt: skip

    def __init__(
        self, file: str, mapping: ColumnMapping, more: Mapping[str, str], known: tuple[str, ...],
        attributes: Collection[str],
    ) -> None:  # fmt: skip
        self.file = file
        self._mapping = mapping
        self._groups = [*_groups(mapping), *((name, (column,)) for name, column in more.items())]
        columns = (*mapping.columns.values(), *mapping.drop, *mapping.repeated, *more.values(), *known)
        self._known = {option for column in columns for option in (column, *column.split("|"))}
        self._spelled = {_LETTERS.sub("", name.lower()): name for name in self._known if "." not in name}
        read = {*mapping.columns, *mapping.constants}
        self._attributes = {
            name for name in attributes if name not in FIELDS and f"{_REQUEST}{name}" not in read
            and not any(column.startswith(f"{name}.") for column in self._known)
        }  # fmt: skip
        self._names: dict[str, None] = {}
        self._first: tuple[str, ...] = ()
        self._shapes: set[tuple[str, ...]] = set()
        self.unread: dict[str, None] = {}
        self.similar: dict[str, str] = {}
        """Unread columns, and the one that each probably means."""
        self.is_sample = False

    def look(self, fields: Mapping[str, Any]) -> None:
        """Look at a row."""
        shape = tuple(fields)
        if shape not in self._shapes and len(self._shapes) < _MOST_NAMES:
            self._shapes.add(shape)
            self.is_sample = self.is_sample or self._mapping.sampled in shape
            self._first = self._first or tuple(name for name in shape if name.isprintable())
            self._names.update(dict.fromkeys(_names(fields)))
            if not self._mapping.spans:
                self._unread(fields)
        if self._groups:
            self._groups = [group for group in self._groups if not any(has_cell(fields, column) for column in group[1])]

    def check(self) -> None:
        """Refuse a file that lacks what was asked for, with the column that was probably meant."""
        if not self._groups:
            return
        name, columns = self._groups[0]
        option = columns[0].partition("|")[0]
        spelled = {item.lower(): item for item in self._names}
        close = get_close_matches(option.lower(), spelled, n=1, cutoff=0.5)
        hint = f"did you mean `{spelled[close[0]]}`? " if close else ""
        has = ", ".join(f"`{item}`" for item in self._first[:12])
        raise TrafficError(
            f"`{self.file}` has no column `{option}` for `{name}`; {hint}its columns are {has}; set it with --column"
        )

    def _unread(self, fields: Mapping[str, Any]) -> None:
        for name, value in _leaves(fields, self._known, _DEEP):
            if name not in self._known and _is_number(value) and _may_be_money(name):
                self.unread[name] = None
        for name in fields:
            meant = self._spelled.get(_LETTERS.sub("", name.lower()))
            if meant is not None and name not in self._known and meant not in fields and name not in self.unread:
                self.similar[name] = meant
        self.similar.update(self._unread_attributes(fields))

    def _unread_attributes(self, fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield unread columns that are an attribute by their name, and the field that each would be."""
        request = fields.get("request")
        inner = request if isinstance(request, Mapping) else {}
        for column in (*fields, *(f"{_REQUEST}{name}" for name in inner)):
            name = column.removeprefix(_REQUEST)
            if name in self._attributes and column not in self._known:
                yield column, f"{_REQUEST}{name}"


def _groups(mapping: ColumnMapping) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what has to be there: a field, and the columns of which one is enough."""
    columns, fixed = mapping.columns, mapping.constants
    must = dict.fromkeys(mapping.named if mapping.optional else (*columns, *mapping.named))
    for name in must:
        if name in columns and (name in mapping.named or name not in fixed):
            yield name, (columns[name],)
    for models in (mapping.outcomes, mapping.answers):
        yield from (("outcome", (column,)) for column in models.values())
    if "time" in columns and "time" not in must and not mapping.timeless and "time" not in fixed:
        yield "time", (columns["time"],)
    for wanted, others in (
        ("prompt_tokens", ("uncached_tokens", "usage", *TEXTS)), ("output_tokens", ("usage",)),
    ):  # fmt: skip
        fields = [name for name in (wanted, *others) if name in columns and name not in must]
        given = any(name in fixed or name in must for name in (wanted, *others))
        if fields and not given and not (wanted == "output_tokens" and mapping.answers):
            yield ("usage" if fields[0] == "usage" else wanted), tuple(columns[name] for name in fields)


def _names(fields: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, value in fields.items():
        yield f"{before}{name}"
        if isinstance(value, Mapping):
            yield from _names(value, f"{before}{name}.")


def _leaves(fields: Mapping[str, Any], known: set[str], deep: int, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        whole = f"{before}{name}"
        if isinstance(value, Mapping):
            if deep > 1 and whole not in known:
                yield from _leaves(value, known, deep - 1, f"{whole}.")
        else:
            yield whole, value


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return not value or value.replace(".", "", 1).isdigit()
    return value is None or (isinstance(value, int | float | Decimal) and not isinstance(value, bool))


def _may_be_money(name: str) -> bool:
    words = set(_SPLIT.split(_CAMEL.sub("_", name.rpartition(".")[2]).lower()))
    cache = "cache" in words and words & _OF_CACHES
    return bool(words & _MONEY or cache) and not words & _NO_MONEY
