"""The command: its exit codes, formats, mistakes, logs instead of a ledger, and corrections."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pytest

from tests.conftest import ROOT
from tests.invoice.conftest import DAY, charge, costs_page

FOLDER = ROOT / "examples" / "reconcile"
EXAMPLE = (FOLDER / "costs.json", FOLDER / "usage.json", "--traffic", FOLDER / "calls.jsonl")


@pytest.fixture
def url(store, tmp_path):
    """A ledger with one call of three dollars."""
    charge(store, "a", cost=Decimal(3), keys=["red"])
    return f"sqlite:///{tmp_path}/spend.db"


def test_agreement_is_success(run, url, write):
    result = run("reconcile", write(costs_page((DAY, "gpt-5, input", "3"))), "--ledger", url, "--all")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "2026-06-03 to 2026-06-03: agrees")
    assert "within tolerance" in result.stdout


def test_a_log_instead_of_a_ledger(run):
    result = run("reconcile", *EXAMPLE, "--format", "json")
    data = json.loads(result.stdout)
    assert (result.exit_code, data["agrees"], data["total"]["recorded_calls"]) == (9, False, 60)
    beyond = {(row["day"], row["causes"][0]["cause"]) for row in data["rows"] if not row["within"]}
    total = {cause["cause"]: cause["explains_usd"] for cause in data["total"]["causes"]}
    assert total == {"unseen": "0.27875", "tier": "-0.0770875", "tools": "0.25"}
    assert beyond == {("2026-06-03", "unseen"), ("2026-06-04", "tier"), ("2026-06-05", "tools")}


def test_csv_has_every_row(run):
    rows = list(csv.DictReader(io.StringIO(run("reconcile", *EXAMPLE, "--format", "csv").stdout)))
    assert len(rows) == 11
    assert {row["causes"] for row in rows if row["within"] == "False"} == {"unseen", "tier", "tools"}


def test_a_tolerance_of_ones_own(run, url, write):
    file = write(costs_page((DAY, "gpt-5, input", "3.05")))
    assert run("reconcile", file, "--ledger", url).exit_code == 9
    for tolerance in ("2%", "0.05", "$0.10"):
        assert run("reconcile", file, "--ledger", url, "--tolerance", tolerance).exit_code == 0
    assert run("reconcile", file, "--ledger", url, "--tolerance", "0.049").exit_code == 9


def test_corrections_are_entered_and_agree_from_then_on(run, url, write):
    file = write(costs_page((DAY, "gpt-5, input", "4")))
    arguments = ("reconcile", file, "--ledger", url, "--correct", "--reason", "invoice 1123", "--author", "ann")
    first = run(*arguments, "--format", "json")
    assert (first.exit_code, first.stderr) == (0, "2 corrections were entered\n")
    data = json.loads(first.stdout)
    assert [(item["budget"], item["by_usd"]) for item in data["corrections"]] == [("org/all", "1"), ("org/team", "1")]
    again = run(*arguments)
    assert (again.exit_code, again.stderr) == (0, "0 corrections were entered\n")
    assert "billed $4.00, recorded $3.00, +$1.00 by corrections: difference $0.00" in again.stdout
    report = run("report", "--ledger", url).stdout
    assert "2 corrections ($2.00) are not calls and not part of the spend" in report


def test_what_no_budget_has_counted_stays_a_difference(run, url, write):
    file = write(costs_page((DAY, "gpt-5, input", "3"), (DAY, "o3, input", "4")))
    result = run("reconcile", file, "--ledger", url, "--correct", "--reason", "x", "--author", "ann")
    assert result.exit_code == 9
    assert "no budget in US dollars has counted a call" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name either a ledger with `--ledger` or logs with `--traffic`"),
        (("--traffic", "x.jsonl", "--correct", "--reason", "x"), "`--correct` needs `--ledger`"),
        (("--ledger", "URL", "--correct"), "`--correct` needs `--reason`"),
        (("--ledger", "URL", "--by", "modle"), "`--by` cannot be `modle`; did you mean `model`?"),
        (("--ledger", "URL", "--tolerance", "lots"), "`--tolerance` must be a percentage such as 0.5%, or an amount"),
        (("--ledger", "URL", "--rate", "EUR"), "`--rate` must be NAME=VALUE, got `EUR`"),
        (("--ledger", "URL", "--rate", "EUR=-1"), "a rate must be a positive number of US dollars, got `-1`"),
        (("--ledger", "URL", "--rate", "usd=2"), "`--rate` is for another currency than US dollars"),
        (("--ledger", "URL", "--zone", "Mars"), "unknown time zone `Mars`"),
        (("--ledger", "URL", "--set", "provider=x"), "`--set` and `--only` belong to a plain table"),
    ],
)
def test_mistakes_are_named(run, url, write, monkeypatch, arguments, message):
    monkeypatch.delenv("COSTLENS_LEDGER", raising=False)
    file = write(costs_page((DAY, "gpt-5, input", "3")))
    result = run("reconcile", file, *(url if part == "URL" else part for part in arguments))
    assert (result.exit_code, message in " ".join(result.stderr.split())) == (2, True), result.stderr


def test_a_file_that_is_none(run, url, tmp_path):
    assert run("reconcile", tmp_path / "none.json", "--ledger", url).exit_code == 6
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    result = run("reconcile", tmp_path / "x.csv", "--ledger", url)
    assert result.exit_code == 6
    assert "x.csv:2`: no known format has the columns `a` and `b`" in result.stderr


def test_a_log_says_whose_calls_these_are(run, write, tmp_path):
    """The same model is billed by Anthropic and by AWS: the provider of the log tells them apart."""
    call = {"time": "2026-06-03T09:00:00Z", "id": "1", "provider": "bedrock", "model": "claude-sonnet-4-5",
            "prompt_tokens": 100_000, "output_tokens": 1000}  # fmt: skip
    (tmp_path / "log.jsonl").write_text(json.dumps(call) + "\n")
    result = {"currency": "USD", "amount": "31.5", "model": "claude-sonnet-4-5-20250929", "cost_type": "tokens"}
    bucket = {"starting_at": "2026-06-03T00:00:00Z", "ending_at": "2026-06-04T00:00:00Z", "results": [result]}
    anthropic = {"data": [bucket]}
    aws = (
        "line_item_usage_start_date,line_item_usage_end_date,line_item_line_item_type,line_item_product_code,product,"
        "line_item_usage_type,line_item_currency_code,line_item_unblended_cost\n2026-06-03T00:00:00Z,"
        '2026-06-04T00:00:00Z,Usage,x,"{""product_name"": ""Claude Sonnet 4.5 (Amazon Bedrock Edition)""}",'
        "USE1-MP:USE1_InputTokenCount-Units,USD,0.315\n"
    )
    for content, name, calls in ((anthropic, "a.json", 0), (aws, "cur.csv", 1)):
        arguments = ("--traffic", tmp_path / "log.jsonl", "--format", "json")
        data = json.loads(run("reconcile", write(content, name), *arguments).stdout)
        assert (data["total"]["recorded_calls"], data["agrees"]) == (calls, bool(calls))
