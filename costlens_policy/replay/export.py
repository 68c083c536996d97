"""A result as plain data."""

from __future__ import annotations

from typing import Any

from costlens_policy.money import plain, total
from costlens_policy.replay.result import Result
from costlens_policy.replay.settings import assumptions

__all__ = ["export_result"]


def export_result(result: Result) -> dict[str, Any]:
    """Return everything that a result says. Money is a decimal string, so that no digit is lost."""
    low, high = result.cost_range()
    return {
        "files": list(result.files),
        "rows": result.rows,
        "rejected": result.rejected,
        "allowed": sum(result.allowed.values()),
        "denied": sum(result.denied.values()),
        "allowed_by_rule": dict(result.allowed.most_common()),
        "denied_by_rule": [
            {"rule": rule, "why": why, "requests": count} for (rule, why), count in result.denied.most_common()
        ],
        "models": {
            name: {
                "requests": tally.requests, "unpriced": tally.unpriced, "prompt_tokens": tally.prompt_tokens,
                "cached_tokens": tally.cached_tokens, "output_tokens": tally.output_tokens, "cost": plain(tally.cost),
            }
            for name, tally in sorted(result.models.items())
        },
        "cost": plain(result.cost),
        "cost_range": {"low": plain(low), "high": plain(high), "output_share": plain(result.settings.output_range)},
        "unpriced": result.unpriced,
        "answers_longer_than_allowed": result.longer,
        "comparison": {
            "rows": result.compared,
            "recorded_cost": plain(result.recorded_cost),
            "policy_cost": plain(result.compared_cost),
            "difference": plain(total((result.compared_cost, -result.recorded_cost))),
            "of_which_denied": plain(result.saved_by_denying),
            "unknown_models": dict(result.unknown_models.most_common()),
        },
        "logged": {"rows": result.logged, "cost": plain(result.logged_cost)},
        "quality": {
            name: {"requests": way.answered, "right": way.right, "cost": plain(way.cost), "unpriced": way.unpriced}
            for name, way in result.quality.items()
        },
        "alerts": {"count": result.alert_count, "first": list(result.alerts)},
        "rewrites": dict(result.rewrites.most_common()),
        "errors": dict(result.errors.most_common()),
        "notes": list(result.notes),
        "assumptions": list(assumptions(result.settings)),
        "shared_decisions": result.shared,
    }  # fmt: skip
