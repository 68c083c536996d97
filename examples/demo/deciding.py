"""The reference policies decide sample requests: model, prompt, allowed or denied, cost, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table
from shapes import table

from costlens_policy import Decision, Engine
from costlens_policy.catalogue import Usage
from costlens_policy.money import format_usd

__all__ = ["decided", "expected_quality"]

_ALWAYS = ("gpt-5-nano", "gpt-5-mini", "claude-sonnet-5-5")


def decided(engine: Engine, path: Path) -> Table:
    """Return one line for each request of a file."""
    samples = _samples(path)
    shown = table(
        f"1. The reference policies decide {len(samples)} requests",
        ("request", "decision", "at most", "rule", "what else happened"), numbers=("at most",),
    )  # fmt: skip
    for name, request in samples:
        decision = engine.decide(request)
        estimate = decision.estimate
        cost = "" if estimate is None or estimate.cost is None else _dollars(estimate.cost)
        outcome = f"[green]{decision.model}[/]" if decision.allowed else "[red]denied[/]"
        shown.add_row(name, outcome, cost, decision.rule, escape("; ".join(_notes(decision))))
    return shown


def expected_quality(engine: Engine, path: Path) -> Table:
    """Return the reference policies beside one model for everything, by the quality in the catalogue."""
    decisions = [(request["task"], engine.decide(request)) for _, request in _samples(path) if "task" in request]
    judged = [
        (task, decision, decision.model)
        for task, decision in decisions
        if decision.model and all(_stated(engine, name, task) for name in (decision.model, *_ALWAYS))
    ]
    shown = table(
        "2. The same requests with one model for everything", ("who answers", "estimated cost", "expected quality"),
        numbers=("estimated cost", "expected quality"),
        caption="Quality as in policies/catalogue.yaml, not measured; allowed requests with a known task.",
    )  # fmt: skip
    ways: list[tuple[str, Sequence[str]]] = [("the reference policies", [model for _, _, model in judged])]
    ways += [(f"always {name}", [name] * len(judged)) for name in _ALWAYS]
    for way, models in ways:
        costs = (_cost(engine, decision, model) for (_, decision, _), model in zip(judged, models, strict=True))
        stated = [_stated(engine, model, task) for (task, _, _), model in zip(judged, models, strict=True)]
        shown.add_row(way, _dollars(sum(costs, Decimal(0))), f"{sum(stated) / len(stated):.1%}")
    return shown


def _samples(path: Path) -> list[tuple[str, dict[str, Any]]]:
    lines = map(json.loads, path.read_text("utf-8").splitlines())
    return [(line["name"], line["request"]) for line in lines]


def _dollars(amount: Decimal) -> str:
    return format_usd(amount.quantize(Decimal("0.000001")))


def _notes(decision: Decision) -> Iterator[str]:
    if not decision.allowed:
        reason = decision.excluded[0].reason if decision.excluded else decision.reasons[-1]
        yield reason.rpartition("`: ")[2]
        return
    for change in decision.changes:
        yield f"{change.operation}: {change.detail}"
    if any(change.operation == "redact" for change in decision.changes):
        yield f"sent: {decision.prompt}"


def _cost(engine: Engine, decision: Decision, model: str) -> Decimal:
    """Return what a call of the same size costs with another model of the catalogue."""
    period, estimate = engine.plan.catalogue.models[model].period_on(decision.now.date()), decision.estimate
    assert period is not None, f"{model} has no price"
    assert estimate is not None, "an allowed request has an estimate"
    usage = Usage(input=estimate.prompt_tokens, output=estimate.output_tokens)
    return period.rates_for(estimate.prompt_tokens).cost(usage)


def _stated(engine: Engine, model: str, task: str) -> float:
    """Return the quality in the catalogue for a task, 0.0 if it has none."""
    return engine.plan.catalogue.models[model].quality.get(task, 0.0)
