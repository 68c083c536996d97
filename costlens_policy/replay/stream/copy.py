"""A copy of traffic on disk, walked in time order in bounded memory, without repeated ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from costlens_policy.replay.columns.hashes import Hashes
from costlens_policy.replay.stream.tables import BATCH
from costlens_policy.replay.traffic.row import Reject

__all__ = ["FreshIds", "Repeats", "SeenIds", "TimedCopy", "repeated_hashes", "without_refused"]


def repeated_hashes(ids: Sequence[pl.LazyFrame]) -> pl.Series:
    """Return the hashes that occur twice or more. ``ids`` are the hashes of all ids, a column ``id`` in each."""
    if not ids:
        return pl.Series("id", [], dtype=pl.UInt64)
    hashes = pl.concat(ids).collect(engine="streaming")["id"].sort()
    return hashes.filter(hashes == hashes.shift(1)).unique()


def without_refused(
    frame: pl.DataFrame, refused: Sequence[Reject], rejects: list[Reject], files: Sequence[str]
) -> pl.DataFrame:
    """Return the rows that the policy set accepts; the others, of those that are there, are added to ``rejects``."""
    if not refused:
        return frame
    places = {(files.index(item.file), item.number): item for item in refused}
    schema = {"file": pl.Int32, "number": pl.Int64}
    out = frame.select("file", "number").join(pl.DataFrame(list(places), schema=schema, orient="row"), on=list(schema),
                                              how="semi", maintain_order="left")  # fmt: skip
    rejects += [places[place] for place in out.iter_rows()]
    return frame.join(out, on=list(schema), how="anti", maintain_order="left")


class Repeats:
    """Leaves out rows whose id was there before. Batches come in the order of the files.

    ``seen`` holds the places of those ids whose hashes occur twice.
    """

    __slots__ = ("_files", "_hashes", "seen")

    def __init__(self, hashes: pl.Series, files: Sequence[str], seen: dict[str, str] | None = None) -> None:
        self._hashes = hashes
        self._files = files
        self.seen = {} if seen is None else seen

    @property
    def possible(self) -> bool:
        """Whether any id may be repeated."""
        return bool(self._hashes.len())

    def leave_out(self, frame: pl.DataFrame, rejects: list[Reject]) -> pl.DataFrame:
        """Return the rows that stay; the others are added to ``rejects``."""
        if not self.possible or "id" not in frame.columns:
            return frame
        rows = (frame["id"].is_not_null() & frame["id"].hash().is_in(self._hashes.implode())).arg_true()
        out = [place for place in rows if self._is_repeat(frame, place, rejects)]
        if not out:
            return frame
        return frame.with_row_index("_place").filter(~pl.col("_place").is_in(out)).drop("_place")

    def _is_repeat(self, frame: pl.DataFrame, place: int, rejects: list[Reject]) -> bool:
        id, file, number = frame["id"][place], self._files[frame["file"][place]], frame["number"][place]
        here = f"{file}:{number}"
        first = self.seen.setdefault(id, here)
        if first == here:
            return False
        row = frame.row(place, named=True)
        text = ", ".join(f"{name}={value}" for name, value in row.items() if value is not None)
        rejects.append(Reject(file, number, f"duplicate id `{id}`, first seen at {first}", text))
        return True


class FreshIds:
    """Finds out whether an id may have been there before, in 8 bytes for each."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known = Hashes()

    def add(self, frame: pl.DataFrame) -> bool:
        """Add the ids of a batch. Return False where one of them may have been there before."""
        if "id" not in frame.columns or frame["id"].null_count() == frame.height:
            return True
        return self._known.add(frame["id"].drop_nulls())


