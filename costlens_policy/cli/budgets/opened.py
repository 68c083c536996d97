"""A policy set and the ledger of its budgets, as the commands take them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

from costlens_policy.api import load
from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.diagnostics.suggestion import did_you_mean
from costlens_policy.errors import InputError
from costlens_policy.guard.accounts import Accounts
from costlens_policy.guard.link import Link
from costlens_policy.guard.spending import Spend, spend_of
from costlens_policy.ledger import Account, LedgerError, LedgerUnavailableError, Store, open_ledger

__all__ = ["Opened", "ledger_at", "opened"]


@dataclass(frozen=True, slots=True)
class Opened:
    """The plan, its accounts, and the store."""

    plan: Plan
    accounts: Accounts
    store: Store

    def step(self, budget: str) -> BudgetStep:
        """Return a budget by ``policy/budget``, or its id where only one policy has it."""
        known = self.plan.budgets.get(budget)
        if known is None:
            hint = did_you_mean(budget, self.plan.budgets) or "`budget status` lists them"
            raise click.UsageError(f"no budget `{budget}`; {hint}", click.get_current_context())
        if known[1].per_call:
            message = f"`{known[1].id}` limits each call by itself, so no ledger has it"
            raise click.UsageError(message, click.get_current_context())
        return known[1]

    def account(self, budget: str, key: str | None, now: datetime) -> Account:
        """Return the present account of a budget and scope key, which a budget with a scope needs."""
        step = self.step(budget)
        if step.scope is None and key:
            message = f"`{step.id}` has no scope: one limit holds for all, so leave `--key` out"
            raise click.UsageError(message, click.get_current_context())
        if step.scope is not None and key is None:
            message = f"`{step.id}` has a limit for each `{step.scope.source}`; name one with `--key`"
            raise click.UsageError(message, click.get_current_context())
        account = self.accounts.account(step.id, key or "", now)
        if account is None:
            message = f"the window of `{step.id}` does not contain the present"
            raise click.UsageError(message, click.get_current_context())
        return account

    def spend(self, now: datetime, budget: str | None = None, key: str | None = None) -> tuple[Spend, ...]:
        name = None if budget is None else self.step(budget).id
        link = Link(lambda: self.store, time.monotonic)
        return spend_of(self.plan, self.accounts, link, now, name, key)


@contextmanager
def opened(paths: Sequence[Path], ledger: str, *, read_only: bool) -> Iterator[Opened]:
    """Open a ledger that exists. Raises ``PolicyError``, ``InputError`` and ``LedgerUnavailableError``."""
    plan = load(*paths).plan
    with ledger_at(ledger, read_only=read_only) as store:
        yield Opened(plan, Accounts(plan), store)


@contextmanager
def ledger_at(url: str, *, read_only: bool) -> Iterator[Store]:
    """Open a ledger that exists, without its policies; one that is only looked at need not be writable."""
    store = _opened(url, read_only)
    try:
        yield store
    finally:
        store.close()


def _opened(url: str, read_only: bool) -> Store:
    if url.startswith("memory:"):
        message = "a ledger in memory is known to its own process only; name a file or a server"
        raise click.UsageError(message, click.get_current_context())
    if url.startswith("sqlite:") and not Path(unquote(urlsplit(url).path.removeprefix("/"))).exists():
        raise InputError(f"there is no ledger `{url}`; a guard makes it when it is first used")
    try:
        return open_ledger(url, read_only=read_only)
    except LedgerUnavailableError:
        raise
    except LedgerError as error:
        raise click.UsageError(str(error), click.get_current_context()) from error
