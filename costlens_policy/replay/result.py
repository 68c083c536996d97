"""The outcome of one recorded request, and the totals of a replay, counted while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal

from costlens_policy.catalogue import Usage
from costlens_policy.engine.decision import Alert
from costlens_policy.frozen import frozen
from costlens_policy.money import ZERO, add, multiply, plain, total
from costlens_policy.replay.alerts import Shown, first_alerts, show_alert
from costlens_policy.replay.expected import Expected
from costlens_policy.replay.judged import Answer, Paired, Quality
from costlens_policy.replay.settings import Settings, assumptions
from costlens_policy.replay.traffic.row import Reject, Row

__all__ = ["ModelTotals", "Outcome", "Refused", "Result"]

Refused = Literal["access", "budget", "unservable", "error"]
"""Why a request was denied: a rule denies it, a budget has no room, no candidate can serve it, an expression failed."""


@frozen
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
    answers: Mapping[str, Answer] = field(default_factory=dict)
    """The answers whose quality was recorded, by the catalogue's own names of their models."""
    task: str = ""
    """The task whose quality counts; empty where none is known, or nobody measured the quality of any model."""

    @property
    def allowed(self) -> bool:
        return not self.refused

    @property
    def answer(self) -> Answer | None:
        """The answer that the request gets; none is a wrong one. None where its quality was not recorded."""
        return _NO_ANSWER if self.model is None else self.answers.get(self.model)


_NO_ANSWER: Final = Answer(0.0, ZERO)


@dataclass(slots=True)
class ModelTotals:
    """What went to one model. ``cost`` is of the priced calls."""

    requests: int = 0
    unpriced: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = ZERO

    def add(self, usage: Usage, cost: Decimal | None) -> None:
        self.requests += 1
        self.prompt_tokens += usage.prompt_tokens
        self.cached_tokens += usage.cache_read + usage.cache_read_audio
        self.output_tokens += usage.output + usage.reasoning + usage.output_audio + usage.output_image
        if cost is None:
            self.unpriced += 1
        else:
            self.cost = total((self.cost, cost))


