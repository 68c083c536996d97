"""``budget``: what people see of a ledger, and what they can adjust."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from costlens_policy import ApprovalNeededError, Guard, load
from costlens_policy.cli.commands.budget.table import row_of, shown, shown_length
from costlens_policy.guard import Spend
from costlens_policy.periods import Forecast
from tests.guard.company import REQUEST, write_company

POLICY = """
budgets:
  - id: team
    scope: request.?team.orValue("nobody")
    hard_limit_usd: 1
    window: {calendar: year}
  - {id: all, hard_limit_requests: 100, window: {calendar: year}}
  - {id: each, hard_limit_usd: 1, window: {per_call: true}}
"""
USAGE = {"prompt_tokens": 1000, "completion_tokens": 50}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("COSTLENS_LEDGER", raising=False)
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Ann")
    write_company(tmp_path / "policies", POLICY)
    return tmp_path / "policies"


@pytest.fixture
def url(folder, tmp_path):
    """A ledger with two settled calls of team red, and one under way."""
    url = f"sqlite:///{tmp_path / 'spend.db'}"
    with Guard(load(folder), url, alert_sinks=[]) as guard:
        for _ in range(2):
            guard.call(REQUEST).settle(USAGE)
        guard.call(REQUEST | {"team": "blue"}, id="under-way")
    return url


@pytest.fixture
def ask(run, folder, url):
    """Return a function that runs a ``budget`` command that must succeed, and gives what it prints as JSON."""

    def invoke(*arguments):
        result = run("budget", *arguments, folder, "--ledger", url, "--format", "json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return invoke


class TestStatus:
    def test_table(self, run, folder, url):
        result = run("budget", "status", folder, "--ledger", url)
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert lines[0].split() == [
            "budget",
            "key",
            "used",
            "held",
            "left",
            "limit",
            "a",
            "day",
            "lasts",
            "resets",
            "in",
        ]
        assert lines[1].split()[:2] == ["p/team", "blue"]
        assert lines[2].split()[:5] == ["red", "█···················", "0", "%", "$0.0022"]
        assert lines[3].split()[:6] == ["p/all", "█···················", "3", "%", "2", "1"]

    def test_json(self, ask):
        blue, red, all_ = ask("status")
        assert (red["budget"], red["key"], red["used"], red["held"]) == ("p/team", "red", "0.0022", "0")
        assert (red["limit"], red["left"], red["unit"]) == ("1", "0.9978", "usd")
        assert blue["held"] == "0.0012"
        assert (all_["used"], all_["held"]) == ("2", "1")
        assert [row["budget"] for row in ask("status", "--budget", "all")] == ["p/all"]
        assert [row["key"] for row in ask("status", "--key", "red")] == ["red"]
        assert ask("status", "--budget", "team", "--key", "nobody")[0]["used"] == "0"

    def test_at_another_time(self, ask):
        (everything,) = ask("status", "--now", "2031-01-01T12:00:00Z")
        assert (everything["budget"], everything["used"]) == ("p/all", "0")

    def test_the_ledger_from_the_environment(self, run, folder, url, monkeypatch):
        monkeypatch.setenv("COSTLENS_LEDGER", url)
        assert run("budget", "status", folder).exit_code == 0

    @pytest.mark.parametrize(
        ("ledger", "code", "message"),
        [
            ("sqlite:///not-there.db", 6, "no ledger `sqlite:///not-there.db`"),
            ("memory:", 2, "a ledger in memory belongs to its own process"),
            ("mysql://x", 2, "unsupported ledger URL scheme `mysql:`"),
            ("spend.db", 2, "`spend.db` is not the URL of a ledger"),
        ],
    )
    def test_wrong_ledgers(self, run, folder, ledger, code, message):
        result = run("budget", "status", folder, "--ledger", ledger)
        assert result.exit_code == code
        assert message in result.stderr

    def test_wrong_budgets(self, run, folder, url):
        result = run("budget", "status", folder, "--ledger", url, "--budget", "taem")
        assert (result.exit_code, "did you mean `team`?" in result.stderr) == (2, True)
        result = run("budget", "status", folder, "--ledger", url, "--budget", "each")
        assert "`p/each` limits each call by itself" in result.stderr

    def test_watch_ends_after_some_looks(self, run, folder, url):
        result = run("budget", "watch", folder, "--ledger", url, "--times", "2", "--interval", "0.1")
        assert result.exit_code == 0
        assert result.stdout.count("p/all") == 2


class TestChanges:
    def test_topup(self, run, folder, url, ask):
        arguments = ("team", "2.50", "--key", "red", "--reason", "approved", "--id", "ticket-1")
        assert ask("topup", *arguments)["limit"] == "3.5"
        assert ask("topup", *arguments)["limit"] == "3.5"
        text = run("budget", "topup", *arguments, folder, "--ledger", url).stdout
        assert text.startswith("already done: `p/team` of `red` now has $0.0022 used and $0.00 held of $3.50")
        assert run("budget", "status", folder, "--ledger", url).stderr.startswith("* manually adjusted limit")

    def test_set_and_revoke(self, run, folder, url, ask):
        row = ask("set", "all", "3", "--reason", "runaway job", "--expires", "2h")
        assert (row["limit"], row["left"], row["changed_by_hand"]) == ("3", "0", True)
        again = run("budget", "set", "all", "5", folder, "--ledger", url, "--reason", "x", "--expires", "1h")
        assert (again.exit_code, "another override is in force" in again.stderr) == (2, True)
        assert ask("revoke", "all", "--reason", "found it")["limit"] == "100"

    def test_reset(self, ask):
        assert ask("reset", "team", "--key", "red", "--reason", "a mistake")["used"] == "0"
        assert ask("reset", "team", "--key", "red", "--reason", "the invoice", "--to", "0.40")["used"] == "0.4"

    def test_a_correction_is_an_entry_of_its_own(self, run, folder, url, ask):
        arguments = ("correct", "team", "--key", "red", "--reason", "invoice 12", "--id", "i12", "--by")
        assert ask(*arguments, "0.40")["used"] == "0.4022"
        again = run("budget", *arguments, "0.40", folder, "--ledger", url)
        assert again.stdout.startswith("already done: `p/team` of `red` now has $0.4022 used in year:")
        assert ask("correct", "team", "--key", "red", "--reason", "a credit", "--by", "-0.40")["by"] == "-0.4"
        entries = [line for line in ask("history") if line["kind"] == "correct"]
        assert [line["amount"] for line in entries] == ["-0.4", "0.4"]
        assert entries[0]["facts"] == {"author": "Ann", "reason": "a credit"}

    def test_a_correction_of_an_earlier_period_leaves_the_current_one(self, run, folder, url, ask):
        at = ("--at", "2019-05-03T00:00:00Z")
        row = ask("correct", "team", "--key", "red", "--reason", "late invoice", "--by", "2", *at)
        assert (row["used"], row["period"][:9]) == ("2", "year:2019")
        assert {line["used"] for line in ask("status", "--budget", "team", "--key", "red")} == {"0.0022"}
        wrong = run("budget", "correct", "team", folder, "--ledger", url, "--key", "red", "--reason", "x", "--by", "-3")
        assert (wrong.exit_code, "a correction of `p/team` must be at least" in wrong.stderr) == (2, True)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("correct", "all", "--by", "1.5", "--reason", "x"), "must be whole"),
            (("correct", "all", "--by", "--1", "--reason", "x"), "an amount must be"),
            (("topup", "team", "1", "--reason", "x"), "has a limit for each `request.?team.orValue"),
            (("topup", "all", "1", "--reason", "x", "--key", "red"), "`p/all` has no scope"),
            (("topup", "all", "1.5", "--reason", "x"), "must be whole"),
            (("topup", "all", "-1", "--reason", "x"), "no such option"),
            (("topup", "all", "nan", "--reason", "x"), "an amount must be a non-negative number, got `nan`"),
            (("topup", "all", "1", "--reason", " "), "the reason of an adjustment must not be empty"),
            (("topup", "all", "1", "--reason", "x", "--expires", "2001-01-01T00:00:00Z"), "must expire in the future"),
            (("topup", "all", "1"), "missing option"),
            (("set", "all", "1", "--reason", "x"), "missing option"),
            (("set", "all", "1", "--reason", "x", "--expires", "soon"), "`soon` is not a time"),
        ],
    )
    def test_wrong_changes(self, run, folder, url, arguments, message):
        result = run("budget", *arguments, folder, "--ledger", url)
        assert result.exit_code == 2
        assert message in result.stderr


class TestRelease:
    def test_gives_back_what_a_call_holds_and_says_so(self, run, url, ask):
        result = run("budget", "release", "under-way", "--ledger", url, "--reason", "abandoned")
        assert result.stdout == (
            "`under-way` no longer holds $0.0012 on `p/team` of `blue`\n"
            "`under-way` no longer holds 1 requests on `p/all`\n"
        )  # fmt: skip
        assert {line["held"] for line in ask("status")} == {"0"}
        entries = [line for line in ask("history") if line["kind"] == "release"]
        assert [line["amount"] for line in entries] == ["1", "0.0012"]
        assert entries[0]["facts"] == {"author": "Ann", "reason": "abandoned", "call": "under-way"}
        assert ask("reservations") == []

    def test_again_it_changes_nothing(self, run, url, ask):
        for _ in range(2):
            result = run("budget", "release", "under-way", ".", "--ledger", url, "--reason", "abandoned")
            assert result.exit_code == 0
        assert "was already released" in result.stdout
        assert len([line for line in ask("history") if line["kind"] == "release"]) == 2

    def test_as_json(self, ask):
        released = ask("release", "under-way", "--reason", "abandoned")
        assert (released["call"], released["state"]) == ("under-way", "released")
        assert [line["held"] for line in released["lines"]] == ["0.0012", "1"]

    def test_a_charge_that_comes_later_counts(self, run, url, folder, ask):
        from costlens_policy import load

        run("budget", "release", "under-way", "--ledger", url, "--reason", "abandoned")
        with Guard(load(folder), url, alert_sinks=[]) as guard:
            assert guard.settle("under-way", USAGE).late
        blue = next(line for line in ask("status") if line["key"] == "blue")
        assert (blue["used"], blue["held"]) == ("0.0011", "0")

    def test_the_hold_that_stands_is_found_by_the_id_of_its_call(self, run, url, folder, ask):
        from costlens_policy import load

        with Guard(load(folder), url, alert_sinks=[]) as guard:
            guard.call(REQUEST, id="job-1").release()
            guard.call(REQUEST, id="job-1")
        assert "job-1~2" in run("budget", "release", "job-1", "--ledger", url, "--reason", "why").stdout

    def test_what_cannot_be_released(self, run, url, folder):
        from costlens_policy import load

        with Guard(load(folder), url, alert_sinks=[]) as guard:
            guard.settle("under-way", USAGE)
        for id, problem in (
            ("under-way", "is settled and holds nothing"),
            ("nobody", "no call `nobody` was held"),
            ("\udcff", "half a surrogate pair"),
        ):
            result = run("budget", "release", id, "--ledger", url, "--reason", "why")
            assert result.exit_code == 2
            assert problem in result.stderr
        assert "--reason" in run("budget", "release", "under-way", "--ledger", url).stderr

    def test_a_reason_is_needed(self, run, url, ask):
        result = run("budget", "release", "under-way", "--ledger", url, "--reason", " ")
        assert result.exit_code == 2
        assert "the reason of an adjustment must not be empty" in result.stderr
        assert len(ask("reservations")) == 1


class TestListings:
    def test_history(self, run, folder, url, ask):
        ask("topup", "all", "5", "--reason", "approved", "--author", "Bea")
        topup, charge, *rest = ask("history")
        assert (topup["kind"], topup["amount"], topup["facts"]) == (
            "topup",
            "5",
            {"author": "Bea", "reason": "approved"},
        )
        assert (charge["kind"], charge["unit"], len(rest)) == ("charge", "requests", 3)
        assert charge["facts"]["usage"] == {"input": 1000, "output": 50}
        assert len(ask("history", "--limit", "2")) == 2
        assert {row["budget"] for row in ask("history", "--budget", "team")} == {"p/team"}
        assert ask("history", "--since", "2040-01-01T00:00:00Z") == []
        table = run("budget", "history", folder, "--ledger", url).stdout
        assert "Bea" in table
        assert "approved" in table

    def test_reservations(self, run, folder, url, ask):
        (row,) = ask("reservations")
        assert (row["call"], row["state"]) == ("under-way", "held")
        assert [(line["budget"], line["key"], line["held"]) for line in row["lines"]] == [
            ("p/team", "blue", "0.0012"), ("p/all", "", "1"),
        ]  # fmt: skip
        assert "decided" not in row["facts"]
        assert ask("reservations", "--expired") == []
        assert "under-way" in run("budget", "reservations", folder, "--ledger", url).stdout
        assert run("budget", "reservations", folder, "--ledger", url, "--expired").stderr == "no lease has expired\n"


NOW = datetime(2026, 5, 4, tzinfo=UTC)


def spend(**fields):
    known = {
        "budget": "p/b", "key": "", "unit": "usd", "used": Decimal(6), "held": Decimal(0), "limit": Decimal(20),
        "left": Decimal(14), "starts_at": NOW - timedelta(days=3), "resets_at": NOW + timedelta(days=7),
        "shadow": False, "changed_by_hand": False,
    }  # fmt: skip
    return Spend(**(known | fields))


def test_forecast():
    row = row_of(spend(), NOW)
    assert row.forecast == Forecast(Decimal(2), Decimal(1), timedelta(days=7))
    assert row_of(spend(used=Decimal(0)), NOW).forecast.exhausted_in is None
    assert row_of(spend(limit=None, left=None), NOW).forecast.projected_ratio is None
    rolling = row_of(spend(resets_at=None), NOW)
    assert rolling.forecast == Forecast(Decimal(2))
    assert row_of(spend(starts_at=None), NOW).forecast == Forecast()
    assert row_of(spend(starts_at=NOW), NOW).forecast == Forecast()


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        ("0", "usd", "$0.00"), ("0.000001", "usd", "$0.0001"), ("0.1234567", "usd", "$0.1235"),
        ("1.005", "usd", "$1.01"),
        ("12345.678", "usd", "$12,345.68"), ("999", "tokens", "999"), ("1234567", "tokens", "1,234,567"),
        ("12345678", "tokens", "12.3M"), ("98765432100", "tokens", "98.8B"), ("3", "requests", "3"),
    ],
)  # fmt: skip
def test_amounts(amount, unit, text):
    assert shown(Decimal(amount), unit) == text


@pytest.mark.parametrize(
    ("length", "text"),
    [(0, "0s"), (59, "59s"), (61, "1m 1s"), (3600, "1h"), (93_784, "1d 2h"), (-5, "0s"), (86_399, "23h 59m")],
)
def test_lengths(length, text):
    assert shown_length(timedelta(seconds=length)) == text


def test_a_balance_in_another_unit_is_reported(run, folder, url):
    weights = "count: {input: 1, output: 6}, hard_limit_tokens: 10000"
    write_company(folder, f"budgets: [{{id: all, {weights}, window: {{calendar: year}}, overflow: more}}, {MORE}]")
    result = run("budget", "status", folder, "--ledger", url)
    assert "`p/all` counted `requests` before its unit changed" in result.stderr
    assert "`p/more` counted" not in result.stderr
    assert "p/more (overflow)" in result.stdout
    arguments = ("--ledger", url, "--reason", "so")
    refused = run("budget", "topup", "all", "0.5", folder, *arguments)
    assert "must be whole" in refused.stderr
    write_company(folder, f"budgets: [{{id: all, {weights.replace('6', '0.5')}, window: {{calendar: year}}}}]")
    refused = run("budget", "topup", "all", "0.25", folder, *arguments)
    assert "an amount in tokens(input=1,output=0.5) must have at most 1 decimal place" in refused.stderr
    assert "of 10,000.5 weighted tokens" in run("budget", "topup", "all", "0.5", folder, *arguments).stdout


MORE = "{id: more, hard_limit_usd: 5, window: {calendar: year}}"


class TestBound:
    def test_nothing_where_each_call_was_charged_what_it_held(self, run, url):
        result = run("budget", "bound", "--ledger", url)
        assert result.exit_code == 0, result.stderr
        team = next(line for line in result.stdout.splitlines() if line.startswith("p/team"))
        assert team.split()[1::2] == ["red", "2"]
        assert team.endswith("$0.00")
        assert "nothing where the worst case is held" in result.stdout

    def test_as_data_with_a_charge_above_its_hold(self, run, folder, url):
        with Guard(load(folder), url, alert_sinks=[]) as guard:
            guard.call(REQUEST).settle({"prompt_tokens": 9000, "completion_tokens": 50})
        result = run("budget", "bound", "--ledger", url, "--budget", "p/team", "--format", "json")
        (line,) = json.loads(result.stdout)["bounds"]
        assert (line["charges"], line["above_hold"], line["late"]) == (3, 1, 0)
        assert line["bound"] == line["overdraft"] == line["largest_overdraft"] == "0.0079"

    def test_nothing_was_charged(self, run, url):
        assert run("budget", "bound", "--ledger", url, "--budget", "p/nobody").exit_code == 3


class TestRuns:
    POLICY = """budgets:
  - {id: run, scope: 'runAt(request.?run.orValue("none"), 1)', hard_limit_usd: 1, window: {lifetime: true}}
  - {id: calls, scope: 'runAt(request.?run.orValue("none"), 1)', hard_limit_requests: 9, window: {lifetime: true}}
