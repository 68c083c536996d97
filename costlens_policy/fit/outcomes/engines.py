"""Outcomes in tables of engines: Arrow data, data frames of Spark, datasets of Ray.

A fit has all of its cases in memory, so rows come to this process, in the engine's own order or any other: they are put
in order here. Select the columns that are read before; `prompt` is the longest of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import polars as pl

from costlens_policy.catalogue import Catalogue
from costlens_policy.fit.outcomes.cases import Outcomes, OutcomesError
from costlens_policy.fit.outcomes.mapping import OutcomeSettings
from costlens_policy.fit.outcomes.reading import outcomes_of
from costlens_policy.replay.columns.step import ArrowStream
from costlens_policy.replay.parts.arrow import frames_in
from costlens_policy.replay.traffic.sources import RawRow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from ray.data import Dataset

__all__ = ["outcomes_arrow", "outcomes_ray", "outcomes_spark"]


def outcomes_arrow(
    batches: ArrowStream | Iterable[ArrowStream],
    settings: OutcomeSettings | None = None,
    catalogue: Catalogue | None = None,
) -> Outcomes:
    """Join the rows of Arrow data as ``read_outcomes`` joins those of files: the same cases, scores and counts.

    Which of equal rows is named first depends on their values, and not on the order in which they come. Raises
    ``OutcomesError``, also where columns have different types in different batches.
    """
    return _outcomes(batches, "the data", settings, catalogue)


def outcomes_spark(
    frame: DataFrame, settings: OutcomeSettings | None = None, catalogue: Catalogue | None = None
) -> Outcomes:
    """Join the rows of a data frame of Spark, as ``outcomes_arrow`` does. Needs the extra ``spark``."""
    return _outcomes(frame.toArrow(), "the data frame", settings, catalogue)


def outcomes_ray(
    dataset: Dataset, settings: OutcomeSettings | None = None, catalogue: Catalogue | None = None
) -> Outcomes:
    """Join the rows of a dataset of Ray, as ``outcomes_arrow`` does. Needs the extra ``ray``."""
    batches = dataset.iter_batches(batch_format="pyarrow", batch_size=None)
    return _outcomes(batches, "the dataset", settings, catalogue)


def _outcomes(
    batches: ArrowStream | Iterable[ArrowStream], name: str, settings: OutcomeSettings | None,
    catalogue: Catalogue | None,
) -> Outcomes:  # fmt: skip
    try:
        table = pl.concat([*frames_in(batches), pl.DataFrame()], how="diagonal_relaxed")
        plain = sorted(column for column, kind in table.schema.items() if not kind.is_nested())
        table = table.sort(plain) if plain else table
    except pl.exceptions.PolarsError as error:
        problem = " ".join(str(error).split())[:200]
        raise OutcomesError(f"the columns of `{name}` have different types in different batches: {problem}") from error
    rows = [RawRow(name, number, fields) for number, fields in enumerate(table.iter_rows(named=True), 1)]
    return outcomes_of(rows, name, settings, catalogue)
