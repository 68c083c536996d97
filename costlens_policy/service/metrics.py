"""What Prometheus reads: decisions, denials, money, the ledger, requests. Right with several workers.

Several workers write into files of one folder, which ``PROMETHEUS_MULTIPROC_DIR`` names before ``prometheus_client`` is
imported; whichever worker is asked adds them up.
"""

from __future__ import annotations

import os
import time
from collections import Counter as Counts
from collections.abc import Iterable
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from costlens_policy.client.wire import HeldLine
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decision import BalanceSeen, Decision
from costlens_policy.guard import Charged, Event

__all__ = ["CONTENT_TYPE", "FOLDER", "Metrics"]

CONTENT_TYPE: Final = b"text/plain; version=1.0.0; charset=utf-8"
FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LATELY: Final = 60.0
_STATUS: Final = {status.value: str(status.value) for status in HTTPStatus}


class Metrics:
    """The counters of one worker."""

    def __init__(self) -> None:
        registry: Final = CollectorRegistry()
        self._registry: Final = registry
        self._decisions: Final = Counter(
            "costlens_policy_decisions",
            "Decisions by deciding rule and outcome.",
            ("rule", "outcome"),
            registry=registry,
        )
        self._denials: Final = Counter(
            "costlens_policy_budget_denials", "Denials in which a budget had no room.", ("budget",), registry=registry
        )
        self._reserved: Final = Counter(
            "costlens_policy_reserved_usd", "US dollars held for calls.", ("budget",), registry=registry
        )
        self._settled: Final = Counter(
            "costlens_policy_settled_usd", "US dollars charged.", ("budget",), registry=registry
        )
        self._answers: Final = Counter(
            "costlens_policy_http_requests",
            "Requests by endpoint and status.",
            ("endpoint", "status"),
            registry=registry,
        )
        self.ledger: Final = Histogram(
            "costlens_policy_ledger_seconds", "How long the ledger took to answer.", buckets=_SECONDS, registry=registry
        )
        self._dropped: Final = Counter(
            "costlens_policy_dropped",
            "Requests turned away, and entries of the log lost.",
            ("what",),
            registry=registry,
        )
        self._reloads: Final = Counter(
            "costlens_policy_reloads", "Versions of the policies that were tried.", ("outcome",), registry=registry
        )
        self._alerts: Final = Counter(
            "costlens_policy_alerts", "Events that were delivered.", ("kind", "budget"), registry=registry
        )
        self._used: Final = Gauge(
            "costlens_policy_budget_used_ratio",
            "The largest share of its limit that a budget had used and held with a call of the last minute.",
            ("budget",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._policies_current: Final = Gauge(
            "costlens_policy_policies_current",
            "Whether the policies are those of their source: the least of all workers.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._ledger_up: Final = Gauge(
            "costlens_policy_ledger_up",
            "Whether the ledger answers: the least of all workers.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._in_flight: Final = Gauge(
            "costlens_policy_http_requests_in_flight",
            "Requests under way.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._log_dropped = 0
        self._counted: Final[Counts[tuple[Counter, tuple[str, ...]]]] = Counts()
        """What was counted since the last look: a counter of the library takes ten times as long."""
        self._decided: Final[dict[tuple[str, bool], int]] = {}
        self._answered: Final[dict[tuple[str, int], int]] = {}
        """What every request adds to, in less time still."""
        self._shares: Final[dict[str, tuple[float, float]]] = {}
        """By budget, the largest share of its limit that was seen lately, and when."""

    def begin(self, endpoints: Iterable[str], plan: Plan) -> None:
        """Show zeros, of budgets by ``policy/budget`` alone, as decisions name them.

        A counter that comes with its first event shows no increase by it, and raises no alert.
        """
        for what in ("request", "log entry"):
            self._dropped.labels(what)
        for outcome in ("loaded", "refused"):
            self._reloads.labels(outcome)
        for endpoint in endpoints:
            self._answers.labels(endpoint, "500")
        for budget in {step.id for _, step in plan.budgets.values()}:
            self._denials.labels(budget)
            self._alerts.labels("alert", budget)

    def decided(self, *decisions: Decision) -> None:
        """Count decisions, and each budget that had no room where they are denials."""
        counts = self._decided
        for decision in decisions:
            allowed = decision.allowed
            key = decision.rule, allowed
            counts[key] = counts.get(key, 0) + 1
            if not allowed:
                for budget in {item.by for item in decision.excluded if item.key is not None}:
                    self._counted[self._denials, (budget,)] += 1

    def answered(self, endpoint: str, status: int) -> None:
        key = endpoint, status
        self._answered[key] = self._answered.get(key, 0) + 1

    def turned_away(self) -> None:
        """Count a request that was not looked at, since too many were under way."""
        self._counted[self._dropped, ("request",)] += 1

    def log_dropped(self, total: int) -> None:
        """Count entries that the decision log lost, of which there are so many by now."""
        self._counted[self._dropped, ("log entry",)] += total - self._log_dropped
        self._log_dropped = total

    def reloaded(self, outcome: str) -> None:
        """Count a version of the policies that was tried."""
        self._reloads.labels(outcome).inc()

    def alerted(self, event: Event) -> None:
        """Count an event of the guard. It is one of its sinks, which threads call."""
        self._alerts.labels(event.kind, event.budget).inc()

    def reserved(self, lines: Iterable[HeldLine], balances: Iterable[BalanceSeen]) -> None:
        """Count what was held, on budgets of money, and look at how full each budget is with the call."""
        for line in lines:
            if line.unit == "usd":
                self._reserved.labels(line.budget).inc(float(Decimal(line.amount)))
        now = time.monotonic()
        for seen in balances:
            if seen.limit > 0:
                share = float((seen.used + seen.held + seen.call) / seen.limit)
                most, when = self._shares.get(seen.budget, (share, now))
                if share >= most or now - when > _LATELY:
                    self._shares[seen.budget] = share, now

    def settled(self, charged: Charged) -> None:
        """Count what was charged, on budgets of money, once for each call."""
        for line in () if charged.repeated else charged.budgets:
            if line.unit == "usd":
                self._settled.labels(line.budget).inc(float(line.amount))

    def flush(self, *, ledger_up: bool, policies_current: bool, in_flight: int) -> None:
        """Let all workers see what this one counted, and how it is."""
        for (rule, allowed), times in self._decided.items():
            self._counted[self._decisions, (rule, "allow" if allowed else "deny")] += times
        for (endpoint, status), times in self._answered.items():
            self._counted[self._answers, (endpoint, _STATUS[status])] += times
        counted = dict(self._counted)
        for taken in (self._decided, self._answered, self._counted):
            taken.clear()
        for (counter, labels), times in counted.items():
            counter.labels(*labels).inc(times)
        now = time.monotonic()
        for budget, (share, when) in self._shares.items():
            self._used.labels(budget).set(share if now - when <= _LATELY else 0)
        self._policies_current.set(policies_current)
        self._ledger_up.set(ledger_up)
        self._in_flight.set(in_flight)

    def close(self) -> None:
        """Take back how this worker is; what it counted stays."""
        if FOLDER in os.environ:
            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call, unused-ignore]

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format, of all workers."""
        if FOLDER not in os.environ:
            return bytes(generate_latest(self._registry))
        _forget_killed(Path(os.environ[FOLDER]))
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call, unused-ignore]
        return bytes(generate_latest(together))


def _forget_killed(folder: Path) -> None:
    """Take back how workers were that had no time to do so themselves."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)  # type: ignore[no-untyped-call, unused-ignore]
