"""Scores in a table of somebody else, and what outcomes say of them whoever joined them."""

from __future__ import annotations

import random
from typing import Any

import polars as pl

from costlens_policy.fit.outcomes import Outcomes

__all__ = ["said", "table_of"]


def table_of(count: int) -> pl.DataFrame:
    """Return scores of three models, some of them missing, there twice, or empty."""
    chance, rows = random.Random(7), list[dict[str, Any]]()
    for number in range(count):
        for model in ("a", "b", "c"):
            if chance.random() < 0.9:
                score = None if chance.random() < 0.05 else chance.choice((0.0, 0.5, 1.0))
                rows.append({
                    "id": f"c{number}", "task": f"t{number % 3}", "model": model, "score": score,
                    "prompt": f"question {number // 2}", "cost": f"0.0{chance.randrange(100):02}",
                })  # fmt: skip
            if chance.random() < 0.05:
                rows.append(dict(rows[-1]))
    return pl.DataFrame(rows)


def said(outcomes: Outcomes) -> Any:
    """Return all of outcomes but their order, and the places of notes."""
    cases = sorted(
        (case.id, case.task, case.prompt, case.group, [(name, column[at]) for name, column in outcomes.scores.items()],
         [(name, column[at]) for name, column in outcomes.costs.items()])
        for at, case in enumerate(outcomes.cases)
    )  # fmt: skip
    notes = outcomes.notes
    counts = sorted((tally.what, tally.count) for tally in (*notes.dropped, *notes.unjoined, *notes.remarks))
    return cases, notes.rows, notes.scores, counts, outcomes.digest
