"""Whether a fit still holds: real changes are found, chance is not taken for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import pytest

from costlens_policy.catalogue import Catalogue, Evidence
from costlens_policy.fit.documents import qualities_of
from costlens_policy.fit.drift import Drift, compare
from costlens_policy.fit.measurements import gather
from costlens_policy.fit.outcomes import Case, OutcomesError
from costlens_policy.fit.summary import summary_of_drift
from tests.fit.drawn import ASSUMED, CHANCES, Chances, catalogue, measurements, outcomes

SERVES: Mapping[str, str] = {"chat": "small", "code": "large", "extraction": "tiny"}


def _stating(chances: Chances = CHANCES, cases: int = 300, seed: int = 100) -> Catalogue:
    """Return a catalogue that states what was measured once."""
    found = qualities_of(measurements(chances, cases, seed))
    models = []
    for model in catalogue():
        own = {task: estimate for (task, name), estimate in found.items() if name == model.name and task is not None}
        quality = {task: estimate.value for task, estimate in own.items()}
        evidence = {
            task: Evidence(estimate.low, estimate.high, cases=estimate.cases, measured=date(2026, 11, 1))
            for task, estimate in own.items()
        }
        models.append(replace(model, quality=quality, evidence=evidence))
    return Catalogue.of(models)


def _serve(case: Case) -> str | None:
    return SERVES[case.task or ""]


def _compare(chances: Chances = CHANCES, seed: int = 0, max_loss: float = 0.03) -> Drift:
    return compare(measurements(chances, 300, seed), _stating(), _serve, max_loss)


def test_what_has_not_changed_holds() -> None:
    drift = _compare()
    assert drift.failures == ()
    assert drift.best == "large"
    assert len(drift.qualities) == 9
    assert {(item.task, item.model) for item in drift.qualities if item.serves} == set(SERVES.items())
    assert drift.saving.value == pytest.approx(0.63, abs=0.01)


def test_false_alarms_are_rare() -> None:
    alarms = 0
    for seed in range(40):
        stated = _stating(cases=80, seed=100 + seed)
        drift = compare(measurements(cases=80, seed=seed), stated, _serve, 0.03)
        alarms += any(item.moved for item in drift.qualities)
    assert alarms <= 4


def test_a_model_that_became_worse_where_it_serves_is_named() -> None:
    drift = _compare({**CHANCES, "chat": {**CHANCES["chat"], "small": 0.7}})
    assert any(text.startswith("`small`, which serves `chat`, fell from 0.9") for text in drift.failures)
    assert any("the policy loses more than 3 points" in text for text in drift.failures)


def test_a_change_where_a_model_does_not_serve_is_no_failure() -> None:
    drift = _compare({**CHANCES, "code": {**CHANCES["code"], "tiny": 0.5}})
    assert drift.failures == ()
    assert [(item.task, item.model) for item in drift.qualities if item.moved] == [("code", "tiny")]


def test_what_cannot_be_compared_is_counted() -> None:
    def some(case: Case) -> str | None:
        number = int(case.id.rpartition("-")[2])
        return None if number < 10 else "elsewhere" if number < 15 else _serve(case)

    drift = compare(measurements(cases=300), _stating(), some, 0.03)
    assert "30 cases are refused by the policy, and not compared" in drift.remarks
    assert "15 cases are served by `elsewhere`, which these outcomes do not measure" in drift.remarks
    assert drift.cases == 855
    with pytest.raises(OutcomesError, match="a comparison needs 30 cases that the policy serves"):
        compare(measurements(cases=300), _stating(), lambda case: None, 0.03)
    with pytest.raises(OutcomesError, match="the catalogue states no quality that these outcomes measure"):
        compare(measurements(cases=300), catalogue(), _serve, 0.03)


def test_a_policy_that_sends_everything_to_the_best_model_holds() -> None:
    drift = compare(measurements(), _stating(), lambda case: "large", 0.03)
    assert (drift.holds, drift.saving.value) == (True, 0)


def test_a_model_that_is_now_the_best_is_what_the_policy_stands_beside() -> None:
    drift = _compare({task: {**chances, "tiny": 1.0} for task, chances in CHANCES.items()})
    assert drift.best == "tiny"
    assert "the best single model is now `tiny`, no longer `large`" in drift.remarks
    assert "the policy loses more than 3 points to the best single model" in drift.failures
    assert "the policy costs more than the best single model" in drift.failures
    changed = sum(_compare(seed=seed).best != "large" for seed in range(20))
    assert changed == 0


def test_where_nothing_is_saved_the_policy_is_not_shown_to_hold() -> None:
    found = measurements()
    code = compare(found.part(found.of_task(1)), _stating(), _serve, 0.03)
    assert (code.failures, code.holds) == ((), False)
    (text,) = code.unshown
    assert text == "no saving: `large` serves all of these cases, and none has the task `chat` or `extraction`"
    verdict = summary_of_drift(code, "policies/fitted").verdict
    assert verdict.startswith("`policies/fitted` is not shown to hold on 300 new cases")
    assert f"not shown: {text}" in verdict


def test_the_best_model_that_serves_and_is_not_measured_is_named() -> None:
    given = outcomes()
    others = replace(given, scores={name: scores for name, scores in given.scores.items() if name != "large"})
    drift = compare(gather(others, catalogue(), ASSUMED), _stating(), _serve, 0.03)
    assert drift.unshown == (
        "`large`, the best single model by the stated quality, serves 300 cases, and these outcomes do not measure it",
    )
    assert not drift.holds
