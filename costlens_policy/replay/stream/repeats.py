"""Repeated ids without a list of all ids: hashes find the few rows that may be repeats, and those are compared."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from costlens_policy.replay.traffic.row import Reject

__all__ = ["Repeats", "repeated_hashes"]


def repeated_hashes(ids: Sequence[pl.LazyFrame]) -> pl.Series:
    """Return the hashes that occur twice or more. ``ids`` are the hashes of all ids, a column ``id`` in each."""
    if not ids:
        return pl.Series("id", [], dtype=pl.UInt64)
    hashes = pl.concat(ids).collect(engine="streaming")["id"].sort()
    return hashes.filter(hashes == hashes.shift(1)).unique()


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
        rejects.append(Reject(file, number, f"the id `{id}` was there before, at {first}", text))
        return True
