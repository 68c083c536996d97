"""Logs and ledgers as calls: labels, latencies, bad rows, and what is not recorded."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from costlens_policy import Guard, load
from costlens_policy.ledger import Adjustment, EntryQuery, decimal_of, open_ledger
from costlens_policy.money import plain
from costlens_policy.replay import READY, TrafficError
from costlens_policy.report import CallQuery, LedgerSource, Prices, Settings, report_on, summarize
from costlens_policy.report.export import as_json
from costlens_policy.report.words import shown_usd, tiles
from tests.guard.company import REQUEST, write_company
from tests.report.conftest import call


def test_bad_rows_are_counted_with_their_reasons(read_log):
    rows = [
        call(1), call(1), call(2, prompt_tokens=0, cached_tokens=0), call(3, output_tokens=-4), call(4, time=None),
        call(5, latency_ms="soon"), call(6, end_time="2026-11-01T00:00:00Z"), call(7, time="2026-11-02T09:00:00"),
    ]  # fmt: skip
    read = read_log(rows)
    assert read.frame.height == 4
    assert read.left_out == {"rows that cannot be read": 4}
    problems = " | ".join(reject.problem for reject in read.rejects)
    for part in ("duplicate id", "0 prompt tokens", "must be non-negative", "no time"):
        assert part in problems
    assert any("1 timestamps have no zone" in note for note in read.notes)
    assert any("the latency of 2 calls cannot be read, such as: `soon` is not a number" in note for note in read.notes)


def test_a_denial_that_is_there_twice_counts_once(read_log):
    denied = {"time": "2026-11-02T09:00:00Z", "id": "x", "denied": "true"}
    read = read_log([call(1), denied, denied])
    assert (read.frame.height, len(read.rejects)) == (2, 1)


def test_latency_from_any_of_its_columns(read_log):
    rows = [call(1, latency_ms=12.5), call(2, latency_s=2), call(3, end_time="2026-11-02T03:00:00.750Z"), call(4)]
    assert read_log(rows).frame["latency"].to_list() == [12_500, 2_000_000, 750_000, None]


def test_labels_stand_where_they_are_said_to_be(read_log):
    rows = [call(1, meta={"squad": "x", "kind": "chat"}), call(2, meta={"squad": "y"})]
    read = read_log(rows, columns={"team": "meta.squad", "request.task": "meta.kind"}, by=("team", "task"))
    report = summarize(read, Settings(by=("team", "task")))
    assert {group.value for group in report.groupings[0].groups} == {"x", "y"}
    assert {group.value for group in report.groupings[1].groups} == {"chat", None}


def test_a_column_that_is_not_there_is_an_error(read_log):
    with pytest.raises(TrafficError, match="has no column `teem` for `team`; did you mean `team`"):
        read_log([call(1)], columns={"team": "teem"})
    with pytest.raises(TrafficError, match="unknown field `promt_tokens`; did you mean `prompt_tokens`"):
        read_log([call(1)], columns={"promt_tokens": "x"})
    with pytest.raises(TrafficError, match="no column `prompt_tokens`"):
        read_log([{"time": "2026-11-02T09:00:00Z", "prompt_token": 1}])


def test_models_without_a_price_are_named(read_log):
    read = read_log([call(1), call(2, model="house-model"), call(3, model=None)])
    report = summarize(read, Settings())
    assert report.totals.unpriced == 2
    assert any("`house-model` (1 call)" in note for note in report.notes)
    assert any("records no model for 1 call" in note for note in report.notes)
    assert "user" in report.not_recorded
    assert "latency" in report.not_recorded


def test_calls_that_do_not_fit_the_baseline_are_not_compared(read_log):
    read = read_log([call(1), call(2, prompt_tokens=300_000, model="gpt-4.1")], baseline="gpt-4o")
    totals = summarize(read, Settings()).totals
    assert (totals.requests, totals.compared) == (2, 1)


def test_litellm_and_spans(write_log):
    spend_log = {
        "request_id": "a", "startTime": "2026-11-02T09:00:00Z", "endTime": "2026-11-02T09:00:02Z", "model": "gpt-5",
        "prompt_tokens": 10, "completion_tokens": 5, "spend": 0.25, "team_id": "red", "custom_llm_provider": "azure",
    }  # fmt: skip
    report = report_on([write_log([spend_log])], mapping=READY["litellm"])
    assert report.totals.cost == Decimal("0.25")
    assert report.totals.latency.p50 == 2000
    assert [item.groups[0].value for item in report.groupings[:3]] == ["azure", "gpt-5", "red"]
    span = {
        "start_time_unix_nano": 1_793_000_000_000_000_000, "end_time_unix_nano": 1_793_000_001_500_000_000,
        "span_id": "s",
        "attributes": {
            "gen_ai.request.model": "gpt-5", "gen_ai.provider.name": "openai", "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 10,
        },
    }  # fmt: skip
    report = report_on([write_log([span])], mapping=READY["otel"])
    assert report.totals.latency.p50 == 1500
    assert report.groupings[0].groups[0].value == "openai"


POLICY = """
budgets:
  - id: team
    scope: request.?team.orValue("nobody")
    hard_limit_usd: 100
    window: {calendar: year}
  - {id: all, hard_limit_requests: 1000, window: {calendar: year}}
