"""8,819 production requests of one hour through the guard, against a budget that they exceed."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from costlens_policy import DeniedError, Guard
from costlens_policy.ledger import EntryQuery, MemoryStore, decimal_of, open_ledger
from tests.guard.company import write_company

POLICY = """
budgets:
  - id: team
    hard_limit_usd: 20
    window: {calendar: day}
    thresholds:
      - {at_ratio: 0.5, alert: half is spent}
      - {at_ratio: 0.8, alert: the small model takes over, downgrade: {models: [nano], exclude: 'model.name != "nano"'}}
      - {at_ratio: 0.95, alert: nearly all is spent}
"""
LIMIT = Decimal(20)
PRICES = {"large": (5, 15), "nano": (1, 2)}
"""US dollars per million tokens of prompt and output."""


def trace(folder: Path) -> Iterator[tuple[datetime, int, int]]:
    """Yield time, prompt tokens and output tokens."""
    with (folder / "azure_llm_2023" / "AzureLLMInferenceTrace_code.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["TIMESTAMP"][:26]).replace(tzinfo=UTC)
            yield at, int(row["ContextTokens"]), int(row["GeneratedTokens"])


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_alerts_downgrade_denial_and_not_a_cent_above(shared_data, tmp_path, kind):
    engine = write_company(tmp_path / "policies", POLICY, models="large")
    store = MemoryStore() if kind == "memory" else open_ledger(f"sqlite:///{tmp_path / 'spend.db'}")
    now, events = [datetime(2023, 11, 16, tzinfo=UTC)], []
    guard = Guard(engine, store, clock=lambda: now[0], alert_sinks=[events.append], lease=timedelta(seconds=30))
    outcomes: Counter[str] = Counter()
    spent, order = Decimal(0), []
    under_way = []  # (when it ends, call, usage): calls overlap as they did in the data centre
    for number, (at, prompt, output) in enumerate(trace(shared_data)):
        if kind == "sqlite" and number % 12:
            continue  # a part of the trace is enough for the disk
        now[0] = at
        while under_way and under_way[0][0] <= at:
            _, call, usage = under_way.pop(0)
            charged = call.settle(usage)
            spent += charged.cost
            assert charged.budgets[0].overdraft == 0
        try:
            call = guard.call({"prompt": "x", "prompt_tokens": prompt, "max_output_tokens": max(output, 256)})
        except DeniedError as denied:
            outcomes[f"denied by {denied.budget}"] += 1
            order.append("denied")
            continue
        outcomes[call.model] += 1
        order.append(call.model)
        under_way.append((at + timedelta(seconds=2), call, {"prompt_tokens": prompt, "completion_tokens": output}))
    for _, call, usage in under_way:
        spent += call.settle(usage).cost

    (line,) = guard.spend()
    assert line.used == spent <= LIMIT
    assert line.held == 0
    assert guard.flush()
    alerts = [(event.kind, event.threshold) for event in events]
    if kind == "memory":
        assert alerts == [("alert", "0.5"), ("alert", "0.8"), ("alert", "0.95"), ("denied", "denied")]
        assert min(outcomes["large"], outcomes["nano"], outcomes["denied by p/team"]) > 500
        assert order[-1] == "denied"
        assert order.index("large") < order.index("nano") < order.index("denied")
        assert LIMIT - spent < Decimal("0.01")
        for event, ratio in zip(events, ("0.5", "0.8", "0.95"), strict=False):
            reached = Decimal(event.used) + Decimal(event.held)
            assert Decimal(ratio) * LIMIT <= reached < Decimal(ratio) * LIMIT + Decimal("0.1")
    assert exact_sum(store) == spent
    guard.close()


def exact_sum(store) -> Decimal:
    """Return the sum of all entries, each of which is the price of its tokens."""
    total, after = 0, ""
    while True:
        page = store.entries(EntryQuery(limit=1000, after=after))
        for entry in page.items:
            usage, (read, written) = entry.facts["usage"], PRICES[entry.facts["model"]]
            tokens = usage.get("input", 0) * read + usage.get("output", 0) * written
            assert decimal_of(entry.amount, "usd") == Decimal(tokens).scaleb(-6)
            total += entry.amount
        after = page.next
        if not after:
            return decimal_of(total, "usd")
