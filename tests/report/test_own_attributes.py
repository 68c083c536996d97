"""Attributes that a policy set declares: kept in the ledger with each call, and labels of reports."""

from __future__ import annotations

import json
from itertools import count

import pytest

from costlens_policy import Guard
from costlens_policy.ledger import EntryQuery, open_ledger
from tests.guard.company import REQUEST, write_company
from tests.ledger.servers import postgresql_server, redis_server
from tests.report.conftest import call

ATTRIBUTES = """
attributes:
  tenant: {type: string}
  seats: {type: int}
  trial: {type: bool}
  rule: {type: string}
  paths: {type: list(string)}
"""
BUDGET = """
budgets:
  - id: tenant
    scope: request.?tenant.orValue("nobody")
    hard_limit_usd: 1
    window: {calendar: month}
"""
OWN = {"tenant": "acme", "seats": 12, "trial": True, "rule": "mine", "paths": ["/a"]}
KEPT = {"tenant": "acme", "seats": 12, "trial": True, "rule": "mine"}


_NUMBERS = count()


@pytest.fixture(scope="module", params=["sqlite", "redis", "postgresql"])
def new_url(request, tmp_path_factory):
    """Return what returns the URL of a ledger that nobody has used, of each kind that a report can read."""
    if request.param == "sqlite":
        folder = tmp_path_factory.mktemp("ledgers")
        yield lambda: f"sqlite:///{folder}/{next(_NUMBERS)}.db"
    else:
        with redis_server() if request.param == "redis" else postgresql_server() as server:
            yield lambda: server.url(f"own_{next(_NUMBERS)}")


@pytest.fixture
def ledger(new_url, tmp_path):
    """Return the URL of a ledger with three calls: of two tenants, and of one whose name is as long as a prompt."""
    url = new_url()
    engine = write_company(tmp_path / "policies", BUDGET, models="nano", more=ATTRIBUTES)
    with Guard(engine, ledger=url) as guard:
        for own in (OWN, {"tenant": "zenith"}, {"tenant": "a secret " * 40}):
            guard.call({**REQUEST, **own}).settle({"prompt_tokens": 10, "completion_tokens": 5})
    return url


def values(result, label):
    assert result.exit_code == 0, result.stderr
    groups = json.loads(result.stdout)["by"][label]["groups"]
    return {group["value"] for group in groups}


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ("tenant", {"acme", "zenith", None}),
        ("seats", {"12", None}),
        ("trial", {"true", None}),
        ("rule", {"default"}),
    ],
)
def test_a_ledger_groups_by_them(run, ledger, label, found):
    assert values(run("report", "--ledger", ledger, "--by", label, "--format", "json"), label) == found


def test_a_log_groups_by_them(run, write_log):
    log = write_log([call(number, tenant="acme" if number % 2 else "zenith") for number in range(4)])
    assert values(run("report", "--traffic", log, "--by", "tenant", "--format", "json"), "tenant") == {"acme", "zenith"}


@pytest.mark.parametrize(
    ("label", "advice"), [("tenat", "did you mean `tenant`?"), ("xyzzy", "tenant"), ("paths", "tenant")]
)
def test_an_unknown_label_is_an_error_that_lists_what_there_is(run, ledger, label, advice):
    result = run("report", "--ledger", ledger, "--by", label)
    assert result.exit_code != 0
    assert f"no call has a label `{label}`" in result.stderr
    assert advice in result.stderr


def test_they_are_kept_as_json_and_no_part_of_a_long_text_is(ledger):
    store = open_ledger(ledger, read_only=True)
    facts = [entry.facts for entry in store.entries(EntryQuery()).items]
    store.close()
    assert [item.get("attributes", {}) for item in facts] == [KEPT, {"tenant": "zenith"}, {}]
    assert "a secret" not in json.dumps([dict(item) for item in facts])
