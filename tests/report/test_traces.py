"""Real traffic: the same sums as an independent computation."""

from __future__ import annotations

import csv
import json
from collections import Counter
from decimal import Decimal

from costlens_policy.replay import READY
from costlens_policy.report import Settings, report_on


def test_the_azure_trace_at_a_model(shared_data):
    path = shared_data / "azure_llm_2023" / "AzureLLMInferenceTrace_code.csv"
    mapping = READY["azure-llm"].with_columns({}, {"model": "gpt-4o"})
    report = report_on([str(path)], mapping=mapping, settings=Settings(by=("model",)), baseline="gpt-4o-mini")
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [(int(row["ContextTokens"]), int(row["GeneratedTokens"])) for row in csv.DictReader(stream)]
    prompt, output = sum(row[0] for row in rows), sum(row[1] for row in rows)
    assert report.totals.requests == len(rows)
    assert report.totals.cost == (prompt * Decimal("2.5") + output * Decimal(10)) / 10**6
    assert report.totals.baseline_cost == (prompt * Decimal("0.15") + output * Decimal("0.6")) / 10**6


def test_the_agents_trace(shared_data):
    path = shared_data / "claude_code_traces" / "dev_sessions.jsonl"
    report = report_on([str(path)], mapping=READY["claude-code"], settings=Settings(by=("model",)))
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert report.totals.requests == len(rows)
    assert report.totals.input_tokens == sum(row["input_tokens"] for row in rows)
    counts = Counter(row["model_id"] for row in rows)
    assert {group.value: group.figures.requests for group in report.groupings[0].groups} == counts
    slowest = sorted(Decimal(repr(row["api_time_s"])) for row in rows)
    assert report.totals.latency.p95 == slowest[-(-len(rows) * 95 // 100) - 1] * 1000
