"""A ranking as plain data. Money is decimal strings."""

from __future__ import annotations

from typing import Any

from costlens_policy.advise.export import export_advice
from costlens_policy.advise.traffic.rank import Ranked, Ranking
from costlens_policy.advise.traffic.seen import EPOCH, MICROSECOND
from costlens_policy.money import plain

__all__ = ["export_ranking"]


def export_ranking(ranking: Ranking) -> dict[str, Any]:
    """Return the ranking: tasks in its order, each with the whole advice on it."""
    period = ranking.seen.period
    return {
        "calls": ranking.seen.calls,
        "by": ranking.asked.by,
        "first": None if period is None else (EPOCH + period.first * MICROSECOND).isoformat(),
        "last": None if period is None else (EPOCH + period.last * MICROSECOND).isoformat(),
        "prices": ranking.source,
        "tasks": list(map(_ranked, ranking.ranked)),
        "left_out": [{"task": task.name, "calls": task.calls, "why": why} for task, why in ranking.left_out],
    }


def _ranked(item: Ranked) -> dict[str, Any]:
    even = item.advice.numbers.break_evens.get(item.strategy or "")
    return {
        "task": item.task.name,
        "calls": item.task.calls,
        "candidate": item.is_candidate,
        "instead": item.strategy,
        "saving_usd": plain(item.saving),
        "break_even_months": None if even is None else round(float(even.months), 6),
        "monthly_usd": plain(item.monthly_usd),
        "current_model": item.derived.contenders.current.model.name,
        "models": dict(sorted(item.task.models.items())),
        "shared_start_tokens": item.derived.shared,
        "unknown": list(item.derived.unknown),
        "assumed": list(item.derived.assumed),
        "advice": export_advice(item.advice),
    }
