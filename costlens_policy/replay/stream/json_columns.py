"""JSON lines in columns: lines that look like one read before are taken apart by a pattern, others are decoded.

The lines that a program writes have few shapes: the same keys in the same order, other values. Each shape that a line
shows becomes a pattern of all such lines: its keys and signs are what stands there, and each value is any plain one of
its kind. What matches is right, to the last digit, and has no key twice; what does not is decoded as a line of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import polars as pl

from costlens_policy.frozen import frozen
from costlens_policy.replay.stream.blocks import TextBlock, blocks_of, is_plain_text, lines_in
from costlens_policy.replay.stream.tables import TYPES, Kind, RawBatch, with_keys
from costlens_policy.replay.stream.text_rows import ODD, TAKES
from costlens_policy.replay.traffic.cells import MISSING, walk
from costlens_policy.replay.traffic.json_text import AROUND, BLANK, is_in_lines, objects_in_line
from costlens_policy.replay.traffic.places import partition_of, size_of
from costlens_policy.replay.traffic.reading import FileCheck
from costlens_policy.replay.traffic.sources import UNREADABLE, RawRow, beside, garbled_note, halved_note

__all__ = ["JsonTable"]

_MOST_SHAPES: Final = 12
_MOST_SLOTS: Final = 20
"""With more values on a line, decoding is quicker than a pattern."""
_MOST_TRIES: Final = 60
"""Lines of a file that are examined for a shape."""
_LONGEST: Final = 4_000
"""Bytes of a line that patterns are tried on: decoding is quick with long texts, and limits the digits of numbers."""
_BETWEEN: Final = "\x01"
"""Stands in no line of JSON, so that a table with this separator has one column."""
_TOKEN: Final = re.compile(r'\s+|[{}\[\],:]|"(?:[^"\\]|\\.)*"|[^\s{}\[\],:"]+')
_PLAIN: Final = r"[ !#-\[\]-~]"
"""A character of ASCII that stands for itself in a text."""
_TEXT: Final = f'"({_PLAIN}*)"'
_WHOLE: Final = r"(-?(?:0|[1-9][0-9]{0,14}))"
_NUMBER_AS_TEXT: Final = r"(0|-?[1-9][0-9]{0,17})"
_FRACTION: Final = r"(-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?)"
_AMOUNT: Final = r"((?:0|[1-9][0-9]{0,13})(?:\.[0-9]{1,30})?)"
_NOT_READ: Final = (
    rf'(?:"(?:{_PLAIN}|\\["\\/bfnrt]|\\u(?:[0-9a-cA-Ce-fE-F][0-9a-fA-F]{{3}}|[dD][0-7][0-9a-fA-F]{{2}}))*"'
    r"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9][0-9]?[0-9]?)?|true|false|null)"
)
"""Any value but objects and arrays, as Python's reader takes it."""
_LIST: Final = rf"\[\s*(?:{_NOT_READ}(?:\s*,\s*{_NOT_READ})*\s*)?\]"
_OF_KINDS: Final[Mapping[Kind, str]] = {
    "text": _TEXT, "whole": _WHOLE, "amount": _AMOUNT, "number": _FRACTION, "truth": "(true|false)",
    "word": rf'("{_PLAIN}*"|true|false|0|-?[1-9][0-9]{{0,17}})', "nothing": "null",
}  # fmt: skip


@frozen
class JsonTable:
    """A file of JSON lines in UTF-8. ``kinds`` are by column, which may be a path into objects."""

    name: str
    kinds: Mapping[str, Kind]
    keys: Mapping[str, str | None]

    @classmethod
    def of(cls, name: str, kinds: Mapping[str, Kind]) -> JsonTable | None:
        """Return a file as a table, or None where it has to be read row by row."""
        if not is_plain_text(name):
            return None
        first = next(blocks_of(name), None)
        keys = partition_of(name)
        if first is None or not is_in_lines(iter(first.text.decode().splitlines(keepends=True))):
            return None
        if not keys.keys().isdisjoint(kinds):
            return None  # which of two values counts is decided row by row
        return cls(name, kinds, keys)

    @property
    def types(self) -> Mapping[str, Any]:
        return {name: TYPES[kind] for name, kind in self.kinds.items()} | dict.fromkeys(self.keys, pl.String())

    @property
    def names(self) -> Collection[str]:
        return self.kinds

    @property
    def size(self) -> int | None:
        return size_of(self.name)

    @property
    def unit(self) -> str:
        return "bytes"

    def batches(self, start: int, check: FileCheck) -> Iterator[RawBatch]:
        """Yield the rows of the file. It cannot be entered in the middle."""
        assert not start, "text is read from its beginning"
        reading = _Reading(self, check)
        for block in blocks_of(self.name):
            yield reading.batch(block)
        check.end()
        if reading.halved:
            check.note(halved_note(self.name, reading.halved))
        if reading.garbled:
            check.note(garbled_note(self.name, reading.garbled))


