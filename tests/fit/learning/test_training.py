"""Training of signals: what it learns, that it is repeatable, and what it refuses."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from costlens_policy.fit.learning import Trained, difficulty_of, labeled_tasks, tasks_of, train
from costlens_policy.fit.outcomes import Case, Outcomes, group_of
from costlens_policy.signals.learned import explain, read_model, weigh, written

_WORDS = {
    "code": "write a function that returns list of string parse python def class import loop",
    "math": "solve the equation what is sum product integer prime x y fraction = 3 7 degree",
    "talk": "hello tell me about your day weather friend story movie music weekend trip",
}
_ANY = "the of and to in is it that for with on as are this was be by at from or an"


def _pairs(count: int = 60, seed: int = 1) -> Iterator[tuple[str, str]]:
    drawn = random.Random(seed)
    for at in range(count):
        for task, words in _WORDS.items():
            yield " ".join([*drawn.choices(words.split(), k=4), *drawn.choices(_ANY.split(), k=6), str(at)]), task


def _outcomes(scores: dict[str, list[float | None]], prompts: list[str | None]) -> Outcomes:
    cases = tuple(
        Case(str(at), None, prompt, None, group_of(prompt) if prompt else str(at)) for at, prompt in enumerate(prompts)
    )
    return Outcomes(cases, {name: tuple(column) for name, column in scores.items()}, {}, {}, {})


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(labeled_tasks(_pairs(), "made.csv"), "2026-11-30")


def test_a_task_is_learned_and_told(trained: Trained) -> None:
    assert trained.held_out.accuracy.low > 0.85
    assert weigh(trained.model, "solve this equation")[0] == "math"
    assert any("equa" in word for word, _ in explain(trained.model, "solve this equation"))
    assert trained.held_out.verdict == ""


def test_the_same_data_and_seed_give_the_same_file(trained: Trained) -> None:
    again = train(labeled_tasks(_pairs(), "made.csv"), "2026-11-30")
    assert written(again.model) == written(trained.model)
    assert read_model(written(trained.model)) == trained.model


def test_held_out_prompts_are_told_by_models_of_other_folds(trained: Trained) -> None:
    held_out = trained.held_out
    assert len(held_out.values) == len(trained.labeled.prompts) == 180
    assert {count for count, _, _ in held_out.by_class.values()} == {60}
    shares = [item.share for item in held_out.sure]
    assert shares == sorted(shares, reverse=True)
    assert held_out.error <= held_out.raw_error + 0.02


def test_labels_that_prompts_do_not_tell_are_admitted() -> None:
    drawn = random.Random(3)
    pairs = [(" ".join(drawn.choices(_ANY.split(), k=8)) + f" {at}", drawn.choice("ab")) for at in range(150)]
    found = train(labeled_tasks(pairs, "noise.csv"), "2026-11-30")
    assert "does not support" in found.held_out.verdict
    assert found.held_out.skill < 0.1


def test_what_is_left_out_is_named() -> None:
    pairs = [*_pairs(), ("a rare prompt", "rare"), *list(_pairs())[:5], ("both ways", "code"), ("both ways", "math")]
    labeled = labeled_tasks([*pairs, (None, "code"), ("no task", None)], "made.csv")
    assert labeled.classes == ("code", "math", "talk")
    notes = "\n".join(labeled.notes)
    assert "2 rows have no prompt or no task" in notes
    assert "6 rows repeat a prompt" in notes
    assert "1 prompts stand under several tasks" in notes
    assert "`rare` (1); their prompts will be taken for other tasks" in notes


@pytest.mark.parametrize(
    ("pairs", "problem"),
    [
        ([], "two tasks with 10 distinct prompts each are needed, got none"),
        ([(f"p {at}", "code") for at in range(50)], "two tasks .* got `code` 50"),
        ([(f"p {at}", "ab"[at % 2]) for at in range(40)], "100 distinct prompts are needed, got 40"),
    ],
)
def test_too_little_is_refused_with_what_would_be_enough(pairs: list[tuple[str, str]], problem: str) -> None:
    with pytest.raises(match=problem):
        labeled_tasks(pairs, "made.csv")


def test_a_difficulty_is_learned_from_scores() -> None:
    prompts = [prompt for prompt, _ in _pairs()]
    scores: list[float | None] = [float("equation" not in prompt and "solve" not in prompt) for prompt in prompts]
    found = train(difficulty_of(_outcomes({"small": scores}, list(prompts)), "small"), "2026-11-30")
    assert found.held_out.skill > 0.1
    hard, easy = weigh(found.model, "solve the equation")[0], weigh(found.model, "hello friend")[0]
    assert isinstance(hard, float)
    assert isinstance(easy, float)
    assert easy < 0.4 < hard
    assert found.model.range == (0.0, 1.0)


def test_what_a_difficulty_is() -> None:
    prompts: list[str | None] = [f"prompt {at}" for at in range(150)]
    scores: dict[str, list[float | None]] = {
        "small": [0.0, 0.5, *([1.0] * 147), None],
        "strong": [1.0, 0.25, *([1.0] * 148)],
    }
    outcomes = _outcomes(scores, prompts)

    def hard(model: str | None, strong: str | None = None) -> list[float]:
        return [row[1] for row in difficulty_of(outcomes, model, strong).shares[:2]]

    assert hard("small") == [1.0, 0.5]
    assert hard("small", "strong") == [1.0, 0.0]
    assert hard(None) == [0.5, 0.625]
    assert difficulty_of(outcomes, "small").notes == ("1 cases have no prompt or no score",)
    with pytest.raises(match="no scores of model `big`; there are those of `small`, `strong`"):
        difficulty_of(outcomes, "big")
    with pytest.raises(match="equally difficult"):
        difficulty_of(_outcomes({"small": [1.0] * 150}, prompts), "small")


def test_tasks_of_outcomes() -> None:
    pairs = list(_pairs())
    cases = tuple(Case(str(at), task, prompt, None, group_of(prompt)) for at, (prompt, task) in enumerate(pairs))
    outcomes = Outcomes(cases, {"a": (1.0,) * len(cases)}, {}, {}, {})
    assert tasks_of(outcomes).digest == labeled_tasks(pairs, "elsewhere.csv").digest


def test_half_a_surrogate_pair_is_no_feature() -> None:
    pairs = [(f"{prompt} \ud800", task) for prompt, task in _pairs()]
    text = written(train(labeled_tasks(pairs, "made.csv"), "2026-11-30").model)
    assert read_model(text.encode().decode()).classes == ("code", "math", "talk")


def test_the_integers_of_the_file_say_what_the_fit_says(trained: Trained) -> None:
    """Rounded weights change a probability by a percent at most."""
    from costlens_policy.fit.learning.training import _corpus, _fit, _model

    corpus = _corpus(trained.labeled)
    kept, linear = _fit(corpus, np.ones(len(corpus.presence), dtype=bool), 10.0)
    model = _model(trained.labeled, corpus, kept, linear, 1.0, trained.model.training)
    from costlens_policy.fit.learning.logistic import softmax

    shares = softmax(corpus.presence.columns(kept).scores(linear))
    for prompt, row in list(zip(trained.labeled.prompts, shares, strict=True))[:40]:
        assert weigh(model, prompt)[1] == pytest.approx(row.max(), abs=0.015)
