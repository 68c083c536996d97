"""The regression: its gradient, its optimum, and sums over features that are there."""

from __future__ import annotations

import numpy as np
import pytest

from costlens_policy.fit.learning.logistic import Linear, Presence, _loss, fitted, softmax


@pytest.fixture(scope="module")
def presence() -> Presence:
    random = np.random.default_rng(5)
    rows = [sorted(random.choice(12, random.integers(0, 6), replace=False)) for _ in range(80)]
    rows[3] = [2, 2, 5]
    starts = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
    features = np.array([feature for row in rows for feature in row], dtype=np.int32)
    return Presence(features, starts, random.uniform(0.2, 1, 80), 12)


def _dense(presence: Presence) -> np.ndarray:
    table = np.zeros((len(presence), presence.width))
    np.add.at(table, (presence.texts, presence.features), 1)
    return table * presence.scale[:, None]


def test_sums_are_those_of_a_table(presence: Presence) -> None:
    weights = np.random.default_rng(1).normal(size=(12, 3))
    dense = _dense(presence)
    assert presence.dot(weights) == pytest.approx(dense @ weights)
    error = np.random.default_rng(2).normal(size=(80, 3))
    assert presence.transposed().dot(error * presence.scale[:, None]) == pytest.approx(dense.T @ error)
    some = np.arange(80) % 3 == 0
    assert presence.rows(some).columns(np.array([1, 5, 7])).dot(weights[[1, 5, 7]]) == pytest.approx(
        dense[some][:, [1, 5, 7]] @ weights[[1, 5, 7]]
    )


def test_the_gradient_is_the_slope_of_the_loss(presence: Presence) -> None:
    random = np.random.default_rng(3)
    targets = softmax(random.normal(size=(80, 3)))
    loss = _loss(presence, targets, 0.01)
    point = random.normal(size=12 * 3 + 3)
    slope = loss(point)[1]
    for at in range(0, len(point), 7):
        step = np.zeros(len(point))
        step[at] = 1e-6
        assert (loss(point + step)[0] - loss(point - step)[0]) / 2e-6 == pytest.approx(slope[at], abs=1e-6)


def test_the_weights_are_those_of_least_loss(presence: Presence) -> None:
    targets = np.eye(3)[np.random.default_rng(4).integers(0, 3, 80)]
    found = fitted(presence, targets, 1.0)
    loss = _loss(presence, targets, 1.0 / 80)
    value, slope = loss(np.concatenate((found.weights.ravel(), found.biases)))
    assert np.abs(slope).max() < 1e-5
    again = fitted(presence, targets, 1.0, Linear(found.weights + 0.5, found.biases))
    assert loss(np.concatenate((again.weights.ravel(), again.biases)))[0] == pytest.approx(value, abs=1e-6)


def test_without_features_every_text_gets_the_frequent_class() -> None:
    nothing = Presence(np.array([], dtype=np.int32), np.zeros(11, dtype=np.int64), np.ones(10), 0)
    targets = np.eye(2)[[0] * 7 + [1] * 3]
    found = fitted(nothing, targets, 1.0)
    assert softmax(nothing.scores(found))[0] == pytest.approx([0.7, 0.3], abs=1e-4)
