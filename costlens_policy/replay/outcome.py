"""What one recorded request would have come to under a policy set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from costlens_policy.catalogue import Usage
from costlens_policy.engine.decision import Alert
from costlens_policy.money import ZERO

__all__ = ["Outcome", "Refused"]

Refused = Literal["access", "budget", "unservable", "error"]
"""Why a request was denied: a rule said so, a budget had no room, no candidate can serve it, an expression failed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``refused`` is empty where the request is allowed.

    ``rule`` is the rule or budget that decided; ``cost`` is in US dollars, zero where the request is denied and None
    where the model has no price. ``written`` is the part of it that the answer costs.
    """

    model: str | None
    rule: str
    refused: Refused | Literal[""]
    reason: str
    usage: Usage
    cost: Decimal | None
    written: Decimal = ZERO
    alerts: tuple[Alert, ...] = ()
    rewrites: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    longer: bool = False
    """Whether the recorded answer is longer than the call would have allowed."""
    by_model: Mapping[str, Decimal | None] = field(default_factory=dict)
    """What the call costs on each model whose outcome the traffic carries."""

    @property
    def allowed(self) -> bool:
        return not self.refused
