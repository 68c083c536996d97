"""What the ``budget`` commands take on their command lines, and the policy set and ledger that they open."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import click

from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.options import Amount, Until, paths_argument
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from costlens_policy.compiler.plan import Plan
    from costlens_policy.compiler.rules import BudgetStep
    from costlens_policy.guard.accounts import Accounts
    from costlens_policy.guard.link import Link
    from costlens_policy.guard.spending import Spend
    from costlens_policy.ledger import Account, Store
    from costlens_policy.units import Unit

__all__ = [
    "AMOUNT", "BUDGET", "EXITS", "LEDGER", "TO", "Opened", "change_options", "ends", "look_options", "most", "opened",
]  # fmt: skip


_Function = TypeVar("_Function", bound=Callable[..., Any])
Parameter: TypeAlias = Callable[[Any], Any]
"""Adds an argument or an option to a function."""

EXITS: Final = (ExitCode.INVALID, ExitCode.NOTHING)

LEDGER: Final[Parameter] = click.option(
    "--ledger",
    required=True,
    metavar="URL",
    envvar="COSTLENS_LEDGER",
    help="The ledger, such as sqlite:///spend.db.",
)
BUDGET: Final[Parameter] = click.argument("budget", metavar="BUDGET")
AMOUNT: Final[Parameter] = click.argument("amount", metavar="AMOUNT", type=Amount())
TO: Final[Parameter] = click.option(
    "--to", "amount", metavar="AMOUNT", type=Amount(), default="0", show_default=True, help="The used amount."
)


def _key(_context: click.Context, _option: click.Parameter, key: str | None) -> str | None:
    from costlens_policy.compiler.rules import key_problem

    problem = None if key is None else key_problem(key)
    if problem is not None:
        raise click.BadParameter(f"a scope key {problem}")
    return key


def look_options(function: _Function) -> _Function:
    """Add what is looked at: ``paths``, ``ledger``, ``budget`` and ``key``."""
    return _with(
        function,
        paths_argument,
        LEDGER,
        click.option("--budget", metavar="BUDGET", help="Only this budget, as `policy/budget` or its id."),
        click.option("--key", metavar="KEY", callback=_key, help="Only this scope key, such as a team."),
    )


def change_options(function: _Function) -> _Function:
    """Add for whom a limit is changed, why, and by whom: ``key``, ``reason``, ``author`` and ``id``."""
    return _with(
        function,
        click.option("--key", metavar="KEY", callback=_key, help="The scope key, for a budget with a scope."),
        click.option("--reason", metavar="TEXT", required=True, help="Why; kept in the history."),
        click.option("--author", metavar="NAME", help="Who makes the change. Default: your git or user name."),
        click.option("--id", metavar="ID", help="Makes the command safe to repeat: each id is applied once."),
    )


def ends(*, required: bool) -> Parameter:
    """Add ``--expires TIME``, a timestamp or a duration."""
    return click.option(
        "--expires",
        metavar="TIME",
        type=Until(),
        required=required,
        help="When the change ends: a timestamp such as 2026-11-02T09:00:00Z, or a duration such as 2h or 3d.",
    )


def most(things: str) -> Parameter:
    """Add ``--limit N``, how many things are listed at most."""
    return click.option(
        "--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N", help=f"At most N {things}."
    )


def _with(function: _Function, *parameters: Parameter) -> _Function:
    """Add parameters so that the help shows them in this order."""
    for parameter in reversed(parameters):
        function = parameter(function)
    return function


@frozen
class Opened:
    """The plan, its accounts, and the store."""

    plan: Plan
    accounts: Accounts
    store: Store

    def step(self, budget: str) -> BudgetStep:
        """Return a budget by ``policy/budget``, or its id where only one policy has it."""
        from costlens_policy.diagnostics.suggestion import did_you_mean

        known = self.plan.budgets.get(budget)
        if known is None:
            hint = did_you_mean(budget, self.plan.budgets) or "`budget status` lists them"
            raise click.UsageError(f"no budget `{budget}`; {hint}")
        if known[1].per_call:
            raise click.UsageError(f"`{known[1].id}` limits each call by itself and is not kept in a ledger")
        return known[1]

    def account(self, budget: str, key: str | None, now: datetime) -> Account:
        """Return the current account of a budget and scope key, which a budget with a scope needs."""
        step = self.step(budget)
        if step.scope is None and key:
            raise click.UsageError(f"`{step.id}` has no scope; remove `--key`")
        if step.scope is not None and key is None:
            raise click.UsageError(f"`{step.id}` has a limit for each `{step.scope.source}`; set `--key`")
        account = self.accounts.account(step.id, key or "", now)
        if account is None:
            raise click.UsageError(f"the window of `{step.id}` does not contain the current time")
        return account

    def spend(self, now: datetime, budget: str | None = None, key: str | None = None) -> tuple[Spend, ...]:
        from costlens_policy.guard.spending import spend_of

        name = None if budget is None else self.step(budget).id
        return spend_of(self.plan, self.accounts, self._link, now, name, key)

    def earlier_units(self, now: datetime, budget: str | None = None) -> Iterator[tuple[str, Unit]]:
        from costlens_policy.guard.spending import earlier_units

        name = None if budget is None else self.step(budget).id
        return earlier_units(self.plan, self.accounts, self._link, now, name)

    def beyond_holds(self, now: datetime, which: tuple[str | None, str | None]) -> Iterator[tuple[Account, int]]:
        """Yield by how much calls under way may exceed what is held for them, where a budget holds a quantile."""
        from costlens_policy.ledger.overspend import beyond_holds

        chosen, key = which
        name = None if chosen is None else self.step(chosen).id
        if any(name in (None, step.id) for step in self.plan.stages.quantiles):
            yield from beyond_holds(self.store, name, key, now).items()

    @property
    def _link(self) -> Link:
        from costlens_policy.guard.link import Link

        return Link(lambda: self.store, time.monotonic)


@contextmanager
def opened(paths: Sequence[Path], ledger: str, *, read_only: bool) -> Iterator[Opened]:
    """Open a ledger that exists. Raises ``PolicyError``, ``InputError`` and ``LedgerUnavailableError``."""
    from costlens_policy.api import load
    from costlens_policy.cli.sources import ledger_at
    from costlens_policy.guard.accounts import Accounts

    plan = load(*paths).plan
    with ledger_at(ledger, read_only=read_only) as store:
        yield Opened(plan, Accounts(plan), store)