_Odd = tuple[RawRow, bool]
"""A row that was decoded, and whether it had half characters."""


@dataclass(slots=True)
class _Reading:
    """One pass over a file, with the shapes that were met."""

    table: JsonTable
    check: FileCheck
    halved: int = 0
    garbled: int = 0
    _shapes: list[_Shape] = field(default_factory=list)
    _tries: int = 0
    _in_lines: bool = True
    """Whether each line so far had one object at most, so that the numbers of rows are those of lines."""
    _last: int = 0
    """The number of the row before, where they are not."""

    def batch(self, block: TextBlock) -> RawBatch:
        """Return the rows of a block."""
        texts = _lines_in(block.text)
        numbers = pl.int_range(block.line, block.line + len(texts), dtype=pl.Int64, eager=True)
        lines = pl.DataFrame([numbers.alias("_number"), texts.alias("_line")]).drop_nulls()
        found = self._by_shapes(lines, block) if self._in_lines else None
        frames, odd = found if found is not None else ([], list(self._one_by_one(lines, block)))
        for row, halved in odd:
            self.halved += halved
            self.garbled += UNREADABLE in row.text
        decoded, others = self._as_columns([row for row, _ in odd])
        frame = pl.concat([decoded, *frames]).sort("_number")
        own, known = frame["_number"], {row.number: row for row, _ in odd}

        def row_at(place: int) -> RawRow:
            number = own[place]
            return known.get(number) or next(self._decoded(number, texts[number - block.line], True))[0]

        columns = with_keys(frame.drop("_number"), self.table.keys)
        return RawBatch(columns, own, row_at, others, len(block.text))

    def _as_columns(self, rows: Sequence[RawRow]) -> tuple[pl.DataFrame, list[RawRow]]:
        """Return decoded rows as columns, and those that have a problem, or a value of another kind than is asked."""
        kinds, fit, others = self.table.kinds, list[tuple[Any, ...]](), list[RawRow]()
        takes = [(name, TAKES[kind], "." in name) for name, kind in kinds.items()]
        for row in rows:
            fields = row.fields
            values = [
                take(None if (item := walk(fields, name) if deep else fields.get(name)) is MISSING else item)
                for name, take, deep in takes
            ]
            if row.problem or ODD in values:
                others.append(row)
            else:
                fit.append((row.number, *values))
        schema = {"_number": pl.Int64, **{name: TYPES[kind] for name, kind in kinds.items()}}
        return pl.DataFrame(fit, schema=schema, orient="row"), others

    def _by_shapes(self, lines: pl.DataFrame, block: TextBlock) -> tuple[list[pl.DataFrame], list[_Odd]] | None:
        """Return the lines of known shapes and of new ones in columns, and the others decoded.

        None where a line has several objects.
        """
        frames, odd, garbled = list[pl.DataFrame](), list[_Odd](), lines.clear()
        if UNREADABLE.encode() in block.text:
            damaged = lines["_line"].str.contains(UNREADABLE, literal=True)
            garbled, lines = lines.filter(damaged), lines.filter(~damaged)
        short = lines["_line"].str.len_bytes() <= _LONGEST
        long, lines = lines.filter(~short), lines.filter(short)
        for shape in self._shapes:
            lines = self._take(shape, lines, frames)
        while lines.height:
            lines = self._until_new_shape(lines, block, frames, odd)
        self._until_new_shape(pl.concat([garbled, long]).sort("_number"), block, frames, odd)
        odd.sort(key=lambda item: item[0].number)
        return (frames, odd) if self._in_lines else None

    def _until_new_shape(
        self, lines: pl.DataFrame, block: TextBlock, frames: list[pl.DataFrame], odd: list[_Odd]
    ) -> pl.DataFrame:
        """Decode lines up to one with a new shape; return those after it that do not have this shape."""
        for place, (number, text) in enumerate(lines.iter_rows()):
            found = list(self._decoded(number, text, _ended(number, block)))
            if len(found) > 1:
                self._in_lines = False
                break
            shape = self._look(text, found)
            if shape is not None:
                self._shapes.append(shape)
                return self._take(shape, lines[place:], frames)
            odd += found
        return lines.clear()

    def _one_by_one(self, lines: pl.DataFrame, block: TextBlock) -> Iterator[_Odd]:
        """Decode all lines; of several rows on one line, each has a number of its own."""
        for number, text in lines.iter_rows():
            for row, halved in self._decoded(number, text, _ended(number, block)):
                self._last = max(self._last + 1, number)
                if not row.problem:
                    self.check.look(row.fields)
                yield replace(row, number=self._last), halved
        self._in_lines = False

    def _decoded(self, number: int, text: str, ended: bool) -> Iterator[_Odd]:
        bare = text.strip(BLANK)
        for item in objects_in_line(number, bare, ended) if bare else ():
            if item.empty:
                continue
            fields = item.fields if item.problem or not self.table.keys else beside(self.table.keys, item.fields)
            yield RawRow(self.table.name, number, fields, item.text, item.problem), item.halved

    def _look(self, text: str, found: Sequence[_Odd]) -> _Shape | None:
        """Look at a row that was decoded; return its shape, where it has one that can be known again."""
        for row, halved in found:
            if not row.problem:
                self.check.look(row.fields)
                return None if halved else self._shape(text)
        return None

    def _shape(self, text: str) -> _Shape | None:
        """Return the shape of a line, if it is one that other lines may have, and the line itself has."""
        if len(self._shapes) >= _MOST_SHAPES or self._tries >= _MOST_TRIES or not text.isascii():
            return None
        self._tries += 1
        shape = _shape_of(text, self.table.kinds)
        return shape if shape is not None and shape.fits(text) else None

    def _take(self, shape: _Shape, lines: pl.DataFrame, frames: list[pl.DataFrame]) -> pl.DataFrame:
        """Add the lines of a shape as columns; return the others."""
        if not lines.height:
            return lines
        groups = lines["_line"].str.extract_groups(shape.pattern).struct.unnest()
        hits = groups[str(shape.groups)].is_not_null()
        if not hits.any():
            return lines
        kinds = self.table.kinds
        values = (
            pl.lit(None, TYPES[kind]).alias(name)
            if name not in shape.places
            else _value(pl.col(str(shape.places[name])), kind).alias(name)
            for name, kind in kinds.items()
        )
        frame = groups.with_columns(lines["_number"]).filter(hits).select("_number", *values)
        frames.append(frame)
        return lines.filter(~hits)


