"""A company whose budgets each test writes itself, and clocks and stores to try them with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from costlens_policy import Engine, load
from costlens_policy.ledger import Account, AccountQuery, LedgerUnavailableError, Store, open_ledger

CATALOGUE = """
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: catalogue, version: "1"}
models:
  nano: {provider: acme, capabilities: [tools, json_mode], prices: [{usd_per_million_tokens: {input: 1, output: 2}}]}
  mini:
    provider: acme
    aliases: [mini-latest]
    prices:
      - usd_per_million_tokens: {input: 2, output: 8}
        service_tiers:
          flex: {usd_per_million_tokens: {input: 1, output: 4}}
          batch: {usd_per_million_tokens: {input: 1, output: 4}}
          priority: {usd_per_million_tokens: {input: 4, output: 16}}
  large:
    provider: acme
    prices: [{usd_per_million_tokens: {input: 5, cache_read: 0.5, cache_write: 6, output: 15, reasoning: 20}}]
  thinker:
    provider: acme
    capabilities: [tools, reasoning]
    prices: [{usd_per_million_tokens: {input: 1, output: 2}}]
  stranger: {provider: acme, prices: [{usd_per_million_tokens: {input: 1, output: 2}}]}
  free: {provider: acme}
"""

POLICY_SET = """
apiVersion: costlens-policy/v1
kind: PolicySet
metadata: {name: set, version: "1"}
policies: [p.yaml]
catalogues: [catalogue.yaml]
defaults: {access: allow, route: {models: [%s], waive_terms_for: [downgrades]}, max_output_tokens: 100}
admit: {unpriced_models: true}
%s
"""

POLICY = 'apiVersion: costlens-policy/v1\nkind: Policy\nmetadata: {name: p, version: "1"}\n%s'

START = datetime(2026, 5, 10, 12, tzinfo=UTC)

REQUEST: dict[str, Any] = {"prompt": "Hello", "prompt_tokens": 1000, "max_output_tokens": 100, "team": "red"}
"""On `nano` at most $0.0012, on `mini` $0.0028, on `large` $0.008."""

TEAM = """
budgets:
  - id: team
    scope: request.?team.orValue("nobody")
    hard_limit_usd: 0.01
    window: {calendar: day}
"""


def write_company(
    folder: Path, policy: str, models: str = "nano", more: str = "", catalogue: str | None = None
) -> Engine:
    """Write and load a policy set of one policy, whose route tries ``models`` in order."""
    folder.mkdir(exist_ok=True)
    (folder / "catalogue.yaml").write_text(catalogue or CATALOGUE, encoding="utf-8")
    (folder / "policy-set.yaml").write_text(POLICY_SET % (models, more), encoding="utf-8")
    (folder / "p.yaml").write_text(POLICY % policy, encoding="utf-8")
    return load(folder)


def touched(ledger: str | Store, budget: str, now: datetime) -> Account:
    """Return the one account of a budget that calls have touched."""
    store = open_ledger(ledger) if isinstance(ledger, str) else ledger
    (balance,) = store.accounts(AccountQuery(budget=budget), now).items
    return balance.account


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, **length: float) -> None:
        self.now += timedelta(**length)


class Timer:
    """Steady seconds that move when they are told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Breakable:
    """A store that can be broken, and counts the round trips to it."""

    def __init__(self, store: Any) -> None:
        self.inner = store
        self.broken = False
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)

        def ask(*arguments: Any, **keywords: Any) -> Any:
            self.asked.append(name)
            if self.broken and name != "close":
                raise LedgerUnavailableError("the store is broken")
            return method(*arguments, **keywords)

        return ask if callable(method) else method
