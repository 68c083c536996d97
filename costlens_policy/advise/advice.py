"""The whole advice: numbers, and what the policies make of them."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from decimal import Inexact
from typing import Final

from costlens_policy.advise.facts import facts_of
from costlens_policy.advise.numbers import Numbers, reckon
from costlens_policy.advise.read import read_workload
from costlens_policy.advise.recommend import Recommendation, own_policy_set, recommend
from costlens_policy.advise.rules_of_thumb import rules_of_thumb
from costlens_policy.advise.strategies import Setting
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.errors import InputError

__all__ = ["Advice", "advise", "advise_on"]

_TOO_LONG: Final = (
    "the sums have more digits than can be kept exactly; lower the growth or the horizon, or give numbers fewer digits"
)


@dataclass(frozen=True, slots=True)
class Advice:
    """``warnings`` are about the catalogue."""

    setting: Setting
    numbers: Numbers
    recommendation: Recommendation
    now: datetime
    warnings: tuple[Diagnostic, ...] = ()


def advise(
    path: str | os.PathLike[str], *, months: int, now: datetime, policy_set: str | os.PathLike[str] | None = None
) -> Advice:
    """Advise on the workload in a file over a horizon of months, at the prices of a moment.

    ``policy_set`` (a file or folder) takes the place of the one that the workload names; where neither is, the one of
    the package recommends. Raises ``PolicyError`` with every problem of the workload, the catalogue or the policies,
    ``InputError`` where sums would have more digits than can be kept exactly.
    """
    given = read_workload(path, months, now.date())
    return advise_on(given.setting, now, policy_set or given.policy_set, given.warnings)


def advise_on(
    setting: Setting,
    now: datetime,
    policy_set: str | os.PathLike[str] | None = None,
    warnings: tuple[Diagnostic, ...] = (),
) -> Advice:
    """Advise on a workload that was read or made already. Raises as ``advise`` does."""
    rules = rules_of_thumb()
    try:
        numbers = reckon(setting, rules)
    except Inexact:  # nothing is rounded in silence
        raise InputError(_TOO_LONG) from None
    facts = facts_of(setting, numbers, rules)
    with nullcontext(policy_set) if policy_set is not None else own_policy_set() as chosen:
        return Advice(setting, numbers, recommend(chosen, facts, now), now, warnings)
