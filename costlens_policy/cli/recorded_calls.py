"""From traffic files to the calls that advice reads: rows by the readers of replay, grouped by a label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Final

from costlens_policy.advise.calls import Seen
from costlens_policy.cli.call_rows import CallReader
from costlens_policy.cli.traffic import TrafficInput
from costlens_policy.frozen import frozen
from costlens_policy.replay import TrafficError
from costlens_policy.replay.traffic.reading import TEXTS_ONLY, RowReader, raw_rows
from costlens_policy.replay.traffic.row import Reject

__all__ = ["ReadCalls", "read_calls"]

_TEXTS: Final = ("request.prompt", "request.messages")


@frozen
class ReadCalls:
    """``notes`` list what was assumed or corrected; ``by_rows`` says why files were read row by row, if they were."""

    seen: Seen
    rejects: Sequence[Reject]
    notes: Sequence[str]
    by_rows: str = ""


def read_calls(files: Sequence[str], asked: TrafficInput, by: str, tick: Callable[[], None]) -> ReadCalls:
    """Read all files, in columns where that is possible; of prompts only a sample is kept. Raises ``TrafficError``."""
    kept = {name: column for name, column in asked.mapping.columns.items() if _is_read(name)}
    constants = {name: value for name, value in asked.mapping.constants.items() if _is_read(name)}
    named = tuple(name for name in asked.mapping.named if name in kept)
    label = f"request.{by}"
    for name in asked.mapping.named:
        if name not in kept and name != label:
            raise TrafficError(f"advice does not read `{name}`; remove it, or group by it with `--by`")
    mapping = replace(asked.mapping, columns=kept, constants=constants, named=named)
    more = {by: asked.mapping.columns[label]} if label in asked.mapping.named else {}

    def start() -> CallReader:
        rows = RowReader(mapping, TEXTS_ONLY, asked.settings.start, files=tuple(files), more=more)
        return CallReader(asked.mapping, by, rows)

    reader: CallReader | str = "Polars is not installed"
    if find_spec("polars") is not None:
        from costlens_policy.cli.call_columns import read_in_columns  # needs Polars, which not everybody has

        reader = read_in_columns(files, mapping, asked.settings.start, start, tick)
    by_rows = ""
    if isinstance(reader, str):
        by_rows, reader = reader, _row_by_row(files, start(), tick)
    return ReadCalls(reader.seen, reader.rows.rejects, tuple(reader.notes()), by_rows)


def _row_by_row(files: Sequence[str], reader: CallReader, tick: Callable[[], None]) -> CallReader:
    for name in files:
        for raw in raw_rows(name, reader.rows):
            found = reader.read(raw)
            if found is not None:
                reader.seen.add(found)
            tick()
    return reader


def _is_read(name: str) -> bool:
    return not name.startswith("request.") or name in _TEXTS
