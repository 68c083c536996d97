"""Ledgers of other packages are opened by entry point, and what is wrong with one is reported by its name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from costlens_policy import Guard, load
from costlens_policy.cli.app import app
from costlens_policy.ledger import LedgerError, LedgerUnavailableError, MemoryStore, OpenOptions, open_ledger
from costlens_policy.ledger.laws.build import NOW, account
from tests.guard.company import REQUEST, write_company

_MODULE = """
from costlens_policy.ledger import LedgerUnavailableError, MemoryStore, OpenOptions

OPENED = []
STORE = MemoryStore()

def open_store(url: str, options: OpenOptions) -> MemoryStore:
    OPENED.append((url, options))
    if "gone" in url:
        raise LedgerUnavailableError("the x server is gone")
    if "crash" in url:
        raise KeyError(f"no route for {url}")
    return STORE

class Partial:
    def reserve(self, hold): ...

def partial(url, options):
    return Partial()

class Crashing(MemoryStore):
    extra = 7

    def balances(self, accounts, now):
        raise ZeroDivisionError("by zero")

def crashing(url, options):
    return Crashing()

number = 5
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that installs a distribution with entry points, as `pip` lays it out."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    module = f"plug_in_of_{tmp_path.name}".replace("-", "_")
    (site / f"{module}.py").write_text(_MODULE)

    def installed(distribution: str, **entries: str) -> None:
        folder = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        rows = (f"{scheme} = {value.replace('@', module)}" for scheme, value in entries.items())
        (folder / "entry_points.txt").write_text("[costlens_policy.ledgers]\n" + "\n".join(rows) + "\n")

    yield installed
    sys.modules.pop(module, None)


def test_a_ledger_of_another_package_is_opened(install: Callable[..., None]) -> None:
    install("ledger-x", x="@:open_store")
    store = open_ledger("x://host/a?timeout=3&a=%20&a=2", read_only=True)
    assert store.balances([account()], NOW)[0].used == 0
    ((url, options),) = _opened()
    assert (url, options.read_only) == ("x://host/a?timeout=3&a=%20&a=2", True)
    assert options.query == {"timeout": "3", "a": "2"}


def _opened() -> list[tuple[str, OpenOptions]]:
    (module,) = (it for name, it in sys.modules.items() if name.startswith("plug_in_of_"))
    return list(module.OPENED)


def test_what_a_store_has_besides_is_reached(install: Callable[..., None]) -> None:
    install("ledger-x", x="@:crashing")
    store = open_ledger("x:")
    assert store.extra == 7  # type: ignore[attr-defined]


def test_an_unknown_scheme_lists_what_there_is_and_how_to_get_one(install: Callable[..., None]) -> None:
    install("ledger-x", x="@:open_store", memory="@:open_store")
    with pytest.raises(LedgerError) as caught:
        open_ledger("y://host")
    assert str(caught.value) == (
        "unsupported ledger URL scheme `y:`; use `memory:`, `sqlite:///spend.db`, `redis://host:6379/0` or"
        " `postgresql://user@host/database`, or, from installed plug-ins, `x:` of `ledger-x`; for another scheme, `pip"
        " install` a package with an entry point of that name in the group `costlens_policy.ledgers` into"
        f" `{sys.prefix}`"
    )


def test_schemes_of_this_package_come_first(install: Callable[..., None]) -> None:
    install("ledger-x", memory="@:crashing")
    assert isinstance(open_ledger("memory:"), MemoryStore)


def test_two_packages_with_one_scheme_are_an_error(install: Callable[..., None]) -> None:
    install("ledger-x", x="@:open_store")
    install("ledger-y", x="@:open_store")
    with pytest.raises(LedgerError, match="`x:` is declared by `ledger-x` and `ledger-y`; uninstall all but one"):
        open_ledger("x:")


@pytest.mark.parametrize(
    ("value", "url", "words"),
    [
        ("nowhere_at_all:open", "x:", r"cannot be imported \(ModuleNotFoundError: No module named 'nowhere_at_all'\)"),
        ("@:nothing", "x:", r"cannot be imported \(AttributeError: module .* has no attribute 'nothing'\)"),
        ("@:number", "x:", "must name a callable, got `plug_in_of_.*:number`"),
        ("@:partial", "x:", "returned a store without `settle`, `charge`, `release`"),
        ("@:open_store", "x://u:secret@crash", r"failed in `open` \(KeyError: 'no route for x://u:…@crash'\)"),
    ],
)
def test_a_broken_plug_in_is_reported_by_name(install: Callable[..., None], value: str, url: str, words: str) -> None:
    install("ledger-x", x=value)
    with pytest.raises(LedgerError, match=f"the ledger plug-in `ledger-x` for `x:` {words}"):
        open_ledger(url)


def test_an_error_of_an_operation_is_reported_by_name(install: Callable[..., None]) -> None:
    install("ledger-x", x="@:crashing", y="@:open_store")
    words = r"plug-in `ledger-x` for `x:` failed in `balances` \(ZeroDivisionError: by zero\)"
    with pytest.raises(LedgerUnavailableError, match=words):
        open_ledger("x:").balances([], NOW)
    with pytest.raises(LedgerUnavailableError, match=r"^the x server is gone$"):
        open_ledger("y://gone")


def test_a_guard_and_the_command_line_share_one(install: Callable[..., None], tmp_path: Path) -> None:
    install("ledger-x", x="@:open_store", bad="@:crashing", gone="@:nothing")
    folder = tmp_path / "policies"
    write_company(folder, "budgets:\n  - {id: all, hard_limit_requests: 100, window: {calendar: year}}\n")
    with Guard(load(folder), "x://host/team", alert_sinks=[]) as guard:
        guard.call(REQUEST).settle({"prompt_tokens": 10, "completion_tokens": 5})

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["budget", "status", str(folder), "--ledger", *arguments])

    status = run("x://host/team", "--format", "json")
    assert (status.exit_code, '"used": "1"' in status.stdout) == (0, True), status.stderr
    for url, words in (
        ("bad:", "for `bad:` failed in"),
        ("gone:", "for `gone:` cannot be imported"),
    ):
        result = run(url)
        assert f"`ledger-x` {words}" in " ".join(result.stderr.split())
        assert "Traceback" not in result.stderr
        assert result.exit_code not in (0, 1)
