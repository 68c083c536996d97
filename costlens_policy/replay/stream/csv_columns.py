"""CSV in columns: blocks without quotes by Polars, others cell by cell, by the reader that rows are read with."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final

import polars as pl

from costlens_policy.frozen import frozen
from costlens_policy.replay.stream.blocks import TextBlock, blocks_of, is_plain_text, lines_in
from costlens_policy.replay.stream.tables import TYPES, Kind, RawBatch, with_keys
from costlens_policy.replay.traffic.places import partition_of, size_of
from costlens_policy.replay.traffic.reading import FileCheck
from costlens_policy.replay.traffic.sources import (
    NO_VALUE,
    UNREADABLE,
    CsvRecord,
    RawRow,
    beside,
    csv_header,
    csv_records,
    csv_row,
    csv_start,
    garbled_note,
)

__all__ = ["CsvTable"]

_NO_VALUES: Final = sorted(NO_VALUE)
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_UNREADABLE: Final = UNREADABLE.encode()
_NUMBER: Final = r"^-?(0|[1-9][0-9]{0,14})\.[0-9]{1,15}$"
_MOST_DIGITS: Final = 10**15


@frozen
class CsvTable:
    """A CSV file in UTF-8. ``kinds`` are by column; ``start`` is the line of the header's end, counted from 0."""

    name: str
    kinds: Mapping[str, Kind]
    header: Sequence[str]
    separator: str
    start: int
    keys: Mapping[str, str | None]

    @classmethod
    def of(cls, name: str, kinds: Mapping[str, Kind]) -> CsvTable | None:
        """Return a file as a table, or None where it has to be read row by row. Raises ``TrafficError``."""
        if not is_plain_text(name):
            return None
        blocks = blocks_of(name)
        first = next(blocks, None)
        if first is None:
            return None
        counted = _Lines(first, blocks)
        lines, separator, before = csv_start(counted)
        found = next(csv_records(lines, separator, before), None)
        keys = partition_of(name)
        if found is None or found.problem:
            return None
        header = csv_header(name, found.cells)
        if not keys.keys().isdisjoint(header):
            return None  # which of two values counts is decided row by row
        return cls(name, {name: kinds[name] for name in (*header, *keys) if name in kinds}, header, separator,
                   counted.taken, keys)  # fmt: skip

    @property
    def types(self) -> Mapping[str, Any]:
        return {name: pl.String() if name in self.keys else TYPES[kind] for name, kind in self.kinds.items()}

    @property
    def names(self) -> Collection[str]:
        return (*self.header, *self.keys)

    @property
    def size(self) -> int | None:
        return size_of(self.name)

    @property
    def unit(self) -> str:
        return "bytes"

    def batches(self, start: int, check: FileCheck) -> Iterator[RawBatch]:
        """Yield the rows of the file. It cannot be entered in the middle."""
        assert not start, "text is read from its beginning"
        blocks, garbled, seen = self._after_header(), 0, False
        for block in blocks:
            quick = self._quick(block)
            batch, damaged = (quick, 0) if quick is not None else self._careful(block, blocks)
            garbled += damaged
            if not seen and (batch.frame.height or batch.others):
                seen = self._look(batch, check)
            yield batch
        check.end()
        if garbled:
            check.note(garbled_note(self.name, garbled))

    def _look(self, batch: RawBatch, check: FileCheck) -> bool:
        """Look at the first row that can be read; return whether there was one."""
        if not batch.frame.height:
            return False
        check.look(batch.row(0).fields)
        return True

    def _after_header(self) -> Iterator[TextBlock]:
        """Yield the blocks of the file without the lines up to the header."""
        left = self.start
        for block in blocks_of(self.name):
            if left:
                ends = [found.end() for found in islice(_LINE_END.finditer(block.text), left)]
                left -= len(ends)
                rest = b"" if left else block.text[ends[-1] :]
                block = TextBlock(rest, block.line + len(ends), block.ended)
            if block.text:
                yield block

    def _quick(self, block: TextBlock) -> RawBatch | None:
        """Return a block as a batch, if each of its lines is a row of the header's length without quotes."""
        text, width = block.text, len(self.header)
        if b'"' in text or b"\0" in text or (not text.isascii() and _UNREADABLE in text):
            return None
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not text.endswith(b"\n"):
            text += b"\n"
        sign = self.separator.encode()
        lines, empty = text.count(b"\n"), b"\n" + sign * (width - 1) + b"\n"
        if text.count(sign) != lines * (width - 1) or empty in text or text.startswith(empty[1:]):
            return None
        schema = dict.fromkeys(self.header, pl.String)
        try:
            frame = pl.read_csv(text, has_header=False, schema=schema, separator=self.separator, quote_char=None,
                                null_values=_NO_VALUES)  # fmt: skip
        except pl.exceptions.PolarsError:
            return None  # a line is too long
        if frame.height != lines:
            return None
        frame = frame.select(name for name in self.header if name in self.kinds)
        numbers = pl.int_range(block.line, block.line + lines, dtype=pl.Int64, eager=True)
        return self._typed(frame, numbers, _LineRows(self, text, block.line), (), len(block.text))

    def _careful(self, block: TextBlock, blocks: Iterator[TextBlock]) -> tuple[RawBatch, int]:
        """Return a block cell by cell, with the lines of further ones that its last row goes on in.

        The number of rows with characters that were not UTF-8 comes with it.
        """
        lines = _Lines(block, blocks)
        right: list[CsvRecord] = []
        wrong: list[RawRow] = []
        damaged = 0
        for record in csv_records(lines, self.separator, block.line - 1):
            if record.problem or len(record.cells) != len(self.header):
                wrong.append(csv_row(self.name, self.header, record, self.separator))
            else:
                right.append(record)
            if lines.at_end and not record.problem:  # after a problem come the lines that are lost with it
                break
        if lines.garbled:
            damaged = sum(any(UNREADABLE in cell for cell in record.cells) for record in right)
            damaged += sum(UNREADABLE in row.text for row in wrong)
        columns = zip(*(record.cells for record in right), strict=True) if right else [()] * len(self.header)
        frame = pl.DataFrame(
            {
                name: pl.Series(name, [None if cell in NO_VALUE or not cell else cell for cell in cells], pl.String)
                for name, cells in zip(self.header, columns, strict=True)
                if name in self.kinds
            }
        )
        numbers = pl.Series([record.number for record in right], dtype=pl.Int64)
        return self._typed(frame, numbers, lambda place: self._row(right[place]), wrong, lines.size), damaged

    def _row(self, record: CsvRecord) -> RawRow:
        """Return a row with what its path says."""
        row = csv_row(self.name, self.header, record, self.separator)
        if not self.keys or row.problem:
            return row
        return RawRow(row.file, row.number, beside(self.keys, row.fields), row.text)

    def _typed(
        self, frame: pl.DataFrame, numbers: pl.Series, row: Any, others: Sequence[RawRow], size: int
    ) -> RawBatch:
        """Give columns the types that they are asked for; what is not plainly of its type loses its number."""
        odd: list[pl.Expr] = []
        columns: list[pl.Expr] = []
        for name in frame.columns:
            column, kind = pl.col(name), self.kinds[name]
            value = _value(column, kind)
            columns.append(value.alias(name))
            if kind == "whole":
                odd.append(column.is_not_null() & ~(value.cast(pl.String) == column).fill_null(False))
            elif kind not in ("text", "amount", "word"):
                odd.append(column.is_not_null() & value.is_null())
        if odd:
            right = frame.select((~pl.any_horizontal(odd)).alias("right"))["right"]
            numbers = pl.select(pl.when(right).then(numbers)).to_series()
        return RawBatch(with_keys(frame.select(columns), self.keys), numbers, row, others, size)


