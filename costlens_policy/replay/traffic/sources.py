"""Files of traffic as raw rows: CSV, JSON lines, Parquet, plain or compressed, from paths, folders, globs or stdin."""

from __future__ import annotations

import csv
import glob
import gzip
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO, TypeAlias, cast

from costlens_policy.replay.traffic.errors import TrafficError

__all__ = ["STDIN", "RawRow", "find_files", "read_file"]

Lines: TypeAlias = TextIO | Iterator[str]
STDIN: Final = "-"
_KINDS: Final = {".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet"}
_PACKED: Final = (".gz", ".zst")
_BATCH: Final = 10_000
_LONGEST_FIELD: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row of a file.

    ``number`` is its line, or its place from 1 on where there are no lines. ``fields`` is empty where there is a
    ``problem``; ``text`` is the row as it stood there, empty where files hold no text.
    """

    file: str
    number: int
    fields: Mapping[str, Any]
    text: str = ""
    problem: str = ""


def find_files(patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the files that paths, folders and globs name, each once, in order.

    Raises ``TrafficError`` for what names nothing.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        names = _named(pattern)
        if not names:
            raise TrafficError(f"no traffic in `{pattern}`; name files of {', '.join(_KINDS)} (or with .gz, .zst)")
        found.update(dict.fromkeys(names))
    return tuple(found)


def _named(pattern: str) -> list[str]:
    if pattern == STDIN:
        return [STDIN]
    path = Path(pattern)
    if path.is_dir():
        return sorted(str(item) for item in path.rglob("*") if item.is_file() and _kind(item.name))
    if path.exists():
        return [pattern]
    return sorted(name for name in glob.glob(pattern, recursive=True) if Path(name).is_file())


def _kind(name: str) -> str:
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return _KINDS.get(suffixes[-1], "") if suffixes else ""


def read_file(name: str) -> Iterator[RawRow]:
    """Yield the rows of one file; standard input is CSV or JSON lines, told by its first character.

    Raises ``TrafficError`` where the file as a whole cannot be read.
    """
    if name != STDIN and _kind(name) == "parquet":
        yield from _parquet(name)
        return
    try:
        with _text(name) as stream:
            kind = _kind(name) if name != STDIN else ""
            yield from (_csv if kind == "csv" or (not kind and not _looks_like_json(stream)) else _json)(name, stream)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TrafficError(f"`{name}` cannot be read: {reason.lower()}") from error


def _text(name: str) -> AbstractContextManager[Lines]:
    if name == STDIN:
        if sys.stdin is None:
            raise TrafficError("standard input is closed; name a file instead of `-`")
        stream: BinaryIO = io.BufferedReader(cast(io.RawIOBase, sys.stdin.buffer))
    elif name.lower().endswith(".gz"):
        stream = cast(BinaryIO, gzip.open(name, "rb"))  # noqa: SIM115 - as below
    elif name.lower().endswith(".zst"):
        return nullcontext(_unpacked(name))
    else:
        stream = open(name, "rb")  # noqa: SIM115 - the caller closes the text stream around it
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")


def _unpacked(name: str) -> Iterator[str]:
    """Yield the lines of a file that is packed with zstd. Raises ``OSError`` where the archive is damaged."""
    polars = _polars("zstd-compressed files")
    for frame in polars.scan_lines(name, glob=False).collect_batches(chunk_size=_BATCH, maintain_order=True):
        yield from (f"{line}\n" for line in frame.to_series())


def _looks_like_json(stream: Lines) -> bool:
    if not isinstance(stream, io.TextIOWrapper):
        return False
    buffer = stream.buffer
    peek = getattr(buffer, "peek", None)
    return bool(peek is not None and peek(16).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{")


def _csv(name: str, stream: Lines) -> Iterator[RawRow]:
    """Yield rows by their header. A row of another length than the header has is a problem, never shifted."""
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(stream, strict=True)
    header: list[str] | None = None
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield RawRow(name, number, {}, problem=f"not readable as CSV: {error}")
            continue
        if not cells:
            continue
        if header is None:
            header = _header(name, cells)
        elif len(cells) != len(header):
            yield RawRow(name, number, {}, ",".join(cells), f"{len(cells)} columns where the header has {len(header)}")
        else:
            yield RawRow(name, number, dict(zip(header, cells, strict=True)), ",".join(cells))


def _header(name: str, cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = sorted({cell for cell in names if names.count(cell) > 1})
    if twice:
        raise TrafficError(f"`{name}` has two columns `{twice[0]}`; rename one of them")
    return names


def _json(name: str, stream: Lines) -> Iterator[RawRow]:
    for number, line in enumerate(stream, 1):
        text = line.strip()
        if not text:
            continue
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            cut = "" if line.endswith("\n") else "; the file ends in the middle of the line"
            yield RawRow(name, number, {}, text, f"not readable as JSON: {str(error).lower()}{cut}")
            continue
        if isinstance(fields, dict):
            yield RawRow(name, number, fields, text)
        else:
            yield RawRow(name, number, {}, text, "a row is an object, and this is none")


def _parquet(name: str) -> Iterator[RawRow]:
    polars = _polars("Parquet")
    number = 0
    try:
        for frame in polars.scan_parquet(name, glob=False).collect_batches(chunk_size=_BATCH, maintain_order=True):
            rows: Iterable[dict[str, Any]] = frame.iter_rows(named=True)
            for fields in rows:
                number += 1
                yield RawRow(name, number, fields)
    except polars.exceptions.PolarsError as error:
        raise TrafficError(f"`{name}` cannot be read as Parquet: {' '.join(str(error).split())[:200]}") from error


def _polars(what: str) -> Any:
    try:
        return import_module("polars")
    except ImportError:
        raise TrafficError(f"reading {what} needs Polars; install `costlens-policy[replay]`") from None