"""

    @pytest.fixture
    def tree(self, tmp_path):
        engine = write_company(tmp_path / "runs", self.POLICY)
        url = f"sqlite:///{tmp_path / 'runs.db'}"
        guard = Guard(engine, url, alert_sinks=[])
        for path in ("n", "n/a", "n/a/x/y", "n/b", "n/a", "nobody", "n-b"):
            with guard.call({"prompt": "Hello", "prompt_tokens": 1000, "max_output_tokens": 100, "run": path}) as call:
                call.settle({"prompt_tokens": 1000, "completion_tokens": 100})
        guard.call({"prompt": "Hello", "prompt_tokens": 1000, "max_output_tokens": 100, "run": "n/b"})
        guard.close()
        return ("budget", "status", str(tmp_path / "runs"), "--ledger", url, "--run")

    def test_the_tree(self, run, tree):
        done = run(*tree, "n")
        lines = [line.rstrip() for line in done.stdout.splitlines()]
        assert [line[:12].rstrip() for line in lines[1:6]] == ["n", "├─ a", "│  └─ x", "│     └─ y", "└─ b"]
        assert lines[1].split() == ["n", "100", "%", "$0.0060", "$0.0012", "1", "$0.0012"]
        assert lines[5].split() == ["└─", "b", "33", "%", "$0.0012", "$0.0012", "1", "1", "$0.0012"]
        assert {line.split()[0] for line in lines[-2:]} == {"p/run", "p/calls"}

    def test_a_run_is_ended(self, run, tree):
        done = run("budget", "end-run", "n/a", *tree[2:-1])
        assert (done.exit_code, done.stdout) == (0, "the run `n/a` has ended\n")
        lines = run(*tree, "n").stdout.splitlines()
        assert [line.split()[-1] == "ended" for line in lines[1:6]] == [False, True, False, False, False]
        assert json.loads(run("budget", "end-run", "n/a", *tree[2:-1], "--format", "json").stdout) == {"ended": "n/a"}
        assert "must be names" in run("budget", "end-run", "n//a", *tree[2:-1]).stderr

    def test_json_of_a_part(self, run, tree):
        data = json.loads(run(*tree, "n/a", "--format", "json").stdout)
        assert [(item["run"], item["calls"], item["total_cost_usd"], item["share"]) for item in data["runs"]] == [
            ("n/a", 2, "0.0036", "1"), ("n/a/x", 0, "0.0012", "0.3333"), ("n/a/x/y", 1, "0.0012", "0.3333"),
        ]  # fmt: skip
        assert data["budgets"] == []

    def test_since(self, run, tree):
        data = json.loads(run(*tree, "n/a", "--since", "2199-01-01T00:00:00Z", "--format", "json").stdout)
        assert data == {"runs": [], "budgets": []}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("a//b",), "a run must be names separated by `/`"),
            (("n", "--key", "n"), "`--run` and `--key` cannot be used together"),
        ],
    )
    def test_wrong_use(self, run, tree, arguments, message):
        done = run(*tree, *arguments)
        assert (done.exit_code, message in done.stderr) == (2, True)

    def test_a_run_that_nobody_knows(self, run, tree):
        done = run(*tree, "n/c")
        assert (done.exit_code, done.stdout) == (0, "")
        assert "no calls of the run `n/c`" in done.stderr


ASKING = """
budgets:
  - id: team
    scope: request.?team.orValue("nobody")
    hard_limit_usd: 0.01
    window: {calendar: day}
    thresholds: [{at_ratio: 0.1, needs_approval: {reason: the platform team decides, approvers: [Ann]}}]
