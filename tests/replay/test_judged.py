"""Recorded quality beside the cost: with intervals, on the same requests, and no price where none is known."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from costlens_policy import load
from costlens_policy.replay import ColumnMapping, Settings, TrafficError, replay, replay_files
from costlens_policy.replay.difference import diff
from costlens_policy.replay.judged import Answer, Paired, Quality, all_judged
from costlens_policy.replay.tables import difference_verdict, result_tables, result_verdict
from tests.replay.conftest import call

COLUMNS = {name: name for name in ("time", "prompt_tokens", "output_tokens", "request.task")}
JUDGED = ColumnMapping("judged", COLUMNS, outcomes={"large": "l", "small": "s"})
CODING = 'routes:\n  - {id: r, when: \'request.?task.orValue("") == "coding"\', model: small}\n'
CLOSED = 'access:\n  - {id: no, when: \'request.?task.orValue("") == "chat"\', effect: deny, reason: closed}\n'


def rows(*scored: tuple[str, float | None, float | None, int]) -> list[dict[str, Any]]:
    """Return so many rows of a task each, with the outcomes of `large` and of `small`."""
    return [
        call("10:00:00", **{"request.task": task}, **({} if large is None else {"l": large}),
             **({} if small is None else {"s": small}))
        for task, large, small, count in scored for _ in range(count)
    ]  # fmt: skip


def test_ways_are_compared_on_the_same_requests(plan_of, traffic_of) -> None:
    plan = plan_of(CODING)
    recorded = rows(("coding", 1, 1, 60), ("coding", 1, 0, 20), ("coding", 1, None, 10), ("chat", 1, 1, 30))
    result = replay(plan, traffic_of(plan, recorded, JUDGED), Settings())
    assert {name: way.answered for name, way in result.quality.items()} == {
        "policy": 110, "only large": 120, "only small": 110, "oracle": 120,
    }  # fmt: skip
    beside = result.beside["only large"]
    assert (beside.one.answered, beside.one.right, beside.other.right) == (110, 90, 110)
    assert beside.one.cost == result.quality["policy"].cost
    found = beside.difference
    assert found is not None
    assert 0 < found.low < found.value < found.high
    assert found.value == pytest.approx(20 / 110)
    alike = result.beside["only small"]
    assert alike.apart == 30
    (table,) = (table for table in result_tables(result) if table.title.startswith("Quality and cost"))
    shown = {row[0]: row for row in table.rows}
    assert shown["only large"][1:3] == ("110", "100.0% (96.6 to 100.0)")
    assert shown["only large"][4] == "81.8%"
    assert "quality by recorded outcomes 81.8% (73.6 to 87.9), for 110 requests of 120" in result_verdict(result)
    data = result.to_dict()["quality"]
    assert (data["only large"]["requests"], data["only large"]["beside_policy"]["policy"]["right"]) == (120, 90)
    assert data["policy"]["low"] < 90 / 110 < data["policy"]["high"]


def test_what_is_denied_is_answered_wrongly_beside_every_way(plan_of, traffic_of) -> None:
    plan = plan_of(CLOSED)
    result = replay(plan, traffic_of(plan, rows(("coding", 1, 1, 3), ("chat", 1, 0, 2)), JUDGED), Settings())
    assert result.quality["policy"].right == 3
    assert {name: way.answered for name, way in result.quality.items()}.keys() >= {"policy", "only large", "oracle"}
    assert {way.answered for way in result.quality.values()} == {5}
    assert result.quality["only large"].cost == Decimal("0.0075") * 5


def test_diff_compares_recorded_outcomes_of_both_sides(plan_of, traffic_of) -> None:
    old, new = plan_of("", "old"), plan_of(CODING)
    recorded = rows(("coding", 1, 1, 60), ("coding", 1, 0, 20), ("coding", 1, None, 10), ("chat", 0, 1, 30))
    difference = diff(old, new, traffic_of(old, recorded, JUDGED), Settings())
    judged = difference.judged
    assert (judged.one.answered, judged.one.right, judged.other.right, judged.apart) == (110, 80, 60, 80)
    assert difference.half_judged == 10
    found = judged.difference
    assert found is not None
    assert found.low < found.value < found.high < 0
    assert found.value == pytest.approx(-20 / 110)
    text = difference_verdict(difference)
    assert "quality by recorded outcomes 72.7% (63.7 to 80.2) -> 54.5% (45.2 to 63.5): -18.2 points" in text
    assert "for the 110 requests with the outcomes of both sides; 10 more have the outcome of one side alone" in text
    data = json.loads(json.dumps(difference.to_dict()))["recorded_quality"]
    assert (data["requests"], data["requests_with_one_side_alone"], data["new"]["right"]) == (110, 10, 60)
    assert diff(old, new, traffic_of(old, [call()]), Settings()).to_dict()["recorded_quality"] is None


def test_the_same_model_on_both_sides_makes_no_difference(plan_of, traffic_of) -> None:
    plan = plan_of("")
    judged = diff(plan, plan, traffic_of(plan, rows(("chat", 1, 0, 5)), JUDGED), Settings()).judged
    assert judged.difference is not None
    assert (judged.difference.value, judged.difference.low, judged.difference.high) == (0, 0, 0)


def test_sums_can_be_added_up_in_any_order() -> None:
    pairs = [(Answer(at % 3 / 2, Decimal(at)), Answer(at % 2, None if at == 3 else Decimal(1))) for at in range(9)]
    whole, parts = Paired(), (Paired(), Paired())
    for at, (one, other) in enumerate(pairs):
        for sums in (whole, parts[at % 2]):
            sums.add(one, other, apart=at != 4)
    parts[1].merge(parts[0])
    assert parts[1] == whole
    assert all_judged({"even": parts[0].one, "none": Quality()}) == parts[0].one
    assert (whole.one.unpriced, whole.other.unpriced, whole.one.cost) == (1, 1, Decimal(33))


@pytest.mark.parametrize("name", ["smal", "free-of-price"])
def test_an_answer_without_a_price_is_never_free(plan_of, tmp_path, name: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(("chat", 0, 1, 4))))
    mapping = ColumnMapping("judged", COLUMNS, outcomes={"large": "l", name: "s"})
    result = replay_files(plan_of(""), [str(path)], mapping, Settings())
    (table,) = (table for table in result_tables(result) if table.title.startswith("Quality and cost"))
    shown = {row[0]: row[3] for row in table.rows}
    assert shown[f"only {name}"] == shown["oracle"] == "unpriced"
    assert result.quality[f"only {name}"].unpriced == 4
    (note,) = (note for note in result.notes if f"`{name}`" in note)
    assert note.endswith("what it costs is not known")
    assert ("did you mean `small`?" in note) is (name == "smal")


def test_a_model_is_known_by_each_of_its_names(plan_of, tmp_path) -> None:
    """Outcomes and answers of a name that the catalogue has for a model are those of the model."""
    plan_of("")
    catalogue = tmp_path / "set/catalogue.yaml"
    catalogue.write_text(catalogue.read_text().replace("  large:\n", "  large:\n    aliases: [large-2026]\n"))
    plan = load(tmp_path / "set").plan
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(("chat", 1, 1, 4))))
    mapping = ColumnMapping("judged", COLUMNS, outcomes={"large-2026": "l", "small": "s"})
    result = replay_files(plan, [str(path)], mapping, Settings())
    assert result.quality["policy"].right == 4
    assert not any("large" in note for note in result.notes)
    twice = ColumnMapping("judged", COLUMNS, outcomes={"large-2026": "l", "large": "s"})
    with pytest.raises(TrafficError, match="`large-2026` and `large` in `outcomes` are the same model"):
        replay_files(plan, [str(path)], twice, Settings())
