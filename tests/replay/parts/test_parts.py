"""Traffic that is shared out gives every figure, alert and reject of one machine, or is refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from costlens_policy.compiler.plan import Plan
from costlens_policy.replay import MergeError, Result, Settings, TrafficError, replay_arrow, replay_files
from costlens_policy.replay.parts import exchange
from costlens_policy.replay.parts.exchange import known_spread, spread_ids
from costlens_policy.replay.parts.gather import gather
from costlens_policy.replay.parts.prepare import prepare
from costlens_policy.replay.parts.share import replay_parts
from costlens_policy.replay.parts.sharing import KeyColumn, sharing_of
from costlens_policy.replay.parts.task import PART, REPORT, Task, task_of
from tests.replay.conftest import SET
from tests.replay.parts.traffic import MAPPING, POLICIES, rows_of, said

ROWS = rows_of(1500)
FRAME = pl.DataFrame(ROWS)


@pytest.fixture
def plans(plan_of: Callable[..., Plan]) -> Callable[[str], Plan]:
    extra = "attributes: {team: {type: string}}\n"
    return lambda name: plan_of(POLICIES[name], policy_set=SET + extra)


@pytest.fixture
def log(tmp_path: Path) -> str:
    path = tmp_path / "log.csv"
    FRAME.write_csv(path)
    return str(path)


def _task(plan: Plan, parts: int) -> Task:
    return task_of(plan, MAPPING, Settings(), "the frame", FRAME.columns, parts, "row")


def _engine(task: Task, slices: Sequence[pl.DataFrame], tamper: Callable[[pl.DataFrame], pl.DataFrame]) -> Result:
    """Do what an engine does: workers prepare slices, rows are exchanged by their part, and workers replay these.

    Each worker has a task of its own that was sent to it.
    """
    sent = [pickle.loads(pickle.dumps(task)) for _ in slices]
    frames = [frame for own, rows in zip(sent, slices, strict=True) for frame in prepare(own, [rows])]
    prepared = tamper(pl.concat(frames))
    spread = known_spread(task, spread_ids(task, prepared.select(task.order)).iter_rows())
    found: list[tuple[Any, ...]] = []
    for _, rows in prepared.group_by(PART):
        found += (row for frame in replay_parts(task, [rows], spread) for row in frame.iter_rows())
    return gather(task, [(part, text) for part, text in found])


def _slices(seed: int, count: int) -> list[pl.DataFrame]:
    mixed = FRAME.sample(fraction=1, shuffle=True, seed=seed)
    return [mixed[place::count] for place in range(count)]


@pytest.mark.parametrize("name", POLICIES)
def test_shuffled_and_shared_out_is_as_on_one_machine(plans, log: str, name: str) -> None:
    plan = plans(name)
    expected = said(replay_files(plan, [log], MAPPING, Settings()))
    assert expected["left out"]
    assert expected["alerts"]["count"] > 1 or name == "routes"
    for seed, parts in ((1, 1), (2, 3), (3, 7)):
        got = _engine(_task(plan, parts), _slices(seed, parts + 2), lambda frame: frame)
        assert said(got) == expected
    assert said(replay_arrow(iter(_slices(4, 6)), plan, MAPPING, place="row")) == expected
    assert said(replay_arrow(FRAME.reverse(), plan, MAPPING, place="row")) == expected


def test_an_empty_share_changes_nothing(plans, log: str) -> None:
    plan = plans("by team")
    slices = [FRAME.clear(), *_slices(1, 2)]
    got = _engine(_task(plan, 3), slices, lambda frame: frame)
    assert said(got) == said(replay_files(plan, [log], MAPPING, Settings()))


@pytest.mark.parametrize("name", ["routes", "by team"])
def test_rows_that_an_engine_puts_elsewhere_are_noticed(plans, name: str) -> None:
    task = _task(plans(name), 4)
    moved = pl.when(pl.col(REPORT).is_null()).then((pl.col("number") % 4).cast(pl.Int32)).otherwise(0).alias(PART)
    with pytest.raises(MergeError, match="in both parts"):
        _engine(task, _slices(1, 3), lambda frame: frame.with_columns(moved))


def test_rows_that_an_engine_loses_or_repeats_are_noticed(plans) -> None:
    task = _task(plans("by team"), 3)
    for tamper in (
        lambda frame: frame.filter(pl.col("number").is_null() | (pl.col("number") != 700)),
        lambda frame: pl.concat([frame, frame[5:6]]),
    ):
        with pytest.raises(TrafficError, match=r"1,485 rows were read and 1,48[46] replayed"):
            _engine(task, _slices(1, 3), tamper)


def test_an_id_that_is_spread_over_parts_counts_once(plans, tmp_path: Path) -> None:
    """Every thirtieth row has the id of an earlier one, whatever its team and session."""
    rows = [{**row, "id": f"c{number - 7}"} if number % 30 == 9 else row for number, row in enumerate(ROWS)]
    frame = pl.DataFrame(rows)
    frame.write_csv(tmp_path / "log.csv")
    mixed = frame.sample(fraction=1, shuffle=True, seed=3)
    slices = [mixed[place::4] for place in range(4)]
    for name in ("routes", "by team"):
        plan = plans(name)
        got = _engine(_task(plan, 5), slices, lambda frame: frame)
        assert said(got) == said(replay_files(plan, [str(tmp_path / "log.csv")], MAPPING, Settings()))
        assert any("first seen at part" in item.problem for item in got.rejects)


def test_ids_that_are_spread_without_end_are_refused(plans, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MOST_SPREAD", 1)
    task = _task(plans("by team"), 5)
    assert known_spread(task, [("a", 1)]) == {"a": 1}
    with pytest.raises(MergeError, match="more than 1 ids such as `a` occur in several parts, which are by `team`"):
        known_spread(task, [("a", 1), ("b", 2)])


def test_a_part_that_comes_twice_is_refused(plans) -> None:
    task = _task(plans("by team"), 3)
    prepared = pl.concat(list(prepare(task, [FRAME])))
    rows = [row for frame in replay_parts(task, [prepared]) for row in frame.iter_rows()]
    with pytest.raises(MergeError, match="part 1 came twice"):
        gather(task, [(part, text) for part, text in (*rows, *(row for row in rows if row[0] == 1))])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda frame: frame.rename({"team": "taem"}), "has no column `team` for `request.team`"),
        (lambda frame: frame.drop("output_tokens"), "has no column `output_tokens`"),
        (lambda frame: frame.drop("row"), "has no column `row` for `place`"),
        (lambda frame: frame.with_columns(pl.lit(None).alias("row")), "must have an integer in every row"),
        (lambda frame: frame.clear(), "the data has no rows"),
    ],
)
def test_what_is_not_there_is_refused(plans, change, problem: str) -> None:
    with pytest.raises(TrafficError, match=problem):
        replay_arrow(change(FRAME), plans("by team"), MAPPING, place="row")


def test_a_column_that_later_batches_lack_is_refused(plans) -> None:
    with pytest.raises(TrafficError, match="`team`"):
        replay_arrow(iter([FRAME[:50], FRAME[50:].drop("team")]), plans("by team"), MAPPING, place="row")


def test_times_of_other_zones_are_the_same_times(plans, log: str) -> None:
    """Also where some have no zone: these are read as UTC, and noted."""
    times = FRAME.with_columns(pl.col("time").str.to_datetime(time_zone="UTC"))
    other = times[500:1000].with_columns(pl.col("time").dt.convert_time_zone("Asia/Kathmandu"))
    without = times[1000:].with_columns(pl.col("time").dt.replace_time_zone(None))
    plan = plans("by team")
    found = replay_arrow(iter([times[:500], other, without]), plan, MAPPING, place="row")
    assert said(found) == said(replay_files(plan, [log], MAPPING, Settings()))
    assert any("timestamps have no zone and were read as UTC" in note for note in found.notes)


def test_a_column_without_a_source_has_to_be_empty(plans) -> None:
    """Empty columns are not moved; one that has values all the same is not dropped in silence."""
    task = _task(plans("by team"), 2)
    assert {"cost", "tier", "others", "recorded.cache_read"} <= task.absent
    assert not task.absent & {"id", "session", "model"}
    with pytest.raises(TrafficError, match="has values for `session`, but no column"):
        _engine(replace(task, absent=frozenset({"session"})), _slices(1, 2), lambda frame: frame)


def test_texts_are_refused_with_the_reason(plans) -> None:
    mapping = MAPPING.with_columns({"request.prompt": "text"}, {})
    with pytest.raises(TrafficError, match=r"only `replay_files` replays it, since `request\.prompt` is read"):
        replay_arrow(FRAME.with_columns(pl.lit("hi").alias("text")), plans("routes"), mapping)


def test_what_is_shared_out_and_why_is_noted(plans) -> None:
    notes = replay_arrow(FRAME, plans("one for all"), MAPPING).notes
    assert "all rows were replayed in one part, since budget `p/daily` is one for all requests" in notes


@pytest.mark.parametrize(
    ("budgets", "columns"),
    [
        (["request.?team.orValue('x')"], (KeyColumn("team", "x"),)),
        (["request.team", "request.team"], (KeyColumn("team"),)),
        (["request.team", "request.?team.orValue('x')"], None),
        (["request.team", "request.user"], None),
        (["request.team + '/' + request.user"], None),
        (["request.team.lowerAscii()"], None),
        (["model.name"], None),
        ([], (KeyColumn("session"),)),
    ],
)
def test_rows_stay_together_by_what_budgets_have_in_common(plan_of, budgets, columns) -> None:
    lines = "".join(
        f'  - {{id: b{at}, scope: "{scope}", window: {{calendar: day}}, hard_limit_usd: 1}}\n'
        for at, scope in enumerate(budgets)
    )
    extra = "attributes: {team: {type: string, required: true}, user: {type: string, required: true}}\n"
    found = sharing_of(plan_of(f"budgets:\n{lines}" if budgets else "", policy_set=SET + extra), Settings())
    assert (None if found.whole else found.columns) == columns


def test_rows_without_caches_and_budgets_can_lie_anywhere(plans) -> None:
    found = sharing_of(plans("routes"), Settings(cache=False))
    assert (found.columns, found.whole) == ((), False)


def test_without_a_place_nothing_depends_on_how_rows_were_shared_out(plans) -> None:
    task = task_of(plans("one for all"), MAPPING, Settings(), "the frame", FRAME.columns, 1, None)
    mixed = FRAME.with_columns(pl.when(pl.col("row") % 3 > 0).then("id").alias("id")).drop("row")
    results = []
    for seed in (1, 2):
        rows = mixed.sample(fraction=1, shuffle=True, seed=seed)
        results.append(_engine(task, [rows[place::3] for place in range(3)], lambda frame: frame).to_dict())
    assert results[0]["alerts"]["count"]
    for name in ("cost", "models", "denied", "allowed", "alerts", "rejected"):
        assert results[0].get(name) == results[1].get(name)
