"""Files of traffic as raw rows: CSV, JSON and Parquet, plain or compressed, in whatever way they were written."""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from importlib import import_module
from itertools import chain
from typing import Any, Final, NamedTuple, TextIO, TypeAlias, cast

from costlens_policy.frozen import frozen
from costlens_policy.replay.traffic.copies import local
from costlens_policy.replay.traffic.json_text import json_objects
from costlens_policy.replay.traffic.places import STDIN, kind_of, partition_of
from costlens_policy.replay.traffic.row import TrafficError

__all__ = [
    "NO_VALUE", "UNREADABLE", "CsvRecord", "Lines", "RawRow", "beside", "csv_header", "csv_records", "csv_row",
    "csv_start", "garbled_note", "halved_note", "open_text", "read_file", "separator_of",
]  # fmt: skip

Lines: TypeAlias = TextIO | Iterator[str]
_BATCH: Final = 10_000
_LONGEST_FIELD: Final = 64 * 1024 * 1024
_PEEK: Final = 4096
_COMPRESSED: Final[Mapping[bytes, str]] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_OTHERS: Final[Mapping[bytes, str]] = {
    b"PK\x03\x04": "an Excel or ZIP file", b"\xd0\xcf\x11\xe0": "an Excel file", b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file", b"ARROW1": "an Arrow file", b"SQLite format 3": "an SQLite database",
    b"BZh": "compressed with bzip2", b"\xfd7zXZ": "compressed with xz", b"%PDF": "a PDF file",
}  # fmt: skip
"""What files begin with that are not read here."""
_MARKS: Final = (
    (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"),
)  # fmt: skip
_SEPARATORS: Final = (",", ";", "\t")
NO_VALUE: Final = frozenset({"NULL", "null", "\\N", "None", "NaT", "<NA>", "#N/A"})
"""What databases and data frames write into CSV where there is nothing."""
UNREADABLE: Final = "\ufffd"


@frozen
class RawRow:
    """One row of a file.

    ``number`` is its line, or its place from 1 on where there are no lines; no two rows of a file have the same.
    ``fields`` is empty where there is a ``problem``; ``text`` is the row as it stood there, empty where files hold no
    text.
    """

    file: str
    number: int
    fields: Mapping[str, Any]
    text: str = ""
    problem: str = ""
    empty: bool = False


def read_file(
    name: str, note: Callable[[str], None] = lambda text: None, *, empty_periods: bool = False
) -> Iterator[RawRow]:
    """Yield the rows of one file, whose format is recognized by its name or its first bytes.

    Folders of the path such as `team=search` give columns; those of the file itself take precedence. ``note`` receives
    notes on the file. With ``empty_periods``, the period of sums of which there are none is a row that is ``empty``.
    Raises ``TrafficError`` if the file as a whole cannot be read.
    """
    keys = partition_of(name)
    rows = (row for row in _rows(name, note) if empty_periods or not row.empty)
    if keys:
        rows = (row if row.problem else replace(row, fields=beside(keys, row.fields)) for row in rows)
    try:
        yield from rows
    except (OSError, EOFError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TrafficError(f"`{name}` cannot be read: {reason.lower()}") from error


@contextmanager
def open_text(name: str) -> Iterator[tuple[Lines, str]]:
    """Give the text of a file, decompressed and decoded, and how it begins, to who reads the whole of it.

    Raises ``TrafficError`` for formats that are not text, and what reading files raises.
    """
    with _opened(name) as stream, _text(name, stream, stream.peek(_PEEK)[:_PEEK]) as found:
        yield found


def beside(keys: Mapping[str, str | None], fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**keys, **{name: value for name, value in fields.items() if name not in keys or value not in (None, "")}}


def _rows(name: str, note: Callable[[str], None]) -> Iterator[RawRow]:
    kind = kind_of(name) if name != STDIN else ""
    stream = _opened(name)
    with stream:
        head = stream.peek(_PEEK)[:_PEEK]
        if kind == "parquet" or head.startswith(b"PAR1"):
            yield from _parquet(name)
            return
        with _text(name, stream, head) as (lines, start):
            if not kind:
                kind = "json" if start.lstrip("\ufeff \t\r\n\x1e")[:1] in ("{", "[") else "csv"
            garbled = 0
            for row in (_csv if kind == "csv" else _json)(name, lines, note):
                garbled += UNREADABLE in row.text
                yield row
        if garbled:
            note(garbled_note(name, garbled))


def garbled_note(name: str, rows: int) -> str:
    """Return the note on rows whose bytes are not text."""
    return f"{rows} rows of `{name}` have characters that are not UTF-8, and were read as `{UNREADABLE}`"


def halved_note(name: str, rows: int) -> str:
    """Return the note on rows with half characters."""
    return f"{rows} rows of `{name}` have unpaired surrogates, which were read as `{UNREADABLE}`"


def _opened(name: str) -> io.BufferedReader:
    if name != STDIN:
        return open(local(name), "rb")
    if sys.stdin is None:
        raise TrafficError("standard input is closed; pass a file instead of `-`")
    return io.BufferedReader(cast(io.RawIOBase, sys.stdin.buffer))


def _text(name: str, stream: io.BufferedReader, head: bytes) -> AbstractContextManager[tuple[Lines, str]]:
    """Return the text of a file, decompressed, and how it begins."""
    compression = next((kind for mark, kind in _COMPRESSED.items() if head.startswith(mark)), "")
    if compression == "zstd":
        if name == STDIN:
            raise TrafficError(
                "standard input is compressed with zstd; decompress it first, for example with `zstd -dc`"
            )
        lines = _decompressed(name)
        first = next(lines, "")
        return nullcontext((chain((first,), lines), first))
    if compression == "gzip":
        stream = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=stream)))
        head = stream.peek(_PEEK)[:_PEEK]
    elif local(name).lower().endswith((".gz", ".zst")) and head:
        raise TrafficError(f"`{name}` cannot be read: it is not compressed as its name suggests")
    for mark, what in _OTHERS.items():
        if head.startswith(mark):
            raise TrafficError(f"`{name}` is {what}; convert it to CSV, JSON lines or Parquet")
    encoding = _encoding(head)
    text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")
    return nullcontext((text, head.decode(encoding, "replace")))


