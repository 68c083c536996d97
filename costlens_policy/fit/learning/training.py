"""Training a learned signal: features are chosen, weights fitted, and confidence is calibrated.

What is reported comes from prompts that the weights in question had not seen: each fold is told by a model of the
others. The same data and seed give the same model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

import numpy as np

from costlens_policy.fit.learning.assessing import HeldOut, temperature_of
from costlens_policy.fit.learning.labeled import Labeled
from costlens_policy.fit.learning.logistic import Linear, Presence, fitted
from costlens_policy.fit.measurements import Flags, Floats, Places
from costlens_policy.frozen import frozen
from costlens_policy.signals.learned.features import FAMILIES, features_of
from costlens_policy.signals.learned.model import HEAVIEST, UNIT, LearnedModel, Training

__all__ = ["Trained", "train"]

FOLDS: Final = 5
_IN_TEXTS: Final = 3
"""Texts that must have a feature; others are mostly names."""
_MOST_FEATURES: Final = 4_000
_MOST_WEIGHTS: Final = 18_000
"""Of all classes together, so that the file stays below 300 kB."""
_MOST_PROMPTS: Final = 50_000
_STRENGTHS: Final = {"task": (10.0,), "difficulty": (0.1, 0.3, 1.0)}
"""The fits to choose from, by the loss on held-out prompts. Tasks differ too little to try several."""


@frozen
class Trained:
    """A model, and how well models of other folds told the prompts of each, aligned with those of ``labeled``."""

    model: LearnedModel
    labeled: Labeled
    held_out: HeldOut


@frozen(eq=False)
class _Corpus:
    """Prompts as features. ``names`` are their families and texts; ``targets`` the shares of the classes."""

    names: list[tuple[str, str]]
    presence: Presence
    targets: Floats


def train(labeled: Labeled, date: str, seed: int = 0, tick: Callable[[], None] | None = None) -> Trained:
    """Learn a signal from prompts. ``date`` is that of the training; ``tick`` is called after each fit."""
    labeled = _sampled(labeled, seed)
    corpus = _corpus(labeled)
    fold_of = _folds(corpus.targets, seed)
    strength, scores = _held_out(corpus, fold_of, _STRENGTHS[labeled.tells], tick)
    held_out = HeldOut.of(labeled, scores, fold_of)
    kept, linear = _fit(corpus, np.ones(len(corpus.presence), dtype=bool), strength)
    training = Training(
        date, labeled.source, seed, labeled.digest, labeled.cases,
        {**held_out.facts(), "notes": list(labeled.notes), "strength": strength},
    )  # fmt: skip
    return Trained(_model(labeled, corpus, kept, linear, held_out.temperature, training), labeled, held_out)


def _sampled(labeled: Labeled, seed: int) -> Labeled:
    """Return at most so many prompts that training takes minutes, drawn by the seed."""
    count = len(labeled.prompts)
    if count <= _MOST_PROMPTS:
        return labeled
    places = np.sort(np.random.default_rng(seed).permutation(count)[:_MOST_PROMPTS])
    return Labeled(
        labeled.tells,
        labeled.classes,
        tuple(labeled.prompts[at] for at in places),
        tuple(labeled.groups[at] for at in places),
        tuple(labeled.shares[at] for at in places),
        labeled.source,
        (*labeled.notes, f"{count - _MOST_PROMPTS:,} of {count:,} prompts are not used: {_MOST_PROMPTS:,} are enough"),
    )


def _corpus(labeled: Labeled) -> _Corpus:
    """Take all prompts apart. Features of too few prompts never count, so they are dropped at once."""
    texts = [features_of(prompt) for prompt in labeled.prompts]
    named = [[(family, feature) for family, present in text.by_family() for feature in present] for text in texts]
    counts = Counter(name for names in named for name in set(names))
    names = sorted(name for name, count in counts.items() if count >= _IN_TEXTS and _is_text(name[1]))
    place = {name: at for at, name in enumerate(names)}
    rows = [sorted(place[name] for name in found if name in place) for found in named]
    features = np.fromiter((feature for row in rows for feature in row), np.int32)
    starts = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
    scale = 1.0 / np.sqrt([text.size for text in texts])
    return _Corpus(names, Presence(features, starts, scale, len(names)), np.array(labeled.shares))


def _is_text(feature: str) -> bool:
    """Return whether a file can hold a feature: half of a surrogate pair is no text."""
    return feature.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in feature)


def _folds(targets: Floats, seed: int) -> Places:
    """Return the fold of each prompt: shuffled, and each class spread evenly."""
    count = len(targets)
    order = np.lexsort((np.random.default_rng(seed).permutation(count), targets.argmax(axis=1)))
    folds = np.empty(count, dtype=np.int64)
    folds[order] = np.arange(count) % FOLDS
    return folds


def _held_out(
    corpus: _Corpus, fold_of: Places, strengths: tuple[float, ...], tick: Callable[[], None] | None
) -> tuple[float, Floats]:
    """Return the strength with the least loss on prompts of other folds, and the scores of these."""
    found = []
    for strength in strengths:
        scores = np.zeros_like(corpus.targets)
        for fold in range(FOLDS):
            aside = fold_of == fold
            kept, linear = _fit(corpus, ~aside, strength)
            scores[aside] = corpus.presence.rows(aside).columns(kept).scores(linear)
            if tick is not None:
                tick()
        found.append((temperature_of(scores, corpus.targets)[1], strength, scores))
    _, strength, scores = min(found, key=lambda item: item[0])
    return strength, scores


def _fit(corpus: _Corpus, chosen: Flags, strength: float) -> tuple[Places, Linear]:
    """Fit some of the texts on the features that weigh most there; return their places, and their weights."""
    texts, targets = corpus.presence.rows(chosen), corpus.targets[chosen]
    counts = texts.counts()
    common = np.flatnonzero(counts >= _IN_TEXTS)
    texts, counts = texts.columns(common), counts[common]
    first = fitted(texts, targets, strength)
    ranks = np.argsort(-np.abs(_centered(first.weights)).max(axis=1) * np.sqrt(counts), kind="stable")
    heaviest = np.sort(ranks[:_MOST_FEATURES])
    again = fitted(texts.columns(heaviest), targets, strength, Linear(first.weights[heaviest], first.biases))
    return common[heaviest], _pruned(again, counts[heaviest])


def _centered(weights: Floats) -> Floats:
    """Take the mean over the classes off each feature: it changes no share."""
    centered: Floats = weights - weights.mean(axis=1, keepdims=True)
    return centered


def _pruned(linear: Linear, counts: Places) -> Linear:
    """Leave only the weights that matter most: by their size, and by how many texts have their feature."""
    weights = _centered(linear.weights)
    effect = np.abs(weights) * np.sqrt(counts)[:, None]
    if effect.size > _MOST_WEIGHTS:
        weights = np.where(effect >= np.partition(effect.ravel(), -_MOST_WEIGHTS)[-_MOST_WEIGHTS], weights, 0.0)
    return Linear(weights, linear.biases - linear.biases.mean())


def _model(
    labeled: Labeled, corpus: _Corpus, kept: Places, linear: Linear, temperature: float, training: Training
) -> LearnedModel:
    """Return the model with weights as integers; the temperature that calibrates it is worked into them."""
    whole = np.clip(np.rint(linear.weights * UNIT / temperature), -HEAVIEST, HEAVIEST).astype(int)
    biases = np.clip(np.rint(linear.biases * UNIT / temperature), -HEAVIEST, HEAVIEST).astype(int)
    weights: dict[str, dict[str, dict[str, int]]] = {}
    for at, name in enumerate(labeled.classes):
        families: dict[str, dict[str, int]] = {}
        for row in sorted(np.flatnonzero(whole[:, at]), key=lambda row: (-whole[row, at], row)):
            family, feature = corpus.names[kept[row]]
            families.setdefault(family, {})[feature] = int(whole[row, at])
        weights[name] = {family: families[family] for family in FAMILIES if family in families}
    return LearnedModel(labeled.tells, labeled.classes, tuple(map(int, biases)), weights, training)
