"""The policy that stands on measured quality, on the recorded answers that it was not fitted to."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table
from shapes import table

from costlens_policy import load
from costlens_policy.fit.fitting import fit, parts_of
from costlens_policy.fit.measurements import Assumed, gather
from costlens_policy.fit.outcomes import read_outcomes
from costlens_policy.fit.target import Target
from costlens_policy.fit.words import dollars, percent, points

__all__ = ["measured_policy"]

_DAY = date(2026, 11, 30)


def measured_policy(answers: Path, policies: Path) -> Table:
    """Return the policy beside one model for everything, a coin and an oracle, on the cases that were kept aside.

    The fit is made again, so that the same cases are kept aside, and has to choose what the policy decides.
    """
    engine = load(policies)
    catalogue = engine.plan.catalogue
    outcomes = read_outcomes([str(answers)], catalogue=catalogue)
    inside, aside = parts_of(gather(outcomes, catalogue, Assumed(200, _DAY)), 0.2, 0)
    fitted = fit(inside, aside, Target(max_loss=0.01), 0)
    now = datetime(_DAY.year, _DAY.month, _DAY.day, tzinfo=UTC)
    decided = [engine.decide({"task": case.task}, now=now).model for case in aside.cases]
    assert decided == list(np.array(aside.models)[fitted.choice.served(aside)]), "the policy is what was fitted"
    shown = table(
        "2. Nine models on fourteen tasks: by measured quality, or one for everything",
        ("who answers", "right", "beside the best", "cost of 1,000 calls", "saved"),
        numbers=("right", "beside the best", "cost of 1,000 calls", "saved"),
        caption=f"{len(aside):,} of {len(inside) + len(aside):,} questions (LLMRouter), which the policy was not "
        f"fitted to, with 95% intervals. The policy is policies/measured, as `costlens-policy fit` writes it.",
    )  # fmt: skip
    for way in fitted.ways:
        name = escape(way.name).replace("the fitted policy", "the policy")
        shown.add_row(name, f"{way.score.value:.1%}", points(way.gain), dollars(way.cost), percent(way.saving))
    return shown
