"""An upstream and a proxy of each version, shared by the tests of this folder, and what its ledger has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costlens_policy import Guard, load
from tests.integration.litellm.proxies import (
    VERSIONS,
    Answer,
    Proxy,
    ask,
    installed,
    running_proxy,
    running_upstream,
    write_policies,
)

MICRO = Decimal("0.000001")


@dataclass(frozen=True)
class Gateway:
    """A proxy with a ledger, and the upstream behind it."""

    proxy: Proxy
    upstream: str
    ledger: str
    policies: Path

    def ask(self, path: str, body: Any, **options: Any) -> Answer:
        return ask(self.proxy.url, path, body, **options)

    def served(self) -> list[dict[str, Any]]:
        """Return what the upstream has served so far."""
        served: list[dict[str, Any]] = ask(self.upstream, "/served", None).body["served"]
        return served

    def spend(self, team: str) -> tuple[Decimal, Decimal]:
        """Return what a team has used and holds, in millionths of a dollar."""
        with Guard(load(self.policies), ledger=self.ledger) as guard:
            for balance in guard.spend(key=team):
                return balance.used / MICRO, balance.held / MICRO
        return Decimal(0), Decimal(0)

    def settled(self, team: str, patience: float = 10) -> Decimal:
        """Return what a team has used, once it holds nothing."""
        end = time.monotonic() + patience
        while (spend := self.spend(team))[1] and time.monotonic() < end:
            time.sleep(0.05)
        assert not spend[1], f"{spend[1]} stay held"
        return spend[0]


@pytest.fixture(scope="session")
def upstream() -> Iterator[str]:
    with running_upstream() as url:
        yield url


@pytest.fixture(scope="session", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    named: str = request.param
    return named


@pytest.fixture(scope="session")
def python(version: str) -> Path:
    return installed(version)


@pytest.fixture(scope="session")
def gateway(upstream: str, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    policies = write_policies(folder / "policies", limit="1")
    ledger = f"sqlite:///{folder}/spend.db"
    settings = {
        "policies": [str(policies)],
        "ledger": ledger,
        "attributes": {"feature": "metadata.feature", "session": "header.x-session"},
    }
    with running_proxy(python, folder, upstream, settings) as proxy:
        yield Gateway(proxy, upstream, ledger, policies)
    log = proxy.log.read_text(encoding="utf-8")
    assert "LiteLLM reports" not in log  # that another deployment served than the one that was charged
    assert "gone round" not in log


Started = Callable[..., Gateway]


@pytest.fixture
def start(upstream: str, python: Path, tmp_path: Path) -> Iterator[Started]:
    """Return a function that starts a proxy of its own for one test."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def started(settings: Mapping[str, Any] | None = None, limit: str = "1", **options: Any) -> Gateway:
            number = len(list(tmp_path.iterdir()))
            folder = tmp_path / f"proxy-{number}"
            policies = write_policies(tmp_path / "policies", limit=limit)
            ledger = str((settings or {}).get("ledger", f"sqlite:///{tmp_path}/spend.db"))
            given = {"policies": [str(policies)], "ledger": ledger, **(settings or {})}
            proxy = stack.enter_context(running_proxy(python, folder, upstream, given, **options))
            return Gateway(proxy, upstream, ledger, policies)

        yield started