def _ended(number: int, block: TextBlock) -> bool:
    """Return whether a line of a block has its end."""
    return block.ended or number < block.line + lines_in(block.text)


def _lines_in(text: bytes) -> pl.Series:
    """Return the lines of a text; empty ones are null."""
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    count = text.count(b"\n") + (not text.endswith(b"\n"))
    if _BETWEEN.encode() not in text:
        schema = {"_line": pl.String}
        found = pl.read_csv(text, has_header=False, schema=schema, separator=_BETWEEN, quote_char=None)["_line"]
        if len(found) == count:
            return found
    return pl.Series("_line", [line or None for line in text.decode().split("\n")[:count]], pl.String)


def _value(text: pl.Expr, kind: Kind) -> pl.Expr:
    if kind == "truth":
        return text == "true"
    if kind == "word":
        return text.str.strip_chars('"')
    return text if kind in ("text", "amount") else text.cast(TYPES[kind])


@frozen
class _Shape:
    """A pattern of lines: the last of its ``groups`` is there where it matches; ``places`` are groups by column."""

    pattern: str
    groups: int
    places: Mapping[str, int]

    def fits(self, text: str) -> bool:
        """Return whether a line has the shape; a pattern may be too large to be used."""
        try:
            return bool(pl.Series([text]).str.contains(self.pattern)[0])
        except pl.exceptions.PolarsError:
            return False


@frozen
class _Slot:
    """A value of a line, by its place among them; ``text`` is what stands there."""

    place: int
    text: str


