"""Reading outcomes: files recognized by what they contain, their rows joined, and prompts that are to be left out."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from glob import has_magic
from itertools import islice
from pathlib import Path
from typing import Any, Final

from costlens_policy.catalogue import Catalogue
from costlens_policy.diagnostics.suggestion import did_you_mean
from costlens_policy.fit.outcomes.cases import Outcomes, OutcomesError, Source, UnscoredError, group_of
from costlens_policy.fit.outcomes.formats import FORMATS, PREFERENCES, Opened
from costlens_policy.fit.outcomes.formats.tables import TABLE
from costlens_policy.fit.outcomes.joining import Joining
from costlens_policy.fit.outcomes.mapping import OutcomeSettings
from costlens_policy.fit.outcomes.rows import Models, RowReader, prompt_text
from costlens_policy.replay.traffic.copies import local
from costlens_policy.replay.traffic.places import kind_of, look_for, rereadable
from costlens_policy.replay.traffic.row import TrafficError
from costlens_policy.replay.traffic.sources import Lines, RawRow, open_text, read_file, separator_of

__all__ = ["outcomes_of", "prompts_in", "read_outcomes"]

_ARCHIVE: Final = b"PK\x03\x04"
_ARCHIVES: Final = ".eval"
_UNREADABLE: Final = (OSError, EOFError, UnicodeError, zipfile.BadZipFile, zlib.error, NotImplementedError)
"""What files raise that are damaged, or compressed in a way that nothing here knows."""
_FIRST: Final = 1 << 22
"""Characters in which the first element of an array has to end, so that the array is recognized."""
_PROMPT_COLUMNS: Final = ("prompt", "question", "input", "text")


def read_outcomes(
    files: Sequence[str], settings: OutcomeSettings | None = None, catalogue: Catalogue | None = None
) -> Outcomes:
    """Read files, folders and globs of outcomes, and join them by the ids of cases, or by their prompts.

    Models get the names of the catalogue; without one, names stay as they are. Raises ``OutcomesError`` for files that
    cannot be read or recognized, scores outside the scale, contradictions, and where no score is left.
    """
    return _joined(settings, catalogue, lambda joining, models: _read_all(_found(files, joining), joining, models))


def outcomes_of(
    rows: Sequence[RawRow], name: str, settings: OutcomeSettings | None = None, catalogue: Catalogue | None = None
) -> Outcomes:
    """Join the rows of a table that is no file, as ``read_outcomes`` joins those of a file with the name."""

    def read(joining: Joining, models: Models) -> list[Source]:
        reader = RowReader(name, joining, models, TABLE)
        for row in rows:
            reader.take(row)
        reader.finish()
        return _checked([(Source(name, TABLE.name, ""), reader)], joining)

    return _joined(settings, catalogue, read)


def _joined(
    settings: OutcomeSettings | None, catalogue: Catalogue | None, read: Callable[[Joining, Models], list[Source]]
) -> Outcomes:
    settings = OutcomeSettings() if settings is None else settings
    joining, models = Joining(settings), Models(catalogue, settings.models)
    with _as_outcomes():
        sources = read(joining, models)
        for name in models.unused():
            joining.remarks.add("names of models that are in no file", f"`{name}`")
        if len(kinds := {source.format == PREFERENCES.name for source in sources}) > 1:
            raise OutcomesError("win shares and scores are not comparable; read preferences on their own")
        left_out = prompts_in(_found(settings.drop, joining)) if settings.drop else frozenset()
        return joining.outcomes(tuple(sources), left_out.__contains__, kinds == {True})


@contextmanager
def _as_outcomes() -> Iterator[None]:
    """Report what keeps files from being read."""
    try:
        yield
    except TrafficError as error:
        raise OutcomesError(str(error)) from error


def _found(patterns: Sequence[str], joining: Joining) -> tuple[str, ...]:
    """Return the files, those of archives in folders among them, and note what is not read."""
    names: dict[str, None] = {}
    for pattern in patterns:
        folder = Path(pattern)
        logs = sorted(str(path) for path in folder.rglob(f"*{_ARCHIVES}")) if folder.is_dir() else []
        try:
            found = look_for([pattern])
        except TrafficError as error:
            if not logs:
                raise OutcomesError(_absent(pattern, str(error))) from None
        else:
            names.update(dict.fromkeys(found.files))
            for skipped in found.skipped:
                if skipped not in logs:
                    joining.remarks.add("files that are not read", skipped)
        names.update(dict.fromkeys(logs))
    return tuple(names)


def _absent(pattern: str, problem: str) -> str:
    """Return why a pattern has no files: it may be a path to nothing."""
    if has_magic(pattern) or os.path.lexists(pattern):
        return problem.replace("no traffic in", "no outcomes in", 1)
    folder = Path(pattern).parent
    others = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    hint = did_you_mean(Path(pattern).name, others) or "check the path"
    return f"there is no file `{pattern}`; {hint}"


def _read_all(names: Sequence[str], joining: Joining, models: Models) -> list[Source]:
    """Read files one after the other."""
    return _checked([_read(name, joining, models) for name in names], joining)


def _checked(read: Sequence[tuple[Source, RowReader]], joining: Joining) -> list[Source]:
    """Join what lies in several files. A column that was asked for has to be in one of them."""
    sources, readers = [source for source, _ in read], [reader for _, reader in read]
    _check_columns([reader for reader in readers if reader.has_rows], joining)
    _rate(readers, joining)
    if not joining.scored and (unscored := [reader.unscored for reader in readers if reader.unscored]):
        raise UnscoredError(unscored[0])
    return sources


def _rate(readers: Sequence[RowReader], joining: Joining) -> None:
    """Give the scores of calls to the calls, which are in other files."""
    callers: dict[str, RowReader] = {}
    for reader in readers:
        for id, (_, place) in reader.calls.items():
            if callers.setdefault(id, reader) is not reader:
                joining.dropped.add("calls with the id of an earlier one", place)
    rated = set()
    for id, score, place in (rating for reader in readers for rating in reader.ratings):
        if id in callers:
            callers[id].rate(id, score, place)
            rated.add(id)
        else:
            joining.unjoined.add("scores of calls that no file has", place)
    for id, caller in callers.items():
        if id not in rated:
            caller.describe(id)


def _check_columns(readers: Sequence[RowReader], joining: Joining) -> None:
    missing = [reader.missing() for reader in readers]
    for name, problem in missing[0].items() if missing else ():
        if all(name in others for others in missing):
            raise (UnscoredError if all(reader.unscored for reader in readers) else OutcomesError)(problem)
    for reader, names in zip(readers, missing, strict=True):
        for name in () if reader.unscored else names:
            joining.remarks.add(f"files without the column that `{name}` is mapped to", reader.file)


def _read(name: str, joining: Joining, models: Models) -> tuple[Source, RowReader]:
    before = joining.rows
    try:
        opened = _opened(name)
        form = next(item for item in FORMATS if item.fits(opened))
        reader = RowReader(name, joining, models, form)
        for raw in form.rows(opened, joining):
            reader.take(raw)
        reader.finish()
        if joining.rows == before and form.columns:
            joining.remarks.add("files without rows", name)
        return Source(name, form.name, _digest(name)), reader
    except _UNREADABLE as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutcomesError(f"`{name}` cannot be read: {reason.lower()}") from error


def _digest(name: str) -> str:
    if not rereadable(name):
        return ""
    with open(local(name), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _opened(name: str) -> Opened:
    """Return what a file begins with. What can be read only once is a table."""
    if not rereadable(name):
        return Opened(name)
    if kind_of(name) == "parquet":
        first = next(read_file(name), None)
        return Opened(name, {} if first is None else first.fields)
    with open(local(name), "rb") as stream:
        if stream.read(4) == _ARCHIVE:
            with zipfile.ZipFile(local(name)) as archive:
                opened = Opened(name, members=frozenset(archive.namelist()))
            if not any(item.fits(opened) for item in FORMATS[:1]):
                raise OutcomesError(f"`{name}` is a ZIP archive and no log of Inspect; unpack it, or export it as CSV")
            return opened
    with open_text(name) as (lines, start):
        begins = start.lstrip("\ufeff \t\r\n\x1e")[:1]
        if begins == "{":
            return _of_object(name, lines)
        return _of_array(name, lines) if begins == "[" else _of_table(name, lines)


def _of_object(name: str, lines: Lines) -> Opened:
    """Return the first object, and the whole document where it is the only one."""
    first = ""
    for line in lines:
        first = line.strip("\ufeff \t\r\n\x1e")
        if first:
            break
    value = _value(first)
    if isinstance(value, Mapping):
        alone = not any(line.strip() for line in lines)
        return Opened(name, value, value if alone else None)
    document = _value(first + "\n" + "".join(lines))
    return Opened(name, document, document) if isinstance(document, Mapping) else Opened(name)


def _of_array(name: str, lines: Lines) -> Opened:
    read = getattr(lines, "read", None)
    text = "".join(islice(lines, 1)) if read is None else read(_FIRST)
    start = text.find("[") + 1
    try:
        first, _ = json.JSONDecoder().raw_decode(text, start + len(text[start:]) - len(text[start:].lstrip()))
    except (ValueError, RecursionError):
        return Opened(name)
    opened = Opened(name, first if isinstance(first, Mapping) else {}, [first])
    if next(item for item in FORMATS if item.fits(opened)) is FORMATS[-1]:
        return opened
    return Opened(name, opened.first, _value(text + "".join(lines)))


def _of_table(name: str, lines: Lines) -> Opened:
    first = next(iter(lines), "").removeprefix("\ufeff")
    try:
        return Opened(name, header=tuple(next(csv.reader([first], delimiter=separator_of(first)), ())))
    except csv.Error:
        return Opened(name)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def prompts_in(files: Sequence[str]) -> frozenset[str]:
    """Return the groups of prompts that files list: in columns whose name says so, or in their only column."""
    found: set[str] = set()
    for name in files:
        for raw in read_file(name):
            texts = {column: value for column, value in raw.fields.items() if isinstance(value, str) and value}
            named = [
                value for column, value in texts.items() if any(word in column.lower() for word in _PROMPT_COLUMNS)
            ]
            if raw.problem or not (named or len(texts) == 1):
                reason = raw.problem or "it has no column `prompt`"
                raise OutcomesError(f"`{name}:{raw.number}` is not a prompt to leave out: {reason}")
            found.update(group_of(prompt_text(value)) for value in named or texts.values())
    return frozenset(found)