class SeenIds(dict[str, str]):
    """Takes all ids for new, and says at the end which were not, by their hashes.

    A reader of rows may ask it as what it remembers ids by.
    """

    def __init__(self) -> None:
        super().__init__()
        self._hashes: list[pl.Series] = []
        self._texts: list[str] = []

    def setdefault(self, id: str, place: str = "") -> str:
        """Note an id; return its place, as if it had not been there before."""
        self._texts.append(id)
        return place

    def add(self, hashes: pl.Series) -> None:
        """Add ids by their hashes."""
        if len(hashes):
            self._hashes.append(hashes)

    def repeated(self) -> pl.Series:
        """Return the hashes that occur twice or more."""
        every = pl.concat([*self._hashes, pl.Series(self._texts, dtype=pl.String).hash()], rechunk=True).sort()
        return every.filter(every == every.shift(1)).unique()


_NEVER: Final = -(2**63)


class TimedCopy:
    """Batches are added in the order of the files. After ``close``, ``late`` rows came before the one before them."""

    __slots__ = ("_dropped", "_files", "_folder", "_parts", "_refused", "_schema", "late", "rows")

    def __init__(self, folder: Path, files: Sequence[str], schema: Mapping[str, Any]) -> None:
        """``schema`` are the columns to keep; those that a batch lacks are empty."""
        self._folder = folder
        self._schema = schema
        self._files = files
        self._parts: list[Path] = []
        self._dropped: pl.DataFrame | None = None
        self._refused: list[Sequence[Reject]] = []
        self.rows = 0
        self.late = 0

    def add(self, frame: pl.DataFrame, refused: Sequence[Reject] = ()) -> None:
        """Add a batch. Of its rows, those that are ``refused`` are left out once their ids have been seen."""
        if frame.height:
            self._refused.append(refused)
            part = self._folder / f"{len(self._parts):06}.parquet"
            columns = (
                pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, kind).alias(name)
                for name, kind in self._schema.items()
            )
            frame.select(columns).write_parquet(part, compression="lz4")
            self._parts.append(part)

    def repeated(self) -> pl.Series:
        """Return the hashes of the ids that occur twice or more."""
        ids = [
            pl.scan_parquet(part).select(pl.col("id").hash()).filter(pl.col("id").is_not_null()) for part in self._parts
        ]
        return repeated_hashes(ids)

    def close(self) -> list[Reject]:
        """Find repeated ids and see whether rows are in order. Return the rows that are left out."""
        rejects: list[Reject] = []
        repeats = Repeats(self.repeated(), self._files)
        last = _NEVER
        for part, refused in zip(self._parts, self._refused, strict=True):
            frame = pl.read_parquet(part, columns=None if repeats.possible else ["time", "file", "number"])
            frame = repeats.leave_out(frame, rejects)
            if not frame.height:
                continue
            self.late += int((frame["time"].diff() < 0).sum()) + (frame["time"][0] < last)
            last = frame["time"][-1]
            self.rows += without_refused(frame, refused, rejects, self._files).height
        if rejects:
            places = [(self._files.index(item.file), item.number) for item in rejects]
            self._dropped = pl.DataFrame(places, schema={"file": pl.Int32, "number": pl.Int64}, orient="row")
        return rejects

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield all rows in time order; of equal times, in the order of the files."""
        yield from self.in_order(()) if self.late else self._as_added()

    def _as_added(self) -> Iterator[pl.DataFrame]:
        for part in self._parts:
            frame = self._kept(pl.read_parquet(part))
            if frame.height:
                yield frame

    def in_order(self, ties: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield all rows in time order; those of one moment by the columns ``ties``, else in the order of the files.

        These are stretches of time of about a batch each. A part that has no row in one is not read for it.
        """
        if not self._parts:
            return
        scan = pl.scan_parquet(self._parts)
        times = scan.select("time").collect(engine="streaming")["time"].sort()
        starts = times.gather_every(BATCH).unique().sort().to_list()
        for start, end in zip(starts, [*starts[1:], None], strict=True):
            within = pl.col("time") >= start
            if end is not None:
                within &= pl.col("time") < end
            frame = self._kept(scan.filter(within).collect()).sort("time", *ties, maintain_order=True)
            if frame.height:
                yield frame

    def _kept(self, frame: pl.DataFrame) -> pl.DataFrame:
        if self._dropped is None:
            return frame
        return frame.join(self._dropped, on=["file", "number"], how="anti", maintain_order="left")