def _value(text: pl.Expr, kind: Kind) -> pl.Expr:
    if kind == "whole":
        whole = text.cast(pl.Int64, strict=False)
        return pl.when(whole.is_between(0, _MOST_DIGITS, closed="left")).then(whole)
    if kind == "number":
        return pl.when(text.str.contains(_NUMBER)).then(text.cast(pl.Float64, strict=False))
    if kind == "truth":
        return pl.when(text == "true").then(True).when(text == "false").then(False)
    return pl.lit(None, pl.Null) if kind == "nothing" else text


class _LineRows:
    """The rows of lines without quotes, by their place; the lines are taken apart when the first is asked for."""

    __slots__ = ("_first", "_lines", "_table", "_text")

    def __init__(self, table: CsvTable, text: bytes, first: int) -> None:
        self._table = table
        self._text = text
        self._first = first
        self._lines: list[str] = []

    def __call__(self, place: int) -> RawRow:
        self._lines = self._lines or self._text.decode().split("\n")
        table = self._table
        return table._row(CsvRecord(self._first + place, self._lines[place].split(table.separator)))


class _Lines:
    """The lines of a block and, if more are asked for, of those after it. ``taken`` counts them."""

    __slots__ = ("_blocks", "_left", "_lines", "garbled", "size", "taken")

    def __init__(self, block: TextBlock, blocks: Iterator[TextBlock]) -> None:
        self._blocks = blocks
        self._lines: Iterator[str] = iter(())
        self._left = 0
        self.garbled = False
        self.size = 0
        self.taken = 0
        self._enter(block)

    def _enter(self, block: TextBlock) -> None:
        self._lines = chain(self._lines, io.StringIO(block.text.decode(), newline=""))
        self._left += lines_in(block.text) + (not block.ended)
        self.size += len(block.text)
        self.garbled = self.garbled or _UNREADABLE in block.text

    @property
    def at_end(self) -> bool:
        """Whether the lines of all blocks that were entered have been taken."""
        return not self._left

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if not self._left:
            block = next(self._blocks, None)
            if block is None:
                raise StopIteration
            self._enter(block)
        self._left -= 1
        self.taken += 1
        return next(self._lines)
