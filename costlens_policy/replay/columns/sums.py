"""Sums over batches: everything that a result counts, in integers, to be merged and written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Final

from costlens_policy.engine.decision import Alert
from costlens_policy.money import ZERO, plain, total
from costlens_policy.replay.alerts import Shown, first_alerts, show_alert
from costlens_policy.replay.columns.accounts import Account
from costlens_policy.replay.columns.batch import instant
from costlens_policy.replay.columns.units import UnitPrices
from costlens_policy.replay.expected import Served, expected_of
from costlens_policy.replay.result import ModelTotals, Result
from costlens_policy.replay.settings import Settings
from costlens_policy.replay.traffic.row import Reject

__all__ = ["Sums"]

_MOST_REJECTS: Final = 100_000
"""As many rows that were left out are kept with their texts; more are counted."""


@dataclass(slots=True)
class ModelSums:
    """What went to one model; ``cost`` in units."""

    requests: int = 0
    unpriced: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0


@dataclass(slots=True)
class Sums:
    """Counts and sums as ``Result`` has them. Money is in units of the plan's ``UnitPrices``, but for ``logged_cost``.

    ``written`` is what the answers alone cost. ``rejected`` counts rows that were left out, ``rejects`` holds the first
    of them.
    """

    rows: int = 0
    allowed: Counter[str] = field(default_factory=Counter)
    denied: Counter[tuple[str, str]] = field(default_factory=Counter)
    models: dict[str, ModelSums] = field(default_factory=dict)
    cost: int = 0
    written: int = 0
    unpriced: int = 0
    longer: int = 0
    compared: int = 0
    recorded_cost: int = 0
    compared_cost: int = 0
    saved_by_denying: int = 0
    logged: int = 0
    logged_cost: Decimal = ZERO
    unknown_models: Counter[str] = field(default_factory=Counter)
    alerts: list[Shown] = field(default_factory=list)
    alert_count: int = 0
    rewrites: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    rejected: int = 0
    rejects: list[Reject] = field(default_factory=list)
    made: int = 0
    served: Served = field(default_factory=Counter)

    def model(self, name: str) -> ModelSums:
        """Return the sums of a model."""
        found = self.models.get(name)
        if found is None:
            found = self.models[name] = ModelSums()
        return found

    def alert_once(self, account: Account, alert: Alert, at: int) -> None:
        """Count an alert that is due, unless it was in this period before."""
        if not account.is_first(at, alert.threshold):
            return
        self.alert_count += 1
        known = {"budget": alert.budget, "key": alert.key, "at": plain(alert.at), "text": alert.text}
        show_alert(self.alerts, {**known, "time": instant(at).isoformat()})

    def reject(self, reject: Reject) -> None:
        """Count a row that is left out."""
        self.rejected += 1
        if len(self.rejects) < _MOST_REJECTS:
            self.rejects.append(reject)

    def merge(self, later: Sums) -> None:
        """Add what was counted of other rows of the same traffic, by the same plan."""
        for name in self.__slots__:
            mine, other = getattr(self, name), getattr(later, name)
            if name == "models":
                for model, sums in other.items():
                    _add_sums(self.model(model), sums)
            elif name == "logged_cost":
                self.logged_cost = total((mine, other))
            elif isinstance(mine, Counter):
                mine.update(other)
            elif name == "alerts":
                mine[:] = first_alerts([*mine, *other])
            elif name == "rejects":
                mine[:] = sorted([*mine, *other], key=lambda item: (item.file, item.number))[:_MOST_REJECTS]
            else:
                setattr(self, name, mine + other)

    def result(self, settings: Settings, prices: UnitPrices, files: Sequence[str], notes: Sequence[str]) -> Result:
        """Return the result as a replay row by row gives it."""
        usd = prices.usd
        models = {
            name: ModelTotals(item.requests, item.unpriced, item.prompt_tokens, item.cached_tokens, item.output_tokens,
                             usd(item.cost))
            for name, item in self.models.items()
        }  # fmt: skip
        return Result(
            settings, tuple(files), list(notes), rows=self.rows, allowed=self.allowed, denied=self.denied,
            models=models, unpriced=self.unpriced, longer=self.longer, compared=self.compared, logged=self.logged,
            logged_cost=self.logged_cost, unknown_models=self.unknown_models, alerts=first_alerts(self.alerts),
            alert_count=self.alert_count, rewrites=self.rewrites, errors=self.errors, rejects=self.rejects,
            rejected=self.rejected, shared=max(self.rows - self.made, 0), cost=usd(self.cost),
            written=usd(self.written), recorded_cost=usd(self.recorded_cost), compared_cost=usd(self.compared_cost),
            saved_by_denying=usd(self.saved_by_denying), expected=expected_of(self.served, prices.plan.catalogue),
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return the sums as JSON-like data."""
        flat = {name: getattr(self, name) for name in self.__slots__}
        return flat | {
            "denied": [[*key, count] for key, count in self.denied.items()],
            "served": [[*key, count] for key, count in self.served.items()],
            "models": {name: asdict(sums) for name, sums in self.models.items()},
            "logged_cost": plain(self.logged_cost),
            "rejects": [[item.file, item.number, item.problem, item.text] for item in self.rejects],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Sums:
        """Return the sums that ``to_dict`` wrote."""
        counters = {name: Counter(data[name]) for name in ("allowed", "unknown_models", "rewrites", "errors")}
        return cls(**data | counters | {
            "denied": Counter({(rule, why): count for rule, why, count in data["denied"]}),
            "served": Counter({(model, task): count for model, task, count in data["served"]}),
            "models": {name: ModelSums(**sums) for name, sums in data["models"].items()},
            "logged_cost": Decimal(data["logged_cost"]),
            "rejects": [Reject(*item) for item in data["rejects"]],
        })  # fmt: skip


def _add_sums(mine: ModelSums, other: ModelSums) -> None:
    for name in ModelSums.__slots__:
        setattr(mine, name, getattr(mine, name) + getattr(other, name))
