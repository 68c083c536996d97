"""Reports on traffic that is shared out have every figure of one machine, or are refused."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest

from costlens_policy.replay import READY, MergeError, TrafficError
from costlens_policy.replay.parts.task import PART
from costlens_policy.report import Report, ReportError, Settings, report_arrow, report_on
from costlens_policy.report.parts.gather import gather_report
from costlens_policy.report.parts.reading import sum_part
from costlens_policy.report.parts.task import ReportTask, report_task
from tests.report.traffic import rows_of, said

ROWS = rows_of(600)
FRAME = pl.DataFrame(ROWS, infer_schema_length=None)
SETTINGS = Settings(by=("model", "team"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Report:
    path = tmp_path_factory.mktemp("alone") / "log.csv"
    FRAME.write_csv(path)
    return report_on([str(path)], settings=SETTINGS, baseline="gpt-4o")


def _task(place: str | None = "row", mapping: str = "plain") -> ReportTask:
    return report_task(mapping, SETTINGS, None, "gpt-4o", "the frame", FRAME.columns, FRAME.columns, place)


def _engine(task: ReportTask, slices: Sequence[pl.DataFrame], parts: int) -> Report:
    """Do what an engine does: rows are exchanged by their ids, and each part is summed up by a worker."""
    rows = pl.concat(slices)
    marked = rows.with_columns((pl.col("id").fill_null("").hash() % parts).cast(pl.Int32).alias(PART))
    sent = pickle.dumps(task)
    return gather_report(task, [sum_part(pickle.loads(sent), [rows]) for _, rows in marked.group_by(PART)])


def _slices(seed: int, count: int) -> list[pl.DataFrame]:
    mixed = FRAME.sample(fraction=1, shuffle=True, seed=seed)
    return [mixed[place::count] for place in range(count)]


def test_shuffled_and_shared_out_is_as_on_one_machine(alone: Report) -> None:
    expected = said(alone)
    assert alone.left_out
    assert alone.totals.latency is not None
    assert 0 < alone.totals.denied < alone.totals.requests
    for seed, parts in ((1, 1), (2, 3), (3, 7)):
        assert said(_engine(_task(), _slices(seed, 4), parts)) == expected
    assert said(report_arrow(iter(_slices(4, 6)), settings=SETTINGS, baseline="gpt-4o", place="row")) == expected


def test_without_a_place_nothing_depends_on_how_rows_were_shared_out() -> None:
    reports = [said(_engine(_task(None), _slices(seed, 3), parts)) for seed, parts in ((1, 2), (2, 5))]
    assert reports[0] == reports[1]


def test_without_ids_rows_can_lie_anywhere(alone: Report, tmp_path: Path) -> None:
    frame = FRAME.drop("id")
    frame.write_csv(tmp_path / "log.csv")
    expected = report_on([str(tmp_path / "log.csv")], settings=SETTINGS, baseline="gpt-4o")
    assert expected.totals.requests > alone.totals.requests
    task = report_task("plain", SETTINGS, None, "gpt-4o", "the frame", frame.columns, frame.columns, None)
    assert not task.ids
    outcomes = [sum_part(task, [part]) for part in (frame[:7], frame[7:400], frame[400:], frame.clear())]
    assert outcomes[-1] is None
    assert said(gather_report(task, outcomes)) == said(expected)


def test_a_part_that_comes_twice_is_refused() -> None:
    rows = FRAME.with_columns(pl.lit(3, pl.Int32).alias(PART))
    with pytest.raises(MergeError, match="part 3 came twice"):
        gather_report(_task(), [sum_part(_task(), [rows[:5]]), sum_part(_task(), [rows[5:]])])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda frame: [frame.drop("output_tokens")], "has no column `output_tokens`"),
        (lambda frame: [frame[:50], frame[50:].drop("output_tokens")], "has no column `output_tokens`"),
        (lambda frame: [frame[:50], frame[50:].drop("row")], "column `row` must have an integer"),
        (lambda frame: [frame.drop("row")], "has no column `row` for `place`"),
        (lambda frame: [frame.clear()], "the data has no rows"),
        (lambda frame: [frame[:50], frame[50:].with_columns(pl.lit([1]).alias("latency_ms"))], "different types"),
    ],
)
def test_what_is_not_there_is_refused(change, problem: str) -> None:
    with pytest.raises(TrafficError, match=problem):
        report_arrow(iter(change(FRAME)), settings=SETTINGS, place="row")


def test_times_of_other_zones_are_the_same_times(alone: Report) -> None:
    times = FRAME.with_columns(pl.col("time").str.to_datetime(time_zone="UTC"))
    other = times[300:].with_columns(pl.col("time").dt.convert_time_zone("Asia/Kathmandu"))
    found = report_arrow(iter([times[:300], other]), settings=SETTINGS, baseline="gpt-4o", place="row")
    assert said(found) == said(alone)
    naive = times[300:].with_columns(pl.col("time").dt.replace_time_zone(None))
    with pytest.raises(TrafficError, match="different types in different batches"):
        report_arrow(iter([times[:300], naive]), settings=SETTINGS, place="row")


def test_calls_after_the_known_period_are_apart(tmp_path: Path) -> None:
    now = datetime(2026, 6, 3, 3, 20, 7, tzinfo=timezone(timedelta(hours=2))).astimezone(UTC)
    settings = Settings(by=("model",), now=now, window="week")
    FRAME.write_csv(tmp_path / "log.csv")
    assert said(report_arrow(FRAME, settings=settings, place="row")) == said(
        report_on([str(tmp_path / "log.csv")], settings=settings)
    )


def test_what_only_files_have_is_refused() -> None:
    with pytest.raises(TrafficError, match="needs whole files; use `report_on`"):
        report_arrow(FRAME, "otel")
    with pytest.raises(TrafficError, match="unknown mapping `plian`"):
        report_arrow(FRAME, "plian")
    with pytest.raises(ReportError, match="no price for the baseline `gtp`"):
        report_arrow(FRAME, baseline="gtp")
    with pytest.raises(ReportError, match="there are no calls"):
        report_arrow(FRAME.with_columns(pl.lit(0).alias("prompt_tokens"), pl.lit("no").alias("denied")))


def test_ids_inside_of_columns_are_read_in_one_part() -> None:
    mapping = READY["plain"].with_columns({"id": "call.id"}, {})
    task = report_task(mapping, SETTINGS, None, None, "the frame", ["call", "time"], ["time"], None)
    assert task.whole