@dataclass(slots=True)
class Result:
    """The result of a replay. Amounts are in US dollars.

    ``compared`` rows have a price on both sides; ``recorded_cost`` and ``compared_cost`` cover only them.

    ``saved_by_denying`` is the recorded cost of compared rows that are denied now: not a saving for anyone who wants
    the answer. ``written`` is the cost of the answers alone. ``rejects`` has the first of the ``rejected`` rows.
    """

    settings: Settings
    files: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    rows: int = 0
    allowed: Counter[str] = field(default_factory=Counter)
    denied: Counter[tuple[str, str]] = field(default_factory=Counter)
    models: dict[str, ModelTotals] = field(default_factory=dict)
    cost: Decimal = ZERO
    written: Decimal = ZERO
    unpriced: int = 0
    longer: int = 0
    compared: int = 0
    recorded_cost: Decimal = ZERO
    compared_cost: Decimal = ZERO
    saved_by_denying: Decimal = ZERO
    logged: int = 0
    logged_cost: Decimal = ZERO
    unknown_models: Counter[str] = field(default_factory=Counter)
    alerts: list[Shown] = field(default_factory=list)
    alert_count: int = 0
    rewrites: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)
    rejected: int = 0
    judged: int = 0
    """Requests for which the quality of any answer was recorded."""
    quality: dict[str, Quality] = field(default_factory=dict)
    beside: dict[str, Paired] = field(default_factory=dict)
    """Each other way to pick models beside the policy, on the requests for which the quality of both is recorded."""
    expected: Expected | None = None
    """Which quality to expect by the catalogue; None where it knows none."""
    shared: int = 0
    by_rows: str = ""
    """Why the traffic was replayed row by row; empty where it was replayed in columns, or there was no choice."""

    def reject(self, reject: Reject) -> None:
        """Count a row that is left out."""
        self.rejected += 1
        self.rejects.append(reject)

    def add(self, row: Row, outcome: Outcome, recorded: Decimal | None) -> None:
        """Count one row."""
        self.rows += 1
        self.errors.update(outcome.errors)
        if outcome.model is None:
            self.denied[outcome.rule, outcome.refused] += 1
        else:
            self._add_allowed(outcome, outcome.model)
        self._compare(row, outcome, recorded)
        for alert in outcome.alerts:
            self.alert_count += 1
            at = plain(alert.at)
            shown = {"budget": alert.budget, "key": alert.key, "at": at, "text": alert.text, "time": _time(row)}
            show_alert(self.alerts, shown)
        if outcome.answers:
            self._judge(outcome)

    def _add_allowed(self, outcome: Outcome, model: str) -> None:
        self.allowed[outcome.rule] += 1
        self.models.setdefault(model, ModelTotals()).add(outcome.usage, outcome.cost)
        self.rewrites.update(outcome.rewrites)
        self.longer += outcome.longer
        if outcome.cost is None:
            self.unpriced += 1
            return
        self.cost = total((self.cost, outcome.cost))
        self.written = add(self.written, outcome.written)

    def _compare(self, row: Row, outcome: Outcome, recorded: Decimal | None) -> None:
        if row.logged_cost is not None:
            self.logged += 1
            self.logged_cost = total((self.logged_cost, row.logged_cost))
        if recorded is None:
            if row.model is not None:
                self.unknown_models[row.model] += 1
            return
        if outcome.cost is None:
            return
        self.compared += 1
        self.recorded_cost = total((self.recorded_cost, recorded))
        self.compared_cost = total((self.compared_cost, outcome.cost))
        if not outcome.allowed:
            self.saved_by_denying = total((self.saved_by_denying, recorded))

    def _judge(self, outcome: Outcome) -> None:
        self.judged += 1
        ways = {f"only {model}": answer for model, answer in outcome.answers.items()}
        # of the best answers the cheapest; one without a price comes last
        ways["oracle"] = min(
            ways.values(), key=lambda answer: (-answer.right, answer.cost is None, answer.cost or ZERO)
        )
        own = outcome.answer
        if own is not None:
            self.quality.setdefault("policy", Quality()).add(own)
        for name, answer in ways.items():
            self.quality.setdefault(name, Quality()).add(answer)
            if own is not None:
                self.beside.setdefault(name, Paired()).add(own, answer, apart=answer is not own)

    def cost_range(self) -> tuple[Decimal, Decimal]:
        """Return the cost with all answers shorter, and longer, by ``output_range``."""
        swing = multiply(self.written, self.settings.output_range)
        return total((self.cost, -swing)), total((self.cost, swing))

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-like data; money is a decimal string."""
        return _export_result(self)


def _time(row: Row) -> str:
    return row.time.isoformat()


def _export_result(result: Result) -> dict[str, Any]:
    """Return a result as JSON-like data. Money is a decimal string, so that no digit is lost."""
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
                "requests": item.requests, "unpriced": item.unpriced, "prompt_tokens": item.prompt_tokens,
                "cached_tokens": item.cached_tokens, "output_tokens": item.output_tokens, "cost": plain(item.cost),
            }
            for name, item in sorted(result.models.items())
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
            name: way.to_dict() | (
                {"beside_policy": result.beside[name].to_dict("policy", "way")} if name in result.beside else {}
            )
            for name, way in result.quality.items()
        },
        "requests_with_outcomes": result.judged,
        "expected_quality": None if result.expected is None else result.expected.to_dict(),
        "alerts": {"count": result.alert_count, "first": first_alerts(result.alerts)},
        "rewrites": dict(result.rewrites.most_common()),
        "errors": dict(result.errors.most_common()),
        "notes": list(result.notes),
        "assumptions": list(assumptions(result.settings)),
        "shared_decisions": result.shared,
    }  # fmt: skip
