"""Outcomes in tables of engines are joined as those of a file, in whatever order and batches they come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from costlens_policy.fit.outcomes import OutcomesError, read_outcomes
from costlens_policy.fit.outcomes.engines import outcomes_arrow
from tests.fit.outcomes.scored import said, table_of


def test_shuffled_batches_are_what_the_file_is(tmp_path: Path) -> None:
    table = table_of(200)
    table.write_parquet(tmp_path / "outcomes.parquet")
    expected = read_outcomes([str(tmp_path / "outcomes.parquet")])
    assert expected.notes.dropped
    assert any("there twice" in note.what for note in expected.notes.remarks)
    for seed in range(3):
        mixed = table.sample(fraction=1, shuffle=True, seed=seed)
        found = outcomes_arrow(mixed[at::4] for at in range(4))
        assert said(found) == said(expected)


def test_places_do_not_depend_on_the_order() -> None:
    table = table_of(50)
    assert outcomes_arrow(table).notes == outcomes_arrow(table.reverse()).notes


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda table: [table.drop("score")], "`the data` has no scores"),
        (lambda table: [table.clear()], "contain no rows"),
        (lambda table: [table[:9], table[9:].with_columns(pl.lit([1]).alias("score"))], "different types"),
        (lambda table: [table.with_columns(pl.col("score") * 7)], "scores outside"),
    ],
)
def test_what_cannot_be_joined_is_refused(change: Any, problem: str) -> None:
    with pytest.raises(OutcomesError, match=problem):
        outcomes_arrow(iter(change(table_of(20))))
