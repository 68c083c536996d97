"""The whole advice: numbers, and what the policies make of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from decimal import Inexact
from typing import Final

from costlens_policy.advise.facts import facts_of
from costlens_policy.advise.numbers import Numbers, reckon
from costlens_policy.advise.read import read_workload
from costlens_policy.advise.recommend import Recommendation, recommend
from costlens_policy.advise.rules_of_thumb import rules_of_thumb
from costlens_policy.advise.strategies import Setting
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.errors import InputError

__all__ = ["Advice", "advise"]

_TOO_LONG: Final = (
    "the sums have more digits than can be kept exactly; lower the growth or the horizon, or give numbers fewer digits"
)


@dataclass(frozen=True, slots=True)
class Advice:
    """``recommendation`` is None where no policy set was named. ``warnings`` are about the catalogue."""

    setting: Setting
    numbers: Numbers
    recommendation: Recommendation | None
    now: datetime
    warnings: tuple[Diagnostic, ...] = ()


def advise(
    path: str | os.PathLike[str], *, months: int, now: datetime, policy_set: str | os.PathLike[str] | None = None
) -> Advice:
    """Advise on the workload in a file over a horizon of months, at the prices of a moment.

    ``policy_set`` (a file or folder) takes the place of the one that the workload names. Raises ``PolicyError`` with
    every problem of the workload, the catalogue or the policies, ``InputError`` where sums would have more digits than
    can be kept exactly.
    """
    given = read_workload(path, months, now.date())
    rules = rules_of_thumb()
    try:
        numbers = reckon(given.setting, rules)
    except Inexact:  # nothing is rounded in silence
        raise InputError(_TOO_LONG) from None
    chosen = policy_set or given.policy_set
    facts = facts_of(given.setting, numbers, rules)
    recommendation = None if chosen is None else recommend(chosen, facts, now)
    return Advice(given.setting, numbers, recommendation, now, given.warnings)