"""


class TestApprovals:
    @pytest.fixture
    def url(self, tmp_path, folder):
        write_company(folder, ASKING)
        return f"sqlite:///{tmp_path / 'approvals.db'}"

    @pytest.fixture
    def id(self, folder, url):
        """The id of an approval that a call has asked for."""
        with Guard(load(folder), url, alert_sinks=[]) as guard, pytest.raises(ApprovalNeededError) as caught:
            guard.call(REQUEST)
        return caught.value.approval

    def test_is_approved_and_denied_by_its_id(self, run, folder, url, id, ask):
        assert [(row["id"], row["state"]) for row in ask("approvals")] == [(id, "asked")]
        row = ask("approve", id, "--reason", "launch", "--expires", "1h")
        assert (row["state"], row["budget"], row["key"], row["threshold"], row["up_to"]) == (
            "approved", "p/team", "red", "0.1", "0.01",
        )  # fmt: skip
        with Guard(load(folder), url, alert_sinks=[]) as guard:
            guard.call(REQUEST).release()
            assert ask("deny", id, "--reason", "runaway")["state"] == "denied"
            with pytest.raises(ApprovalNeededError, match="was denied"):
                guard.call(REQUEST)
        kinds = [(item["kind"], item["facts"]["author"], item["facts"]["reason"]) for item in ask("history")]
        assert kinds[:2] == [("deny", "Ann", "runaway"), ("approve", "Ann", "launch")]
        assert kinds[2][:2] == ("ask", "costlens-policy")
        result = run("budget", "approvals", folder, "--ledger", url)
        assert result.stdout.startswith(f"{id}  denied    `p/team@0.1` of `red`: budget `p/team` of `red` is past")

    def test_wrong_answers(self, run, folder, url, id):
        for arguments, message in (
            (("approve", "ap-none", "--reason", "x"), "no approval `ap-none` was asked for"),
            (("approve", id, "--reason", "x", "--author", "Bob"), "must be answered by `Ann`, got `Bob`"),
            (("approve", id, "--reason", "x", "--up-to", "0.0001"), "must be at least 0.00"),
            (("approve", id, "--reason", " "), "must not be empty"),
        ):
            result = run("budget", *arguments, folder, "--ledger", url)
            assert result.exit_code == 2
            assert message in result.stderr


class TestApprovers:
    @pytest.fixture
    def url(self, tmp_path, folder):
        policy = "budgets: [{id: all, hard_limit_usd: 10, window: {calendar: day}, approver_above: 5}]"
        with Guard(write_company(folder, policy), f"sqlite:///{tmp_path / 'raises.db'}", alert_sinks=[]) as guard:
            guard.call(REQUEST).release()
        return f"sqlite:///{tmp_path / 'raises.db'}"

    def test_a_large_raise_needs_somebody_else(self, run, folder, url, ask):
        where = ("--reason", "launch", folder, "--ledger", url)
        ask("topup", "all", "5", "--reason", "launch")
        for more, got in (((), "got none"), (("--approver", " ANN "), "got `ANN`")):
            result = run("budget", "topup", "all", "0.01", *more, *where)
            assert result.exit_code == 2
            assert "needs `--approver`, somebody other than `Ann`" in result.stderr
            assert got in result.stderr
        result = run("budget", "set", "all", "11", "--expires", "1h", *where)
        assert "needs `--approver`" in result.stderr, "what is topped up counts, too"
        assert ask("topup", "all", "7", "--reason", "launch", "--approver", "Bob")["limit"] == "22"
        assert ask("history")[0]["facts"]["approver"] == "Bob"
        assert run("budget", "set", "all", "15.01", "--expires", "1h", *where).exit_code == 2
        assert ask("set", "all", "15", "--expires", "1h", "--reason", "launch", "--approver", "Bob")["limit"] == "27"
