"""What a replay in columns is about, and what it made once for all batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from costlens_policy.compiler.plan import Plan
from costlens_policy.replay.columns.units import Prices
from costlens_policy.replay.settings import Settings

__all__ = ["Job"]


@dataclass(frozen=True, slots=True)
class Job:
    """A plan and the assumptions. ``attributes`` are those of the request that batches have columns for.

    ``files`` are the names that the column ``file`` counts, for rows that are left out.
    """

    plan: Plan
    settings: Settings
    attributes: tuple[str, ...] = ()
    files: Sequence[str] = ("",)
    prices: Prices = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = dict.fromkeys((*self.attributes, "session", "model"))
        known = tuple(name for name in names if name in self.plan.attributes)
        object.__setattr__(self, "attributes", known)
        object.__setattr__(self, "prices", Prices(self.plan))
