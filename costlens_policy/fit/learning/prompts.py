"""Prompts with their tasks, from files without scores: labelled prompts, and recorded traffic that has its texts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.fit.outcomes import OutcomesError, OutcomeSettings, Source, group_of, prompts_in
from costlens_policy.fit.outcomes.tallies import Tallies
from costlens_policy.frozen import frozen
from costlens_policy.replay.settings import START
from costlens_policy.replay.traffic.cells import cell, object_of, text_of
from costlens_policy.replay.traffic.copies import local
from costlens_policy.replay.traffic.mapping import ColumnMapping
from costlens_policy.replay.traffic.places import look_for, rereadable
from costlens_policy.replay.traffic.reading import TEXTS_ONLY, RowReader
from costlens_policy.replay.traffic.recognition import MASK
from costlens_policy.replay.traffic.row import TrafficError
from costlens_policy.replay.traffic.sources import RawRow
from costlens_policy.signals import texts

__all__ = ["Prompts", "read_prompts"]

_COLUMNS: Final[Mapping[str, str]] = {
    "prompt": "prompt|messages|request.prompt|request.messages",
    "task": "task|request.task",
}
"""Where fields are looked for that nobody has mapped."""
_MOST_READ: Final = 20_000
"""Characters of a prompt, which is what a signal reads unless it says otherwise."""


@frozen
class Prompts:
    """Each row's prompt and task, None where it has none. ``notes`` state what was not read."""

    pairs: tuple[tuple[str | None, str | None], ...]
    sources: tuple[Source, ...]
    notes: tuple[str, ...]


def read_prompts(
    files: Sequence[str], settings: OutcomeSettings | None = None, mapping: ColumnMapping | None = None
) -> Prompts:
    """Read prompts and tasks from files, folders and globs; with a mapping, from traffic as a replay reads it.

    Of messages the prompt is what a signal reads: the last message of the user. Only ``columns``, ``constants``,
    ``only``, ``without`` and ``drop`` of the settings matter. Raises ``OutcomesError`` for files that cannot be read,
    and where no row has a prompt, or none a task.
    """
    settings = OutcomeSettings() if settings is None else settings
    mapping = ColumnMapping("table", {}) if mapping is None else mapping
    try:
        names = look_for(files).files
        left_out = prompts_in(look_for(settings.drop).files) if settings.drop else frozenset()
        reader = RowReader(mapping, TEXTS_ONLY, START, files=names)
        found = _Found(settings, mapping, left_out)
        for name in names:
            for raw in reader.shaped(name):
                found.take(raw)
    except TrafficError as error:
        raise OutcomesError(str(error).replace("no traffic in", "no prompts in", 1)) from error
    found.check()
    sources = tuple(Source(name, mapping.name, _digest(name)) for name in names)
    return Prompts(tuple(found.pairs), sources, (*reader.notes, *map(str, found.tallies.all())))


class _Found:
    """What rows have, and what they were asked for in vain."""

    def __init__(self, settings: OutcomeSettings, mapping: ColumnMapping, left_out: frozenset[str]) -> None:
        self._settings, self._left_out = settings, left_out
        self._without = {**mapping.drop, **settings.without}
        self._columns = {name: _column(name, settings, mapping) for name in _COLUMNS}
        self._constant = settings.constants.get("task", mapping.constants.get("request.task"))
        self._seen: dict[str, None] = {}
        self._has: set[str] = set()
        self.pairs: list[tuple[str | None, str | None]] = []
        self.tallies: Final = Tallies()

    def take(self, raw: RawRow) -> None:
        """Read a row, or count why it is left out."""
        place, fields = (raw.file, raw.number), raw.fields
        if raw.problem:
            self.tallies.add(f"dropped: rows that cannot be read ({raw.problem})", place)
            return
        self._seen.update(dict.fromkeys(fields))
        for column, value in self._settings.only.items():
            if not _is(cell(fields, column), value):
                self.tallies.add(f"dropped: rows without `{value}` in `{column}`", place)
                return
        for column, values in self._without.items():
            if any(_is(cell(fields, column), value) for value in values):
                self.tallies.add(f"dropped: rows with one of the values to leave out in `{column}`", place)
                return
        prompt, task = _prompt(cell(fields, self._columns["prompt"])), cell(fields, self._columns["task"])
        if prompt is not None and MASK.fullmatch(prompt):
            self.tallies.add("prompts that are masked", place)
            prompt = None
        elif prompt is not None and group_of(prompt) in self._left_out:
            self.tallies.add("dropped: rows with a prompt that was to be left out", place)
            return
        task = self._constant if task is None else task
        self._has.update(name for name, value in (("prompt", prompt), ("task", task)) if value is not None)
        self.pairs.append((prompt, None if task is None else text_of(task)))

    def check(self) -> None:
        """Raise ``OutcomesError`` where no row has a prompt, or none a task."""
        if not self.pairs:
            lost = "; ".join(map(str, self.tallies.all()[:3]))
            raise OutcomesError(f"no row is left to learn from: {lost}" if lost else "the files contain no rows")
        for name, column in self._columns.items():
            if name not in self._has:
                raise OutcomesError(f"no row has a {name}; {self._remedy(name, column)}")

    def _remedy(self, name: str, column: str) -> str:
        masked = next((tally for tally in self.tallies.all() if "masked" in tally.what), None)
        if name == "prompt" and masked is not None:
            return f"{masked}"
        if name in self._settings.columns and column not in self._seen:
            close = did_you_mean(column, tuple(self._seen)) or f"the columns are {listed(tuple(self._seen))}"
            return f"there is no column `{column}`, {close}"
        return f"label the prompts, or map a column with `--column {name}=COLUMN`; the columns are " + listed(
            tuple(self._seen)
        )


def _column(name: str, settings: OutcomeSettings, mapping: ColumnMapping) -> str:
    """Return where a field is: as it is mapped, or else under the usual names."""
    if name in settings.columns:
        return settings.columns[name]
    fields = ("request.prompt", "request.messages") if name == "prompt" else ("request.task",)
    return "|".join([*(mapping.columns[field] for field in fields if field in mapping.columns), _COLUMNS[name]])


def _prompt(value: Any) -> str | None:
    """Return the text that a signal reads: a prompt, or the last message of the user."""
    value = object_of(value)
    if isinstance(value, Mapping):
        return texts.text_of(value, "last_user_message", _MOST_READ)
    if isinstance(value, list | tuple):
        return texts.text_of({"messages": value}, "last_user_message", _MOST_READ)
    return None if value is None else text_of(value)[:_MOST_READ]


def _is(value: Any, wanted: str) -> bool:
    return value is not None and text_of(value) == wanted


def _digest(name: str) -> str:
    if not rereadable(name):
        return ""
    with open(local(name), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
