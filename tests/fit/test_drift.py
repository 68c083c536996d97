"""Whether a fit still holds: real changes are found, chance is not taken for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date

import pytest

from costlens_policy.catalogue import Catalogue, Evidence
from costlens_policy.fit.documents import qualities_of
from costlens_policy.fit.drift import Drift, Standing, compare
from costlens_policy.fit.outcomes import Case, Outcomes, OutcomesError
from costlens_policy.fit.summary import summary_of_drift
from tests.fit.drawn import ASSUMED, CHANCES, Chances, catalogue, measurements, outcomes

Decide = Callable[[Case], str | None]
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
    return _on(outcomes(chances, 300, seed), max_loss=max_loss)


def _on(given: Outcomes, stated: Catalogue | None = None, decide: Decide = _serve, max_loss: float = 0.03) -> Drift:
    return compare(given, stated or _stating(), decide, max_loss, ASSUMED)


def _of_task(task: str) -> Outcomes:
    given = outcomes()
    return given.part([at for at, case in enumerate(given.cases) if case.task == task])


def _standing(drift: Drift) -> Standing:
    assert drift.standing is not None
    return drift.standing


def test_what_has_not_changed_holds() -> None:
    drift = _compare()
    assert drift.failures == ()
    assert _standing(drift).best == "large"
    assert len(drift.qualities) == 9
    assert {(item.task, item.model) for item in drift.qualities if item.serves} == set(SERVES.items())
    assert _standing(drift).saving.value == pytest.approx(0.63, abs=0.01)


def test_false_alarms_are_rare() -> None:
    alarms = 0
    for seed in range(40):
        stated = _stating(cases=80, seed=100 + seed)
        drift = _on(outcomes(cases=80, seed=seed), stated)
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

    drift = _on(outcomes(), decide=some)
    assert "30 cases are refused by the policy, and not compared" in drift.remarks
    assert "15 cases are served by `elsewhere`, which these outcomes do not measure" in drift.remarks
    assert drift.cases == 855
    with pytest.raises(OutcomesError, match="the policy refuses all of these cases"):
        _on(outcomes(), decide=lambda case: None)
    with pytest.raises(OutcomesError, match="a comparison needs 30 cases that the policy serves"):
        _on(outcomes(), decide=lambda case: "elsewhere")
    with pytest.raises(OutcomesError, match="the catalogue states no quality; `fit --write` writes it"):
        _on(outcomes(), catalogue())


def test_why_no_quality_can_be_compared_is_told() -> None:
    with pytest.raises(OutcomesError, match=r"needs 30 new cases .* and the most are 13, of `large` in `chat`"):
        _on(outcomes(cases=13))
    given = outcomes()
    renamed = replace(given, cases=tuple(replace(case, task=f"x-{case.task}") for case in given.cases))
    with pytest.raises(OutcomesError, match=r"have the tasks `x-chat`, .* and the catalogue states quality of `chat`"):
        _on(renamed, decide=lambda case: "large")
    unnamed = replace(given, cases=tuple(replace(case, task=None) for case in given.cases))
    with pytest.raises(OutcomesError, match="these outcomes name no task"):
        _on(unnamed, decide=lambda case: "large")


def test_a_policy_that_recognizes_tasks_is_checked_by_cases_that_name_none() -> None:
    """What it saves and loses is measured all the same; qualities are stated by the task itself."""
    named = outcomes(CHANCES, 200, 3)
    untold = replace(named, cases=tuple(replace(case, task=None) for case in named.cases))
    told = {case.prompt: case.task for case in named.cases}

    def recognize(case: Case) -> str | None:
        return _serve(replace(case, task=told[case.prompt]))

    drift = _on(untold, decide=recognize)
    assert drift.qualities == ()
    assert drift.holds
    assert _standing(drift).saving == _standing(_on(named)).saving
    assert any("these outcomes name no task" in text for text in drift.remarks)
    with pytest.raises(OutcomesError, match="name no task"):
        _on(untold, decide=lambda _: "large")


def test_a_policy_that_sends_everything_to_the_best_model_holds() -> None:
    for given in (outcomes(), _of_task("code")):
        drift = _on(given, decide=lambda case: "large")
        assert (drift.holds, _standing(drift).saving.value) == (True, 0)


def test_a_model_that_is_now_the_best_is_what_the_policy_stands_beside() -> None:
    drift = _compare({task: {**chances, "tiny": 1.0} for task, chances in CHANCES.items()})
    assert _standing(drift).best == "tiny"
    assert "the best single model is now `tiny`, no longer `large`" in drift.remarks
    assert "the policy loses more than 3 points to the best single model" in drift.failures
    assert "the policy costs more than the best single model" in drift.failures
    changed = sum(_standing(_compare(seed=seed)).best != "large" for seed in range(20))
    assert changed == 0


def test_where_nothing_is_saved_the_policy_is_not_shown_to_hold() -> None:
    code = _on(_of_task("code"))
    assert (code.failures, code.holds) == ((), False)
    (text,) = code.unshown
    assert text == "no saving: `large` serves all of these cases, and none has the task `chat` or `extraction`"
    verdict = summary_of_drift(code, "policies/fitted").verdict
    assert verdict.startswith("`policies/fitted` is not shown to hold on 300 new cases")
    assert f"not shown: {text}" in verdict


def test_the_best_model_that_serves_and_is_not_measured_is_named() -> None:
    drift = _on(_without("large"))
    assert drift.unshown == (
        "`large`, the best single model by the stated quality, serves 300 cases, and these outcomes do not measure it",
    )
    assert not drift.holds
    assert _on(_without("small")).unshown == ("`small` serves 300 cases, and these outcomes do not measure it",)


def _without(*models: str) -> Outcomes:
    given = outcomes()
    return replace(given, scores={name: scores for name, scores in given.scores.items() if name not in models})


def _of_what_served(given: Outcomes) -> Outcomes:
    """Return the scores that a log has: of each case that of the model which served it."""
    scores = {
        name: tuple(
            score if SERVES[case.task or ""] == name else None for case, score in zip(given.cases, found, strict=True)
        )
        for name, found in given.scores.items()
    }
    return replace(given, scores=scores)


def test_outcomes_of_what_served_alone_measure_the_quality() -> None:
    drift = _on(_of_what_served(outcomes(seed=3)))
    assert (drift.holds, drift.standing, len(drift.qualities)) == (True, None, 3)
    summary = summary_of_drift(drift, "policies/fitted")
    assert summary.verdict.startswith(
        "the quality behind `policies/fitted` still holds on 900 new cases; what it saves is not compared: only 0 of "
        "900 cases have a score of every model"
    )
    worse = outcomes({**CHANCES, "chat": {**CHANCES["chat"], "small": 0.7}})
    assert [text[:34] for text in _on(_of_what_served(worse)).failures] == ["`small`, which serves `chat`, fell"]
    alone = _on(_without("small", "tiny"))
    assert (alone.standing, alone.holds) == (None, False)
    assert len(alone.unshown) == 2


def test_models_that_do_not_serve_take_no_power_from_those_that_do() -> None:
    tasks = {f"t{at}": {"large": 0.9, "small": 0.7, "tiny": 0.5} for at in range(40)}
    given = outcomes({**tasks, "t0": {"large": 0.9, "small": 0.52, "tiny": 0.5}}, cases=125)
    drift = _on(given, _stating(tasks, cases=300), lambda case: "small" if case.task == "t0" else None)
    assert [item.moved for item in drift.qualities if item.serves] == [True]
    assert not drift.holds
