"""All stores obey the laws that are shipped for whoever writes one."""

from __future__ import annotations

import pytest

from costlens_policy.ledger import EntryQuery, Store
from costlens_policy.ledger.amounts import micros
from costlens_policy.ledger.laws import StoreLaws
from costlens_policy.ledger.laws.build import LIFETIME, NOW, account, settlement
from costlens_policy.ledger.postgresql import PostgreSQLStore
from costlens_policy.ledger.sqlite import SQLiteStore
from tests.conftest import ROOT
from tests.docs.walkthrough import blocks


class TestStores(StoreLaws):
    """``conftest.py`` has the fixture ``store``, one of each kind."""


@pytest.mark.parametrize("ledger_url", ["sqlite", "postgresql"], indirect=True)
def test_old_history_may_be_deleted_as_the_documentation_says(ledger_url: str, store: Store) -> None:
    teams = [account(key=key, period=LIFETIME) for key in ("ops", "research")]
    for number in range(8):
        store.charge(settlement(f"call {number}", teams[number % 2], number, NOW.replace(minute=number)))
    (text,) = [block.text for block in blocks((ROOT / "docs" / "ledger.md").read_text()) if "DELETE FROM" in block.text]
    for statement in text.replace("1735689600000000", str(micros(NOW.replace(minute=3)))).strip().splitlines():
        if isinstance(store, SQLiteStore):
            with store._file.writing() as db:
                db.execute(statement.replace("costlens.", ""))
        else:
            assert isinstance(store, PostgreSQLStore)
            store._database.execute(statement.replace("costlens.", f"{ledger_url.partition('ledger=')[2]}."))
    page = store.entries(EntryQuery())
    assert [entry.amount for entry in page.items] == [3, 4, 5, 6, 7]
    assert [balance.used for balance in store.balances(teams, NOW)] == [12, 16]
    store.charge(settlement("next", teams[0], 9))
    assert [entry.amount for entry in store.entries(EntryQuery(after=page.items[-1].id)).items] == [9]