class _UnlikeError(Exception):
    """A line is like no other, since it has lists of objects."""


def _shape_of(line: str, kinds: Mapping[str, Kind]) -> _Shape | None:
    """Return the shape of a line that was decoded; None where it has none, or columns are not plain values."""
    if len(line) > _LONGEST or line[:1] != "{":
        return None
    scan = _Scan(_TOKEN.findall(line))
    try:
        tree = scan.value("")
    except _UnlikeError:
        return None
    if scan.rest() or len(scan.slots) > _MOST_SLOTS or not isinstance(tree, dict):
        return None
    if any("|" in name for name in tree):
        return None  # it may be what a mapping asks for as a whole
    asked: dict[int, list[str]] = {}
    for column in kinds:
        slot = _found(tree, column)
        if slot is MISSING:
            continue
        if not isinstance(slot, _Slot) or slot.text[0] == "[" or (kinds[column] == "nothing" and slot.text != "null"):
            return None
        asked.setdefault(slot.place, []).append(column)
    return _compiled(scan.parts, asked, kinds)


def _found(tree: dict[str, Any], column: str) -> Any:
    """Return the value of a column as ``cells.cell`` finds it: a slot, an object, or ``MISSING``.

    A text on the way may be JSON in other lines, so that nothing is known of what it has.
    """
    found = walk(tree, column)
    if found is MISSING and "." in column:
        names = column.split(".")
        for count in range(1, len(names)):
            if isinstance(walk(tree, ".".join(names[:count])), _Slot):
                return None
    return found


def _compiled(
    parts: Sequence[str | _Slot], asked: Mapping[int, Sequence[str]], kinds: Mapping[str, Kind]
) -> _Shape | None:
    pattern, places, groups = ["^"], dict[str, int](), 0
    for part in parts:
        if isinstance(part, str):
            pattern.append(part)
        elif part.place not in asked:
            pattern.append(_LIST if part.text[0] == "[" else _NOT_READ)
        else:
            columns = asked[part.place]
            kind = kinds[columns[0]]
            if any(kinds[column] != kind for column in columns):
                return None
            if kind == "nothing":
                pattern.append("null")
                continue
            groups += 1
            places |= dict.fromkeys(columns, groups)
            of_kind = _NUMBER_AS_TEXT if kind == "text" and part.text[0] in "-0123456789" else _OF_KINDS[kind]
            empty = "null" if of_kind == _TEXT else 'null|""'
            pattern.append(f"(?:{of_kind}|{empty})")
    return _Shape("".join([*pattern[:-1], f"({pattern[-1]})$"]), groups + 1, places)


class _Scan:
    """Takes a line of JSON apart: ``parts`` are its keys and signs as patterns, and its values as slots."""

    __slots__ = ("_at", "_tokens", "parts", "slots")

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self.parts: list[str | _Slot] = []
        self.slots: list[_Slot] = []

    def rest(self) -> str:
        """Return what is left behind the value."""
        return "".join(self._tokens[self._at :])

    def value(self, key: str) -> Any:
        """Take the next value: return a slot, or an object with the slots of its values."""
        self._blank()
        token = self._tokens[self._at]
        if token == "{":
            return self._object()
        if token == "[":
            if key in AROUND:
                raise _UnlikeError  # rows may be in it
            token = self._list()
        else:
            self._at += 1
        slot = _Slot(len(self.slots), token)
        self.slots.append(slot)
        self.parts.append(slot)
        return slot

    def _list(self) -> str:
        start = self._at
        while self._tokens[self._at] != "]":
            self._at += 1
            if self._tokens[self._at] in "{[":
                raise _UnlikeError
        self._at += 1
        return "".join(self._tokens[start : self._at])

    def _object(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self._sign()
        self._blank()
        while self._tokens[self._at] != "}":
            key = str(json.loads(self._tokens[self._at], strict=False))
            self._sign()
            self._blank()
            self._sign()
            found[key] = self.value(key)
            self._blank()
            if self._tokens[self._at] == ",":
                self._sign()
                self._blank()
        self._sign()
        return found

    def _blank(self) -> None:
        if self._tokens[self._at].isspace():
            self._sign()

    def _sign(self) -> None:
        self.parts.append(re.escape(self._tokens[self._at]))
        self._at += 1
