"""A report and a replay find the same cost in the same log, by rows and in columns."""

from __future__ import annotations

import json
import random
from decimal import Decimal

import pytest

from costlens_policy.replay import READY, Settings, read_traffic, replay, replay_files
from costlens_policy.replay.settings import START
from costlens_policy.report import CallQuery, Extras, Prices, TrafficSource, summarize
from costlens_policy.report import Settings as Summary
from tests.replay.conftest import plan_of

__all__ = ["plan_of"]

AT = "2026-06-01T10:00:{:02}Z"


def counts(number):
    chance = random.Random(number)
    return {
        "id": f"i{number}", "time": AT.format(number), "model": "large", "output_tokens": chance.choice([0, 5, 50]),
        chance.choice(["prompt_tokens", "uncached_tokens"]): chance.choice([500, 1000]),
        "cached_tokens": chance.choice([None, 0, 100]), "cache_write_tokens": chance.choice([None, 0, 40]),
        "cache_write_1h_tokens": chance.choice([None, 60]), "reasoning_tokens": chance.choice([None, 3, 70]),
        "total_tokens": chance.choice([None, 5000]),
    }  # fmt: skip


def message(number):
    usage = {"input_tokens": 9, "cache_read_input_tokens": 2000 + number, "cache_creation_input_tokens": 50}
    body = {"id": f"m{number // 3}", "role": "assistant", "model": "large", "usage": {**usage, "output_tokens": number}}
    return {"type": "assistant", "uuid": f"u{number}", "timestamp": AT.format(number), "message": body}


def span(number):
    agent = number % 3 == 0
    used = {"gen_ai.usage.input_tokens": 300 if agent else 150, "gen_ai.usage.output_tokens": 20 if agent else 10}
    cached = {"gen_ai.usage.cache_read_input_tokens": 200 if agent else 100}
    return {
        "span_id": f"s{number}", "parent_span_id": "" if agent else f"s{number - number % 3}",
        "start_time": AT.format(number),
        "attributes": {"gen_ai.operation.name": "invoke_agent" if agent else "chat", "gen_ai.request.model": "large",
                       **used, **cached},
    }  # fmt: skip


@pytest.mark.parametrize(("name", "make"), [("plain", counts), ("anthropic", message), ("otel", span)])
@pytest.mark.parametrize("array", [False, True])
def test_report_and_replay_agree(plan_of, tmp_path, name, make, array):
    path, rows = tmp_path / "log.json", [make(number) for number in range(60)]
    path.write_text(json.dumps(rows) if array else "".join(json.dumps(row) + "\n" for row in rows))
    plan, files, mapping = plan_of(), [str(path)], READY[name]
    extras = Extras.of(mapping, {}, {}, ("model",), START)
    source = TrafficSource(files, extras.reader_mapping, extras, Prices(plan.catalogue, "c"), START)
    report = summarize(source.read(CallQuery(("model",))), Summary(by=("model",))).totals
    by_row = replay(plan, read_traffic(files, mapping, plan, START), Settings())
    in_columns = replay_files(plan, files, mapping, Settings())
    assert report.requests == by_row.rows == in_columns.rows
    assert report.cost == by_row.recorded_cost == in_columns.recorded_cost
    assert report.cost > Decimal(0)