"""


@pytest.fixture
def ledger(tmp_path):
    """A ledger with three calls of two teams, each on two budgets, and a correction by hand."""
    write_company(tmp_path / "policies", POLICY)
    url = f"sqlite:///{tmp_path / 'spend.db'}"
    with Guard(load(tmp_path / "policies"), url, alert_sinks=[]) as guard:
        for team, output in (("red", 50), ("red", 70), ("blue", 90)):
            usage = {"prompt_tokens": 1000, "completion_tokens": output}
            guard.call(REQUEST | {"team": team}).settle(usage)
    store = open_ledger(url)
    yield store
    store.close()


def test_a_ledger_counts_each_call_once(ledger):
    read = LedgerSource(ledger, "sqlite", Prices()).read(CallQuery(("model", "team", "rule", "user")))
    report = summarize(read, Settings(by=("model", "team", "rule", "user")))
    entries = _entries(ledger)
    assert len(entries) == 6
    charged = [decimal_of(entry.amount, "usd") for entry in entries if entry.account.unit == "usd"]
    assert report.totals.requests == 3
    assert report.totals.cost == sum(charged)
    assert report.totals.output_tokens == 210
    assert {group.value: group.figures.requests for group in report.groupings[1].groups} == {"red": 2, "blue": 1}
    assert report.groupings[2].recorded
    assert {"user", "latency", "denials"} <= set(report.not_recorded)
    assert any("3 further charges" in note for note in report.notes)


def test_what_was_held_is_shown_beside_what_was_charged(ledger):
    read = LedgerSource(ledger, "sqlite", Prices()).read(CallQuery(("team",)))
    report = summarize(read, Settings(by=("team",)))
    dollars = [entry for entry in _entries(ledger) if entry.account.unit == "usd"]
    held = sum(decimal_of(entry.was_held, "usd") for entry in dollars)
    totals = report.totals
    assert (totals.reserved, totals.held, totals.charged) == (3, held, totals.cost)
    assert totals.charged < totals.held
    groups = {group.value: group.figures for group in report.groupings[0].groups}
    assert (groups["red"].reserved, groups["red"].held) == (2, held / 3 * 2)
    name, shown, remark = next(tile for tile in tiles(report) if tile[0] == "held for calls")
    assert (name, shown) == ("held for calls", shown_usd(held))
    assert remark.endswith(f"of it was charged, {shown_usd(held - totals.charged)} too much")
    assert json.loads(as_json(report))["totals"]["held_usd"] == plain(held)


def test_a_log_holds_nothing(read_log):
    totals = summarize(read_log([call(1)]), Settings()).totals
    assert (totals.reserved, totals.held, totals.used_share) == (0, 0, None)


def test_a_ledger_by_budget_and_key(ledger):
    name = next(iter({entry.account.budget for entry in _entries(ledger) if entry.account.unit == "usd"}))
    read = LedgerSource(ledger, "sqlite", Prices(), budget=name, key="blue").read(CallQuery(("team",)))
    assert read.frame.height == 1


def test_corrections_by_hand_are_no_spend(ledger):
    account = next(entry.account for entry in _entries(ledger) if entry.account.unit == "usd")
    now = datetime.now(UTC)
    ledger.adjust(Adjustment("fix", "set", account, 0, "Ann", "charged by mistake", now))
    before = summarize(LedgerSource(ledger, "sqlite", Prices()).read(CallQuery()), Settings())
    assert before.totals.requests == 3
    assert any("1 manual adjustments (-$" in note for note in before.notes)


def _entries(store):
    return store.entries(EntryQuery()).items


def test_labels_of_any_characters_are_kept_as_well_as_columns_can(read_log):
    read = read_log([call(1, team="\ud800x"), call(2, team="\x00\u202e"), call(3, team=7), call(4, team=["a"])])
    teams = summarize(read, Settings(by=("team",))).groupings[0]
    assert {group.value for group in teams.groups} == {"\ufffdx", "\x00\u202e", "7", '["a"]'}
