"""Ledgers are opened by URL; what is wrong with one is said, and what is private in it is not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from costlens_policy.ledger import Held, LedgerError, LedgerUnavailableError, MemoryStore, open_ledger
from costlens_policy.ledger.laws.build import account, hold
from costlens_policy.ledger.sqlite import SQLiteStore


def test_memory() -> None:
    assert isinstance(open_ledger("memory:"), MemoryStore)


def test_sqlite_with_relative_absolute_and_quoted_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url, path in (
        ("sqlite:///spend.db", "spend.db"),
        (f"sqlite:///{tmp_path}/absolute.db?timeout=2.5", "absolute.db"),
        ("sqlite:///with%20space.db", "with space.db"),
    ):
        store = open_ledger(url)
        assert isinstance(store, SQLiteStore)
        assert isinstance(store.reserve(hold("a", account(), 1, 1)), Held)
        store.close()
        assert (tmp_path / path).exists()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("spend.db", "`spend.db` is not the URL of a ledger"),
        ("mysql://host/db", "unsupported ledger URL scheme `mysql:`; use `memory:`"),
        ("sqlite://spend.db", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file; use `memory:`"),
        ("sqlite:///a.db?wal=1", "has no option but `timeout`, got `wal=1`"),
        ("sqlite:///a.db?timeout=soon", "`timeout` must be a number of seconds up to 3600, such as `5`, got `soon`"),
        (
            "redis://127.0.0.1:1/0?ledger=No-Name",
            "`ledger` must be a letter and up to 39 more lower-case letters, digits and `_`, got `No-Name`",
        ),
        ("redis://127.0.0.1:1/0?history=0", "`history` must be a positive whole number, got `0`"),
        (
            "postgresql://127.0.0.1:1/x?timeout=0",
            "`timeout` must be a number of seconds up to 3600, such as `5`, got `0`",
        ),
    ],
)
def test_urls_that_are_none_are_refused(url: str, words: str) -> None:
    with pytest.raises(LedgerError, match=words):
        open_ledger(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:secret@127.0.0.1:1/0?timeout=1",
        "postgresql://user:secret@127.0.0.1:1/db?timeout=1",
        "postgresql://user:secret@127.0.0.1:1/db?nonsense=secret",
    ],
)
def test_a_server_that_is_not_there_is_an_error_without_the_password(url: str) -> None:
    with pytest.raises(LedgerUnavailableError, match=r"127\.0\.0\.1 cannot be reached|URL of the ledger") as caught:
        open_ledger(url)
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize(("kind", "driver"), [("redis", "redis"), ("postgresql", "psycopg")])
def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, kind: str, driver: str) -> None:
    for name in [name for name in sys.modules if name.startswith(f"costlens_policy.ledger.{kind}")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(LedgerError, match=rf"`{driver}` is not installed: pip install 'costlens-policy\[{kind}\]'"):
        open_ledger(f"{kind}://127.0.0.1/")


def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    store = open_ledger(f"sqlite:///{tmp_path}/spend.db")
    store.close()
    with pytest.raises(LedgerUnavailableError, match="the ledger was closed"):
        store.reserve(hold("a", account(), 1, 1))
