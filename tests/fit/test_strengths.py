"""Bradley-Terry strengths: known cases, another way to solve them, and models that are not comparable."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.fit.outcomes import Case, Outcomes, OutcomesError
from costlens_policy.fit.strengths import strengths

Battle = tuple[str, str, float]


def _outcomes(battles: list[Battle], task: str | None = None) -> Outcomes:
    models = sorted({model for battle in battles for model in battle[:2]})
    cases = tuple(Case(str(at), task, None, None, str(at)) for at in range(len(battles)))
    scores: dict[str, tuple[float | None, ...]] = {
        model: tuple(share if model == first else 1 - share if model == second else None
                     for first, second, share in battles)
        for model in models
    }  # fmt: skip
    return Outcomes(cases, scores, {}, {}, {}, paired=True)


def test_of_two_models_the_share_is_that_of_wins() -> None:
    found = strengths(_outcomes([("a", "b", 1.0)] * 6 + [("b", "a", 1.0)] * 2 + [("a", "b", 0.5)] * 2))
    assert [(item.model, item.comparisons) for item in found] == [("a", 10), ("b", 10)]
    assert found[0].share == pytest.approx(0.7)
    assert found[1].share == pytest.approx(0.3)
    assert found[0].low is not None and found[0].high is not None  # noqa: PT018 (for the type checker)
    assert found[0].low < 0.7 < found[0].high


def test_a_model_is_comparable_with_those_that_it_never_met() -> None:
    battles = [("a", "b", 1.0)] * 3 + [("a", "b", 0.0)] + [("b", "c", 1.0)] * 3 + [("b", "c", 0.0)]
    share = {item.model: item.share for item in strengths(_outcomes(battles), resamples=0)}
    # strengths 9, 3 and 1, so that `a` beats `c` nine times of ten
    assert share["a"] == pytest.approx((9 / 12 + 9 / 10) / 2, abs=1e-5)
    assert share["b"] == pytest.approx((3 / 12 + 3 / 4) / 2, abs=1e-5)


def test_models_that_are_not_comparable_are_named() -> None:
    battles = [("a", "b", 1.0), ("a", "b", 0.0), ("c", "a", 1.0), ("c", "b", 1.0)]
    found = strengths(_outcomes(battles), resamples=5)
    assert {item.model: item.share is None for item in found} == {"a": False, "b": False, "c": True}
    assert [item.share for item in strengths(_outcomes([("a", "b", 1.0)]))] == [None, None]


def test_intervals_cover_and_repeat() -> None:
    random = Random(7)
    true = {"a": 4.0, "b": 2.0, "c": 1.0}
    battles: list[Battle] = []
    for _ in range(600):
        first, second = random.sample(sorted(true), 2)
        battles.append((first, second, float(random.random() < true[first] / (true[first] + true[second]))))
    found = strengths(_outcomes(battles), seed=3)
    assert found == strengths(_outcomes(battles), seed=3)
    for item in found:
        share = sum(true[item.model] / (true[item.model] + true[other]) for other in true if other != item.model) / 2
        assert item.low is not None
        assert item.high is not None
        assert item.low <= share <= item.high
        assert item.high - item.low < 0.15


@settings(max_examples=8)
@given(
    st.lists(st.tuples(st.sampled_from(["ab", "bc", "ac"]), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=30)
)
def test_expected_wins_are_those_that_were_seen(drawn: list[tuple[str, float]]) -> None:
    ties = [("ab", 0.5), ("bc", 0.5), ("ac", 0.5)]  # so that all are comparable
    battles = [(pair[0], pair[1], share) for pair, share in [*drawn, *ties]]
    expected = _solved(battles)
    for item in strengths(_outcomes(battles), resamples=0):
        others = [expected[name] for name in expected if name != item.model]
        share = sum(expected[item.model] / (expected[item.model] + other) for other in others) / 2
        assert item.share == pytest.approx(share, abs=1e-4)


def _solved(battles: list[Battle]) -> dict[str, float]:
    """Return the strengths at which each model's expected wins are those seen, by bisecting one after the other.

    That is where the likelihood is highest, since its derivative is their difference.
    """
    found = dict.fromkeys("abc", 1.0)
    met = {
        name: [(o, w) for f, s, w in battles for m, o, w in ((f, s, w), (s, f, 1 - w)) if m == name] for name in found
    }
    for _ in range(60):
        for name in "bc":  # the strength of the first is 1
            low, high = 1e-6, 1e6
            for _ in range(40):
                middle = (low * high) ** 0.5
                surplus = sum(middle / (middle + found[other]) - won for other, won in met[name])
                low, high = (middle, high) if surplus < 0 else (low, middle)
            found[name] = low
    return found


def test_scores_are_not_preferences() -> None:
    with pytest.raises(OutcomesError, match="strengths are of pairwise preferences"):
        strengths(Outcomes((Case("1", None, None, None, "1"),), {"a": (1.0,)}, {}, {}, {}))
