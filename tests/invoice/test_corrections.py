"""Corrections: shared as charges were, once however often an invoice is read, and never by changing an entry."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costlens_policy.clock import system_now
from costlens_policy.invoice import InvoiceError, correct, corrections_of
from costlens_policy.ledger import Adjustment, EntryQuery, open_ledger
from tests.invoice.conftest import DAY, account, begun, charge, comparing, costs_page

DOLLAR = 10**15
_HARMLESS = HealthCheck.function_scoped_fixture


def used(store, *accounts):
    return [balance.used for balance in store.balances(accounts, system_now())]


def enter(store, agreement):
    return correct(
        store, corrections_of(agreement).made, author="ann", reason="invoice 7", now=system_now()
    )  # fmt: skip


def test_a_difference_is_shared_as_the_charges_were(store, write, reconciled):
    charge(store, "a", cost=Decimal(3), keys=["red"])
    charge(store, "b", cost=Decimal(1), keys=["blue"])
    charge(store, "c", cost=Decimal(4))  # no team
    before = store.entries(EntryQuery()).items
    file = write(costs_page((DAY, "gpt-5, input", "10")))
    made = enter(store, reconciled(file))
    assert sorted((item.account.key, item.amount) for item in made.done) == [
        ("", 2 * DOLLAR), ("blue", DOLLAR // 4), ("red", 3 * DOLLAR // 4),
    ]  # fmt: skip
    accounts = account(), account(budget="org/team", key="red"), account(budget="org/team", key="blue")
    assert used(store, *accounts) == [10 * DOLLAR, 15 * DOLLAR // 4, 5 * DOLLAR // 4]
    after = store.entries(EntryQuery()).items
    assert after[: len(before)] == before
    assert {entry.kind for entry in after[len(before) :]} == {"correct"}
    assert after[-1].facts["reason"] == "invoice 7"
    assert after[-1].facts["reconciled"] == {
        "day": "2026-06-03", "provider": "openai", "model": "gpt-5", "key": "", "target": "2",
    }  # fmt: skip


def test_reading_twice_corrects_once(store, write, reconciled):
    charge(store, "a", cost=Decimal(3), keys=["red"])
    file = write(costs_page((DAY, "gpt-5, input", "10")))
    assert len(enter(store, reconciled(file)).done) == 2
    again = reconciled(file)
    assert (again.agrees, again.total.corrected) == (True, 7)
    assert enter(store, again).done == ()
    assert used(store, account()) == [10 * DOLLAR]


def test_two_at_once_correct_once(store, write, reconciled, tmp_path):
    charge(store, "a", cost=Decimal(3), keys=["red", "blue"])
    corrections = corrections_of(reconciled(write(costs_page((DAY, "gpt-5, input", "10"))))).made

    def run(_):
        own = open_ledger(f"sqlite:///{tmp_path}/spend.db")
        correct(own, corrections, author="ann", reason="x", now=system_now())
        own.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert used(store, account()) == [10 * DOLLAR]


def test_what_was_cut_off_in_the_middle_is_completed(store, write, reconciled):
    charge(store, "a", cost=Decimal(3), keys=["red"])
    file = write(costs_page((DAY, "gpt-5, input", "10")))
    first, *_ = corrections_of(reconciled(file)).made
    correct(store, [first], author="ann", reason="x", now=system_now())
    assert len(enter(store, reconciled(file)).done) == 1
    assert used(store, account(), account(budget="org/team", key="red")) == [10 * DOLLAR, 10 * DOLLAR]


@given(st.lists(st.integers(0, 900), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None, suppress_health_check=[_HARMLESS])
def test_the_last_invoice_counts_whatever_came_before(tmp_path_factory, write, invoices):
    """Preliminary invoices go up and down, and come back to what they were."""
    folder = tmp_path_factory.mktemp("ledger")
    store = begun(open_ledger(f"sqlite:///{folder}/spend.db"))
    charge(store, "a", cost=Decimal(3), keys=["red"])
    charge(store, "b", cost=Decimal(4), keys=["blue"])
    compare = comparing(store)
    for cents in invoices:
        enter(store, compare(write(costs_page((DAY, "gpt-5, input", Decimal(cents) / 100)))))
    (whole,) = used(store, account())
    teams = used(store, account(budget="org/team", key="red"), account(budget="org/team", key="blue"))
    # A row within the tolerance of the invoice before is left as it is.
    assert abs(whole - invoices[-1] * DOLLAR // 100) <= max(DOLLAR // 100, invoices[-1] * DOLLAR // 20_000)
    assert sum(teams) == whole


def test_a_row_that_no_budget_has_counted_is_left(store, write, reconciled):
    corrections = corrections_of(reconciled(write(costs_page((DAY, "gpt-5, input", "10")))))
    assert corrections.made == ()
    assert [row.difference for row in corrections.unassigned] == [10]


def test_what_would_go_below_zero_is_refused_alone(store, write, reconciled):
    charge(store, "a", cost=Decimal(3), keys=["red"])
    store.adjust(Adjustment("r", "set", account(), 0, "ann", "reset", system_now()))
    made = enter(store, reconciled(write(costs_page((DAY, "gpt-5, input", "1")))))
    assert [(item.account.budget, item.amount) for item in made.done] == [("org/team", -2 * DOLLAR)]
    ((item, problem),) = made.refused
    assert item.account.budget == "org/all"
    assert "must be at least 0, got -2" in problem


def test_an_invoice_that_is_not_whole_corrects_nothing(store, write, reconciled):
    charge(store, "a", cost=Decimal(3))
    agreement = reconciled(write(costs_page((DAY, "gpt-5, input", "10"), more=True)))
    assert any("further pages" in note for note in agreement.notes)
    with pytest.raises(InvoiceError, match="pages that are missing"):
        corrections_of(agreement)


def test_corrections_for_a_whole_month_do_not_hide_those_by_day(store, write, reconciled):
    charge(store, "a", cost=Decimal(3))
    file = write(costs_page((DAY, "gpt-5, input", "10")))
    enter(store, reconciled(file, by=("model",)))
    assert reconciled(file, by=("model",)).agrees
    agreement = reconciled(file)
    assert any("corrected for other days or another `--by`" in note for note in agreement.notes)
    with pytest.raises(InvoiceError, match="another `--by`"):
        corrections_of(agreement)


def test_a_day_in_which_the_history_begins_is_left(tmp_path, write):
    """Its first calls may have been deleted; the days after it are corrected."""
    store = open_ledger(f"sqlite:///{tmp_path}/cut.db")
    later = DAY + timedelta(days=1)
    charge(store, "a", cost=Decimal(3))
    charge(store, "b", later + timedelta(hours=1), cost=Decimal(3))
    agreement = comparing(store)(write(costs_page((DAY, "gpt-5, input", "5"), (later, "gpt-5, input", "7"))))
    assert any("begins at 2026-06-03 09:00 UTC" in note for note in agreement.notes)
    corrections = corrections_of(agreement)
    assert [item.at.day for item in corrections.made] == ["2026-06-04"]
    assert [row.at.day for row in corrections.unassigned] == ["2026-06-03"]


def test_corrections_of_one_provider_are_not_those_of_another(store, write, reconciled):
    charge(store, "a", cost=Decimal(3))
    charge(store, "b", model="claude-haiku-4-5", cost=Decimal(1))
    openai = write(costs_page((DAY, "gpt-5, input", "10")), "openai.json")
    anthropic = write("usage_date_utc,model,cost_usd\n2026-06-03,Claude Haiku 4.5,2.00\n", "anthropic.csv")
    for by in (("day",), ("day", "model")):
        assert [row.corrected for row in reconciled(anthropic, by=by).rows] == [0]
        if by == ("day",):
            enter(store, reconciled(openai, by=by))
    enter(store, reconciled(anthropic))
    assert used(store, account()) == [12 * DOLLAR]
    assert [row.corrected for row in reconciled(openai, by=("day",)).rows] == [7]
    with pytest.raises(InvoiceError, match="another `--by`"):
        corrections_of(reconciled(openai, anthropic))


def test_finer_corrections_are_shown_by_coarser_rows_and_not_made_again(store, write, reconciled):
    charge(store, "a", cost=Decimal(3))
    file = write(costs_page((DAY, "gpt-5, input", "10")))
    enter(store, reconciled(file))
    agreement = reconciled(file, by=("day",))
    assert (agreement.agrees, agreement.total.corrected) == (True, 7)
    with pytest.raises(InvoiceError, match="another `--by`"):
        corrections_of(agreement)
