"""The documents of a fit are checked, tested and formatted like those that people write, and decide as it chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from costlens_policy import load
from costlens_policy.fit.documents import Origin, documents_of, qualities_of, routing
from costlens_policy.fit.fitting import Fitted, fit, parts_of
from costlens_policy.fit.target import Target
from costlens_policy.source.formatting import format_text
from costlens_policy.testing import run_suites
from tests.fit.drawn import CHANCES, Chances, catalogue, measurements

ORIGIN = Origin(("evals/answers.csv",), "5" * 64, date(2026, 11, 30), "costlens-policy fit evals/answers.csv")


def _fitted(chances: Chances = CHANCES, cases: int = 200, max_loss: float = 0.02) -> Fitted:
    return fit(*parts_of(measurements(chances, cases), 0.25, 0), Target(max_loss=max_loss))


def _write(folder: Path, fitted: Fitted) -> Mapping[str, str]:
    texts = documents_of(fitted, catalogue(), ORIGIN)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return texts


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return _fitted()


def test_the_policy_decides_what_was_chosen_and_its_suite_holds_it(tmp_path: Path, fitted: Fitted) -> None:
    texts = _write(tmp_path, fitted)
    engine = load(tmp_path)
    for place, task in enumerate(fitted.inside.tasks):
        decision = engine.decide({"task": task}, now=datetime(2026, 11, 30, tzinfo=UTC))
        assert decision.model == fitted.inside.models[fitted.choice.models[place]]
    assert engine.decide({}, now=datetime(2026, 11, 30, tzinfo=UTC)).model == "large"
    assert run_suites([tmp_path]).exit_code == 0
    assert {name: format_text(text) for name, text in texts.items()} == texts


def test_each_task_has_its_evidence_beside_it(fitted: Fitted) -> None:
    policy = documents_of(fitted, catalogue(), ORIGIN)["routing.yaml"]
    small = qualities_of(fitted.inside)["chat", "small"]
    row = next(line for line in policy.splitlines() if line.startswith("    # chat"))
    assert f"{small.value:.3f}  {small.low:.3f} to {small.high:.3f}    150" in row
    assert "saves" in policy.splitlines()[8]


def test_quality_stands_on_a_line_for_each_task_and_model(fitted: Fitted) -> None:
    lines = documents_of(fitted, catalogue(), ORIGIN)["quality.yaml"].splitlines()
    found = [line for line in lines if "{value:" in line]
    assert len(found) == 9
    assert all("cases: 150, measured: 2026-11-30, source: evals/answers.csv, data: " in line for line in found)
    again = documents_of(fitted, catalogue(), ORIGIN)["quality.yaml"].splitlines()
    assert again == lines


def test_names_of_tasks_may_be_anything(tmp_path: Path) -> None:
    odd = ['say "hi"', "a: b # c", "it's", "ends with:", "línea\nnueva", "true", "  two  blanks ", "x" * 230]
    fitted = _fitted({task: {"large": 0.9, "small": 0.88} for task in odd}, 60, max_loss=0.1)
    _write(tmp_path, fitted)
    engine = load(tmp_path)
    for place, task in enumerate(fitted.inside.tasks):
        decision = engine.decide({"task": task}, now=datetime(2026, 11, 30, tzinfo=UTC))
        assert decision.model == fitted.inside.models[fitted.choice.models[place]]
    assert run_suites([tmp_path]).exit_code == 0


def test_more_tasks_than_a_list_may_have_become_several_routes(fitted: Fitted) -> None:
    names = [f"task-{at}" for at in range(2_500)]
    many = replace(fitted, inside=replace(fitted.inside, tasks=tuple(names)))
    parts = list(routing._listable(many, range(len(names))))
    assert [task for part in parts for task in part] == list(range(len(names)))
    assert [len(part) for part in parts] == [1024, 1024, 452]
    long = replace(fitted, inside=replace(fitted.inside, tasks=tuple(name.ljust(900, "x") for name in names[:40])))
    assert max(len(part) for part in routing._listable(long, range(40))) == 16


def test_models_of_one_id_have_routes_of_their_own(fitted: Fitted) -> None:
    alike = replace(fitted, inside=replace(fitted.inside, models=("a.b", "a-b", "a_b")))
    ids = [id for id, *_ in routing.routes_of(alike)]
    assert ids == ["to-a-b", "to-a-b-2"]


def test_tasks_with_few_cases_go_to_the_default_and_are_named(tmp_path: Path) -> None:
    drawn = measurements(cases=200)
    keep = ~drawn.of_task(2)
    keep[drawn.of_task(2).nonzero()[0][:30]] = True
    fitted = fit(*parts_of(drawn.part(keep), 0.25, 0), Target(max_loss=0.02))
    texts = _write(tmp_path, fitted)
    assert "tasks with fewer than 30 different cases: extraction" in " ".join(texts["routing.yaml"].split())
    assert load(tmp_path).decide({"task": "extraction"}, now=datetime(2026, 11, 30, tzinfo=UTC)).rule == "default"


def test_where_nothing_is_to_be_saved_the_best_model_serves(tmp_path: Path) -> None:
    fitted = _fitted({task: {"large": 0.9, "small": 0.5} for task in ("chat", "code")})
    texts = _write(tmp_path, fitted)
    assert "nothing cheaper is shown to be as good" in texts["routing.yaml"]
    assert load(tmp_path).decide({"task": "chat"}, now=datetime(2026, 11, 30, tzinfo=UTC)).model == "large"
    assert run_suites([tmp_path]).exit_code == 0


def test_cases_without_a_task_are_fitted_as_one(tmp_path: Path) -> None:
    drawn = measurements({"chat": {"large": 0.9, "small": 0.88}}, 600)
    cases = tuple(replace(case, task=None) for case in drawn.cases)
    drawn = replace(drawn, cases=cases, tasks=(None,))
    fitted = fit(*parts_of(drawn, 0.25, 0), Target(max_loss=0.1))
    texts = _write(tmp_path, fitted)
    assert "quality.yaml" not in texts
    assert load(tmp_path).decide({}, now=datetime(2026, 11, 30, tzinfo=UTC)).model == "small"
    assert run_suites([tmp_path]).exit_code == 0
