"""What a model says of a text: held against the same arithmetic in doubles, and exact where it must be."""

from __future__ import annotations

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.signals.learned import LearnedModel, explain, weigh
from costlens_policy.signals.learned.features import features_of
from costlens_policy.signals.learned.model import FINE, HEAVIEST, UNIT, probabilities
from tests.signals.learned.models import DIFFICULTY, TASKS, TRAINING

_WORDS = st.lists(
    st.sampled_from(["function", "def", "_", "a", "solve", "0", "=", "equation", "?", "Hello", "weather", "天"]),
    max_size=30,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Write a function def f_1(x)", "code"),
        ("Solve the equation x = 3?", "math"),
        ("Hello there, nice weather", "talk"),
        ("天气", "talk"),
    ],
)
def test_a_task_is_told_by_its_words(text: str, label: str) -> None:
    value, confidence = weigh(TASKS, text)
    assert value == label
    assert 0.4 < confidence < 1
    assert explain(TASKS, text)[0][1] > 0


def test_a_text_without_known_words_is_what_is_frequent_and_not_sure() -> None:
    value, confidence = weigh(TASKS, "zzz")
    assert (value, explain(TASKS, "zzz")) == ("talk", ())
    assert confidence < 0.5


def test_what_is_mostly_unknown_gives_less_confidence() -> None:
    sure = weigh(TASKS, "solve it")[1]
    assert weigh(TASKS, "please solve whatever these many strange other words may mean")[1] < sure


def test_a_difficulty_is_a_number_with_the_confidence_of_its_side() -> None:
    hard, confidence = weigh(DIFFICULTY, "prove it")
    assert isinstance(hard, float)
    assert hard > 0.5
    assert confidence == hard
    assert [word for word, _ in explain(DIFFICULTY, "prove it")] == ["prove"]
    easy, confidence = weigh(DIFFICULTY, "hello")
    assert isinstance(easy, float)
    assert easy < 0.5
    assert confidence == pytest.approx(1 - easy, abs=1e-4)
    assert (DIFFICULTY.labels, DIFFICULTY.range) == ((), (0.0, 1.0))
    assert (TASKS.labels, TASKS.range) == (("code", "math", "talk"), None)


def test_the_words_that_weighed_most_come_first_and_show_their_family() -> None:
    words = dict(explain(TASKS, "Write a function def f_1(x) while doing something"))
    assert next(iter(words)) == "def"
    assert words["…ing"] < 0
    assert "a function" in words


@given(_WORDS)
def test_scores_are_those_of_plain_arithmetic(words: list[str]) -> None:
    features = features_of(" ".join(words))
    for label, bias, score in zip(TASKS.classes, TASKS.biases, TASKS.scores(features), strict=True):
        total = sum(
            TASKS.weights[label].get(family, {}).get(feature, 0)
            for family, present in features.by_family()
            for feature in present
        )
        assert score / FINE == pytest.approx((bias + total / math.sqrt(features.size)) / UNIT, abs=3e-3)


@given(st.lists(st.integers(-60_000, 60_000), min_size=1, max_size=20))
def test_probabilities_are_a_softmax(scores: list[int]) -> None:
    highest = max(scores)
    powers = [math.exp((score - highest) / FINE) for score in scores]
    plain = [power / sum(powers) for power in powers]
    assert probabilities(scores) == pytest.approx(plain, abs=1e-4)


def test_sums_of_the_heaviest_weights_stay_in_their_lanes() -> None:
    words = [f"w{chr(97 + at // 26)}{chr(97 + at % 26)}" for at in range(200)]
    heavy, light = dict.fromkeys(words, HEAVIEST), dict.fromkeys(words, -HEAVIEST)
    model = LearnedModel(
        "task",
        ("a", "b", "c"),
        (0, 0, 0),
        {"a": {"words": light}, "b": {"words": heavy}, "c": {"words": light}},
        TRAINING,
    )
    low, high, same = model.scores(features_of(" ".join(words)))
    assert low == same < 0 < high
    assert abs(low + high) <= 1


def test_the_same_to_the_last_bit() -> None:
    """These figures are part of the format: a change of them needs another version of features."""
    text = "Solve the equation: what is 12 = 3 * x?\n(A) 4\n(B) 5  singing a function_of 天气 Ünïcode"
    assert TASKS.scores(features_of(text)) == [1949, 2534, 1682]
    assert weigh(TASKS, text) == ("math", 0.5)


def test_a_model_travels_by_pickle() -> None:
    again = pickle.loads(pickle.dumps(TASKS))
    assert again == TASKS
    assert weigh(again, "def f") == weigh(TASKS, "def f")
