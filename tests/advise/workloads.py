"""Workloads made in memory: a document, models with prices, a setting."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from costlens_policy.advise.strategies import Contest, Setting
from costlens_policy.catalogue import Model, Period, Rates
from costlens_policy.documents import WorkloadDocument

PRICES = {
    "large": {"input": "2", "cache_read": "0.5", "cache_write": "2.5", "output": "8"},
    "small": {"input": "0.1", "cache_read": "0.025", "output": "0.4"},
    "tuned": {"input": "0.8", "cache_read": "0.2", "output": "3.2"},
}


def document(**changes: Any) -> WorkloadDocument:
    """Return a workload with everything in it; a change to None leaves a section out."""
    plain: dict[str, Any] = {
        "apiVersion": "costlens-policy/v1",
        "kind": "Workload",
        "metadata": {"name": "triage", "version": "1"},
        "catalogue": "catalogue.yaml",
        "queries": {"per_month": 100_000, "growth_per_month": Decimal("0.02")},
        "prompt": {"tokens": 5000, "examples": 3000, "instructions": 1000},
        "output_tokens": 50,
        "current": {"model": "large"},
        "caching": {"share": Decimal("0.9"), "hit_ratio": Decimal("0.8")},
        "small": {"model": "small"},
        "fine_tuned": {
            "model": "tuned",
            "training": {"usd": 5000},
            "labeling": {"examples": 2000, "at_hand": 500, "usd_each": Decimal("0.4")},
            "retraining": {"every_months": 4, "relabeled_share": Decimal("0.25")},
            "hosting_usd_per_hour": Decimal("0.35"),
            "lead_weeks": 3,
        },
        "hybrid": {"routed_share": Decimal("0.7")},
        "needs": {"scope": "narrow"},
    }
    merged = {**plain, **changes}
    return WorkloadDocument.model_validate({key: value for key, value in merged.items() if value is not None})


def contest(name: str) -> Contest:
    rates = Rates({bucket: Decimal(price) for bucket, price in PRICES[name].items()})
    return Contest(Model(name), Period(None, rates))


def setting(months: int = 12, **changes: Any) -> Setting:
    """Return a setting around ``document``."""
    workload = document(**changes)
    small = contest("small") if workload.small else None
    tuned = contest("tuned") if workload.fine_tuned else None
    return Setting(workload, months, contest("large"), small, tuned)
