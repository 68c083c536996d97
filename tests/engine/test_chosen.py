"""What a record shows of a choice: values with their parts and units, quality with its evidence, and ties."""

from __future__ import annotations

from tests.engine.conftest import Write
from tests.engine.test_decide import ANY, decide


def notes(company: Write, choose: str, **request: object) -> list[str]:
    decision = decide(company(ANY + f"routes: [{{id: a, choose: {choose}}}]"), task="chat", **request)
    (stage,) = (stage for stage in decision.record().stages if stage.stage == "candidates")
    return [note for note in stage.notes if "stands by" not in note and "serves" not in note]


def test_a_price_of_quality_is_shown_part_by_part_in_its_unit(company: Write) -> None:
    choose = "{models: [nano, mini], minimize: 'estimate.cost_usd + 0.02 * (1.0 - model.quality[\"chat\"]) - 0.001'}"
    assert notes(company, choose, prompt_tokens=1000, max_output_tokens=100) == [
        "`mini` has 0.0058 USD to minimize: 0.0028 USD of `estimate.cost_usd` "
        '+ 0.004 USD of `0.02 * (1.0 - model.quality["chat"])` - 0.001 USD of `0.001`',
        "`mini` has a quality of 0.8 for the task (0.69 to 0.91 at 0.95, 40 cases, measured 2026-04-01)",
        "`nano` has 0.0062 USD to minimize: 0.0012 USD of `estimate.cost_usd` "
        '+ 0.006 USD of `0.02 * (1.0 - model.quality["chat"])` - 0.001 USD of `0.001`',
        "`nano` has a quality of 0.7 for the task (0.66 to 0.74 at 0.95, 500 cases)",
    ]


def test_ties_and_what_breaks_them_are_shown(company: Write) -> None:
    shown = notes(company, "{models: [nano, mini], maximize: '1.0'}")
    assert shown[-1] == "`mini` and `nano` have equal values, so the order of their names decides"


def test_a_choice_by_something_else_speaks_of_no_quality(company: Write) -> None:
    assert notes(company, "{models: [mini], maximize: model.latency_p50_ms}") == [
        "`mini` has 900 ms to maximize: `model.latency_p50_ms`"
    ]


def test_a_task_that_nobody_measured_is_named(company: Write) -> None:
    choose = "{models: [mini], minimize: 'request.task in model.quality ? 0.0 : 1.0'}"
    decision = decide(company(ANY + f"routes: [{{id: a, choose: {choose}}}]"), task="x")
    (stage,) = (stage for stage in decision.record().stages if stage.stage == "candidates")
    assert stage.notes[-1] == "`mini` has no measured quality for the task"


def test_the_reason_has_all_digits_of_a_quality(company: Write) -> None:
    choose = "{models: [nano, mini], minimize: estimate.cost_usd, limits: {min_quality: 0.700000000000001}}"
    decision = decide(company(ANY + f"routes: [{{id: a, choose: {choose}}}]"), task="chat")
    (nano,) = (item for item in decision.excluded if item.model == "nano")
    assert nano.reason == "its quality for the task is 0.7, the choice asks for 0.700000000000001"
