"""Measurements as tests need them: drawn with known chances, so that a fit can be compared with the truth."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import numpy as np

from costlens_policy.catalogue import Catalogue, Model, Period, Rates
from costlens_policy.fit.measurements import Assumed, Measurements, gather
from costlens_policy.fit.outcomes import Case, Outcomes, group_of

Chances = Mapping[str, Mapping[str, float]]
"""By task and model: how likely an answer is right."""

PRICES = {"large": "10", "small": "1", "tiny": "0.1"}
ASSUMED = Assumed(output_tokens=100, day=date(2026, 11, 30))

CHANCES: Chances = {
    "chat": {"large": 0.9, "small": 0.9, "tiny": 0.5},
    "code": {"large": 0.9, "small": 0.4, "tiny": 0.1},
    "extraction": {"large": 0.9, "small": 0.88, "tiny": 0.88},
}


def catalogue(prices: Mapping[str, str] = PRICES) -> Catalogue:
    """Return models with one price for input and output, in dollars per million tokens."""
    rates = {name: Rates({"input": Decimal(price), "output": Decimal(price)}) for name, price in prices.items()}
    return Catalogue.of(Model(name, periods=(Period(None, rate),)) for name, rate in rates.items())


def outcomes(chances: Chances = CHANCES, cases: int = 300, seed: int = 0) -> Outcomes:
    """Return drawn outcomes, so many for each task, with prompts that are all different."""
    random = np.random.default_rng(seed)
    named = [(task, number) for task in chances for number in range(cases)]
    drawn = tuple(
        Case(f"{task}-{number}", task, f"{task} question {seed} {number}", 100, group_of(f"{task} {seed} {number}"))
        for task, number in named
    )
    models = next(iter(chances.values()))
    scores = {name: tuple(float(random.random() < chances[task][name]) for task, _ in named) for name in models}
    return Outcomes(drawn, scores, {}, {}, {})


def measurements(chances: Chances = CHANCES, cases: int = 300, seed: int = 0) -> Measurements:
    return gather(outcomes(chances, cases, seed), catalogue(), ASSUMED)
