"""Multinomial logistic regression with an L2 penalty, on features that are there or are not.

Targets are shares of labels, so that a prompt may be hard to 0.7. The loss is convex, and minimized by L-BFGS (Nocedal
and Wright, *Numerical Optimization*, 2006, algorithm 7.4) from zero, with no random number: the same data give the same
weights.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from costlens_policy.frozen import frozen

__all__ = ["Floats", "Linear", "Presence", "fitted", "softmax"]

Floats: TypeAlias = NDArray[np.float64]
_Places: TypeAlias = NDArray[np.int64]

_REMEMBERED: Final = 8
_MOST_STEPS: Final = 120
_CLOSE: Final = 1e-4
"""The largest part of the gradient, in nats for the mean case, at which the weights are good enough."""
_AT_ONCE: Final = 1 << 16
"""Features of texts whose weights are gathered at a time: few enough for the processor's cache."""


@frozen(eq=False)
class Linear:
    """``weights`` by feature and label; ``biases`` by label."""

    weights: Floats
    biases: Floats


@frozen(eq=False)
class Presence:
    """Which texts have which of ``width`` features: those of text ``i`` are ``features[starts[i]:starts[i + 1]]``.

    ``scale`` is what each text's sum is multiplied by.
    """

    features: _Places
    starts: _Places
    scale: Floats
    width: int

    @staticmethod
    def of(texts: Sequence[Sequence[int]], scale: Floats, width: int) -> Presence:
        """Return the presence of the features of some texts."""
        starts = np.concatenate(([0], np.cumsum([len(text) for text in texts]))).astype(np.int64)
        features = np.fromiter((feature for text in texts for feature in text), np.int64, int(starts[-1]))
        return Presence(features, starts, scale, width)

    def transposed(self) -> Presence:
        """Return which features are in which texts, unscaled."""
        order = np.argsort(self.features, kind="stable")
        texts = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))[order]
        counts = np.bincount(self.features, minlength=self.width)
        starts = np.concatenate(([0], np.cumsum(counts)))
        return Presence(texts, starts, np.ones(self.width), len(self.scale))

    def dot(self, weights: Floats) -> Floats:
        """Return the scaled sum of the weights of each text's features."""
        sums = np.zeros((len(self.starts) - 1, weights.shape[1]))
        filled = np.flatnonzero(np.diff(self.starts))
        for some in np.array_split(filled, max(1, len(self.features) // _AT_ONCE)):
            if len(some):
                first, last = self.starts[some[0]], self.starts[some[-1] + 1]
                gathered = weights.take(self.features[first:last], axis=0)
                sums[some] = np.add.reduceat(gathered, self.starts[some] - first, axis=0)
        return sums * self.scale[:, None]


def fitted(presence: Presence, targets: Floats, counts: Floats, strength: float) -> Linear:
    """Return the weights of least loss.

    ``targets`` are shares of labels by text, ``counts`` how much each text counts. ``strength`` weighs the data against
    the penalty, as ``C`` does in LIBLINEAR: half the squared weights plus ``strength`` times the sum of the losses. The
    biases are free.
    """
    labels = targets.shape[1]
    turned = presence.transposed()
    total = counts.sum()
    ridge = 1.0 / (strength * total)

    def loss(point: Floats) -> tuple[float, Floats]:
        weights, biases = point[:-labels].reshape(-1, labels), point[-labels:]
        scores = presence.dot(weights) + biases
        shares = softmax(scores)
        entropy = -(targets * np.log(np.maximum(shares, 1e-12))).sum(axis=1)
        error = (shares - targets) * (counts / total)[:, None]
        slope = turned.dot(error * presence.scale[:, None]) + ridge * weights
        value = float((entropy * counts).sum() / total + ridge / 2 * (weights * weights).sum())
        return value, np.concatenate((slope.ravel(), error.sum(axis=0)))

    start = np.zeros(presence.width * labels + labels)
    start[-labels:] = np.log(np.maximum((targets * counts[:, None]).sum(axis=0) / total, 1e-6))
    point = _least(loss, start)
    return Linear(point[:-labels].reshape(-1, labels), point[-labels:])


def softmax(scores: Floats) -> Floats:
    """Return the share of each label by row."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _least(loss: Callable[[Floats], tuple[float, Floats]], point: Floats) -> Floats:
    value, slope = loss(point)
    past: deque[tuple[Floats, Floats, float]] = deque(maxlen=_REMEMBERED)
    for _ in range(_MOST_STEPS):
        if np.abs(slope).max() < _CLOSE * 0.1:
            break
        direction = _direction(slope, past)
        descent = float(direction @ slope)
        step = 1.0 if past else 1.0 / max(1.0, float(np.abs(slope).sum()))
        for _ in range(30):
            moved = point + step * direction
            new_value, new_slope = loss(moved)
            if new_value <= value + 1e-4 * step * descent:
                break
            step /= 2
        else:
            break
        change, turn = moved - point, new_slope - slope
        if (curvature := float(change @ turn)) > 1e-12:
            past.append((change, turn, curvature))
        point, value, slope = moved, new_value, new_slope
    return point


def _direction(slope: Floats, past: deque[tuple[Floats, Floats, float]]) -> Floats:
    """Return the direction of descent, by the curvature of the last steps."""
    direction = -slope
    shares = []
    for change, turn, curvature in reversed(past):
        share = float(change @ direction) / curvature
        shares.append(share)
        direction = direction - share * turn
    if past:
        _, turn, curvature = past[-1]
        direction = direction * (curvature / float(turn @ turn))
    for (change, turn, curvature), share in zip(past, reversed(shares), strict=True):
        direction = direction + (share - float(turn @ direction) / curvature) * change
    return direction