def _encoding(head: bytes) -> str:
    """Return the encoding by the first bytes: a byte order mark, or the zeros in ASCII characters."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if len(head) > 1 and (head[0] == 0) != (head[1] == 0):
        return "utf-16-be" if head[0] == 0 else "utf-16-le"
    return "utf-8"


def _decompressed(name: str) -> Iterator[str]:
    """Yield the lines of a file that is compressed with zstd. Raises ``OSError`` where the archive is damaged."""
    polars = _polars("zstd-compressed files")
    for frame in polars.scan_lines(local(name), glob=False).collect_batches(chunk_size=_BATCH, maintain_order=True):
        yield from (f"{line}\n" for line in frame.to_series())


def _csv(name: str, stream: Lines, note: Callable[[str], None]) -> Iterator[RawRow]:
    """Yield rows by their header. A row of another length than the header has is a problem, never shifted."""
    lines, separator, before = csv_start(stream)
    header: list[str] | None = None
    for record in csv_records(lines, separator, before):
        if header is None and not record.problem:
            header = csv_header(name, record.cells)
        else:
            yield csv_row(name, header or [], record, separator)


def csv_start(stream: Lines) -> tuple[Iterator[str], str, int]:
    """Return the lines of a CSV file from its header on, the separator, and how many lines are before the header."""
    lines = iter(stream)
    first = next(lines, "").removeprefix("\ufeff")
    if first.lower().startswith("sep="):  # Excel's way to name the separator
        return lines, first[4:5], 1
    return chain((first,), lines), separator_of(first), 0


class CsvRecord(NamedTuple):
    """The cells of a row that begins at a line, or what is wrong there."""

    number: int
    cells: list[str]
    problem: str = ""


def csv_records(lines: Iterator[str], separator: str, before: int) -> Iterator[CsvRecord]:
    """Yield the rows of lines that are not empty; ``before`` lines come before the first.

    Where a row cannot be read, so is each line that went into it: a quote that is never closed takes all that follow.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(lines, strict=True, delimiter=separator)
    while True:
        number = before + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield CsvRecord(number, [], f"not readable as CSV: {error}")
            for lost in range(number + 1, before + reader.line_num + 1):
                yield CsvRecord(lost, [], f"lost with line {number}, where a quote begins that does not end")
            continue
        if any(cells):
            yield CsvRecord(number, cells)


def csv_row(name: str, header: Sequence[str], record: CsvRecord, separator: str) -> RawRow:
    """Return a row by its header."""
    number, cells, problem = record
    if problem:
        return RawRow(name, number, {}, problem=problem)
    text, has = separator.join(cells), len(header)
    if len(cells) != has:
        return RawRow(name, number, {}, text, f"{len(cells)} columns where the header has {has}")
    if not NO_VALUE.isdisjoint(cells):
        cells = ["" if cell in NO_VALUE else cell for cell in cells]
    return RawRow(name, number, dict(zip(header, cells, strict=True)), text)


def separator_of(header: str) -> str:
    """Return the most frequent separator of a header, outside quotes."""
    plain = "".join(header.split('"')[::2])
    return max(_SEPARATORS, key=plain.count)


def csv_header(name: str, cells: list[str]) -> list[str]:
    names = [cell.strip() or f"column {place}" for place, cell in enumerate(cells, 1)]
    twice = sorted({cell for cell in names if names.count(cell) > 1})
    if twice:
        raise TrafficError(f"`{name}` has two columns `{twice[0]}`; rename one of them")
    return names


def _json(name: str, stream: Lines, note: Callable[[str], None]) -> Iterator[RawRow]:
    last = halved = 0
    for found in json_objects(name, stream, note):
        if found.empty:
            yield RawRow(name, found.line or last + 1, found.fields, found.text, empty=True)
            continue
        last = max(last + 1, found.line or 0)
        halved += found.halved
        yield RawRow(name, last, found.fields, found.text, found.problem)
    if halved:
        note(halved_note(name, halved))


def _parquet(name: str) -> Iterator[RawRow]:
    polars = _polars("Parquet")
    number = 0
    try:
        for frame in polars.scan_parquet(local(name), glob=False).collect_batches(
            chunk_size=_BATCH, maintain_order=True
        ):
            rows: Iterable[dict[str, Any]] = _texts(frame).iter_rows(named=True)
            for fields in rows:
                number += 1
                yield RawRow(name, number, fields)
    except polars.exceptions.PolarsError as error:
        raise TrafficError(f"`{name}` cannot be read as Parquet: {' '.join(str(error).split())[:200]}") from error


def _texts(frame: Any) -> Any:
    """Return a table with bytes read as texts, as older writers of Parquet store them."""
    binary = [name for name, kind in frame.schema.items() if str(kind) == "Binary"]
    if not binary:
        return frame
    return frame.with_columns(
        frame[name].map_elements(
            lambda item: item.decode("utf-8", "replace"), return_dtype=import_module("polars").String
        )
        for name in binary
    )


def _polars(what: str) -> Any:
    try:
        return import_module("polars")
    except ImportError:
        raise TrafficError(f"reading {what} needs Polars; install `costlens-policy[replay]`") from None
