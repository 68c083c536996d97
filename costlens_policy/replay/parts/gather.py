"""All parts as one result: nothing may be missing, be there twice, or have been shared out otherwise."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from costlens_policy.replay.columns.step import State
from costlens_policy.replay.files import notes_on
from costlens_policy.replay.parts.prepare import COUNTERS
from costlens_policy.replay.parts.share import unpacked
from costlens_policy.replay.parts.sharing import described
from costlens_policy.replay.parts.task import Task
from costlens_policy.replay.result import Result
from costlens_policy.replay.traffic.reading import RowReader
from costlens_policy.replay.traffic.row import MergeError, Reject, TrafficError

__all__ = ["gather"]


def gather(task: Task, outcomes: Iterable[tuple[int, str]]) -> Result:
    """Return the result of all parts. ``outcomes`` are the rows that ``replay_parts`` gave.

    Raises ``MergeError`` where parts share a session or scope key, or came twice, and ``TrafficError`` where not every
    row that was read has been replayed.
    """
    parts: dict[int, dict[str, Any]] = {}
    reader, state, read = task.reader(), State(task.job), 0
    for part, text in outcomes:
        if text.startswith("{"):
            read += _add_report(reader, state, json.loads(text))
        elif parts.setdefault(part, found := unpacked(text)) is not found:
            raise MergeError(f"part {part} came twice: its rows were in more than one partition of the engine")
    versions = sorted({found["version"] for found in parts.values()})
    if len(versions) > 1:
        raise MergeError(f"workers must have the same version, got {' and '.join(versions)}")
    replayed = sum(found["rows"] for found in parts.values())
    if replayed != read:
        raise TrafficError(f"{read:,} rows were read and {replayed:,} replayed; did the table change meanwhile?")
    for _, found in sorted(parts.items()):
        state.merge(State.from_dict(task.job, found["state"]))
    if not reader.notes and not read and not state.sums.rejected:
        reader.notes.append(f"`{task.name}` contains no rows")
    result = state.sums.result(task.settings, task.job.prices, task.job.files, reader.all_notes(0))
    result.notes.extend([*notes_on(task.plan, task.mapping), *described(task.sharing, task.parts)])
    return result


def _add_report(reader: RowReader, state: State, report: dict[str, Any]) -> int:
    """Take over what a reader noted and left out; return how many rows it passed on. Raises ``TrafficError``."""
    if "problem" in report:
        raise TrafficError(report["problem"])
    for name in COUNTERS:
        setattr(reader, name, getattr(reader, name) + report["counted"][name])
    reader.notes[:] = dict.fromkeys((*reader.notes, *report["notes"]))
    reader.unread.update(report["unread"])
    reader.similar.update(report["similar"])
    reader.usage_notes.update(Counter(report["usage_notes"]))
    for item in report["rejects"]:
        state.sums.reject(Reject(*item))
    state.sums.rejected += report["rejected"] - len(report["rejects"])
    rows: int = report["rows"]
    return rows
