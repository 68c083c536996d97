"""A replay of files in columns, in bounded memory, and the checkpoint from which it is resumed."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol, TypeVar

import polars as pl

from costlens_policy.compiler.plan import Plan
from costlens_policy.replay.columns.step import Job, State, settle
from costlens_policy.replay.result import Result
from costlens_policy.replay.settings import Progress, Settings
from costlens_policy.replay.stream.copy import TimedCopy
from costlens_policy.replay.stream.reading import Files, UnsortedError
from costlens_policy.replay.traffic.copies import copy_of
from costlens_policy.replay.traffic.mapping import ColumnMapping
from costlens_policy.replay.traffic.row import Reject, TrafficError

__all__ = ["Checkpoint", "Consumer", "StreamedReplay", "identity_of", "walk"]

_BETWEEN_CHECKPOINTS: Final = 5.0
"""Seconds."""
_PAUSE: Final = 20
"""How many times as long as writing a checkpoint took is waited until the next one."""
_T = TypeVar("_T")


class StreamedReplay:
    """One replay of files in columns."""

    def __init__(
        self, plan: Plan, files: Sequence[str], mapping: ColumnMapping, settings: Settings, attributes: tuple[str, ...],
        progress: Progress, checkpoint: Checkpoint | None,
    ) -> None:  # fmt: skip
        self._job = Job(plan, settings, attributes, tuple(files))
        self._files = Files(tuple(files), mapping, plan, settings, self._job.attributes)
        self._progress = progress
        self._checkpoint = checkpoint

    def run(self) -> Result:
        """Return the result. Raises ``TrafficError``, and ``UnfitError`` where a row fits no batch."""
        saved = None if self._checkpoint is None else self._checkpoint.read()
        can_resume = self._checkpoint is None or self._files.resumable
        if self._files.in_columns and can_resume and (saved is None or saved["way"] == "as they are"):
            try:
                return self._as_they_are(saved)
            except UnsortedError:
                saved = None
        with TemporaryDirectory(prefix="costlens-replay-") as folder:
            copy, rejects = self._files.copied(Path(folder), self._progress)
            return self._copied(copy, rejects, saved)

    def _as_they_are(self, saved: dict[str, Any] | None) -> Result:
        state, place, reader, read = State(self._job), (0, 0), None, 0
        if saved is not None:
            state = State.from_dict(self._job, saved["state"])
            place, reader, read = (saved["place"][0], saved["place"][1]), saved["reader"], saved["read"]
        self._progress.start("deciding", self._files.rows, "rows", read)
        chunks = self._files.as_they_are(place, reader, read)
        saver = _Saver(self._checkpoint, "as they are")
        for chunk in _ahead(chunks):
            for reject in chunk.rejects:
                state.sums.reject(reject)
            state = settle(self._job, state, chunk.frame)
            self._progress.advance(chunk.read - read)
            read = chunk.read
            saver.save({"place": chunk.place, "read": chunk.read, "reader": chunk.reader}, state)
        return self._ended(state, 0)

    def _copied(self, copy: TimedCopy, rejects: Sequence[Reject], saved: dict[str, Any] | None) -> Result:
        state, done = State(self._job), 0
        if saved is None:
            for reject in rejects:
                state.sums.reject(reject)
        else:
            state, done = State.from_dict(self._job, saved["state"]), saved["place"][0]
        self._progress.start("deciding", copy.rows, "rows", state.sums.rows)
        saver = _Saver(self._checkpoint, "copied")
        for number, frame in enumerate(_ahead(copy.batches()), 1):
            if number <= done:
                continue
            state = settle(self._job, state, frame)
            self._progress.advance(frame.height)
            saver.save({"place": [number, 0]}, state)
        return self._ended(state, copy.late)

    def _ended(self, state: State, late: int) -> Result:
        if self._checkpoint is not None:
            self._checkpoint.remove()
        job = self._job
        return state.sums.result(job.settings, job.prices, job.files, self._files.notes(late))


class Consumer(Protocol):
    """Takes batches in the order of time."""

    def take(self, batch: pl.DataFrame) -> None:
        """Take a batch."""

    def reject(self, reject: Reject) -> None:
        """Take note of a row that is left out."""


_Consumer = TypeVar("_Consumer", bound=Consumer)


def walk(files: Files, start: Callable[[], _Consumer], progress: Progress) -> tuple[_Consumer, list[str]]:
    """Give all rows of files to a consumer; return it, and the notes on the traffic.

    ``start`` makes the consumer, a second one where the rows turn out not to be in the order of time as they are.
    Raises ``TrafficError``, and ``UnfitError`` where a row fits no batch.
    """
    if files.in_columns:
        with suppress(UnsortedError):
            consumer, read = start(), 0
            progress.start("deciding", files.rows, "rows")
            for chunk in _ahead(files.as_they_are((0, 0), None, 0)):
                for reject in chunk.rejects:
                    consumer.reject(reject)
                consumer.take(chunk.frame)
                progress.advance(chunk.read - read)
                read = chunk.read
            return consumer, files.notes(0)
    with TemporaryDirectory(prefix="costlens-replay-") as folder:
        copy, rejects = files.copied(Path(folder), progress)
        consumer = start()
        for reject in rejects:
            consumer.reject(reject)
        progress.start("deciding", copy.rows, "rows")
        for frame in _ahead(copy.batches()):
            consumer.take(frame)
            progress.advance(frame.height)
        return consumer, files.notes(copy.late)


class _Saver:
    """Writes how far a replay is, every few seconds, and seldom enough to take a twentieth of the time at most."""

    def __init__(self, checkpoint: Checkpoint | None, way: str) -> None:
        self._checkpoint = checkpoint
        self._way = way
        self._due = time.monotonic() + _BETWEEN_CHECKPOINTS

    def save(self, where: dict[str, Any], state: State) -> None:
        """Write a state and where reading goes on, if it is time for that."""
        start = time.monotonic()
        if self._checkpoint is None or start < self._due:
            return
        self._checkpoint.write({"way": self._way, **where, "state": state.to_dict()})
        now = time.monotonic()
        self._due = now + max(_BETWEEN_CHECKPOINTS, _PAUSE * (now - start))


def _ahead(items: Iterator[_T]) -> Iterator[_T]:
    """Yield items while the next one is being made on another core: reading lets go of the interpreter."""
    end = object()
    with ThreadPoolExecutor(1) as other:
        coming = other.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = other.submit(next, items, end)
            yield item  # type: ignore[misc]  # what is not the end is an item


_FORMAT: Final = 3
_EDGE: Final = 1 << 20


def identity_of(plan: Plan, mapping: ColumnMapping, settings: Settings, files: Sequence[str]) -> dict[str, Any]:
    """Return what must be unchanged to resume a replay: policy set, prices, mapping, assumptions and files.

    Files are identified by name, size, modification time, and a digest of their first and last mebibyte; copies by the
    version of what was copied and a digest of all of it.
    """
    return {
        "format": _FORMAT,
        "policy set": plan.policy_digest,
        "prices": plan.catalogue_digest,
        "mapping": [[item.name, _plain(getattr(mapping, item.name))] for item in fields(mapping)],
        "assumptions": [[item.name, str(getattr(settings, item.name))] for item in fields(settings)],
        "traffic": [_file(name) for name in files],
    }


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _file(name: str) -> list[Any]:
    copy = copy_of(name)
    if copy is not None:
        return [*copy.identity]
    digest = sha256()
    with open(name, "rb") as stream:
        digest.update(stream.read(_EDGE))
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - _EDGE, 0))
        digest.update(stream.read(_EDGE))
        changed = os.fstat(stream.fileno()).st_mtime_ns
    return [name, size, changed, digest.hexdigest()]


class Checkpoint:
    """The file of a replay under way."""

    __slots__ = ("_identity", "path")

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        self._identity = identity

    def read(self) -> dict[str, Any] | None:
        """Return what was written last, or None where there is nothing. Raises ``TrafficError``."""
        try:
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise TrafficError(f"`{self.path}` is not a saved replay: {str(error).lower()}") from error
        known = content.get("identity") if isinstance(content, dict) else None
        if not isinstance(known, dict):
            raise TrafficError(f"`{self.path}` is not a saved replay; choose another file")
        for name, value in self._identity.items():
            if known.get(name) != value:
                raise TrafficError(
                    f"`{self.path}` contains a replay whose {name} differs; remove it or choose another file"
                )
        return {name: value for name, value in content.items() if name != "identity"}

    def write(self, content: dict[str, Any]) -> None:
        """Write how far the replay is. Raises ``TrafficError``."""
        data = json.dumps({"identity": self._identity, **content}).encode()
        try:
            self._replace(data)
        except OSError as error:
            raise TrafficError(f"`{self.path}` cannot be written: {(error.strerror or str(error)).lower()}") from error

    def _replace(self, data: bytes) -> None:
        folder = self.path.resolve().parent
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".new", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(descriptor)
            os.replace(name, self.path)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise

    def remove(self) -> None:
        """Remove the file of a replay that has come to its end."""
        self.path.unlink(missing_ok=True)
