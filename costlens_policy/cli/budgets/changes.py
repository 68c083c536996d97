"""Changing limits and balances by hand, with a name and a reason."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import click

from costlens_policy.cli.budgets.listing import reservation_data
from costlens_policy.cli.budgets.opened import ledger_at, opened
from costlens_policy.cli.budgets.rows import row_of
from costlens_policy.cli.console import write_out
from costlens_policy.clock import system_now
from costlens_policy.diagnostics.text import printable
from costlens_policy.engine.facts import show_amount
from costlens_policy.guard.link import Link
from costlens_policy.guard.repeating import recall
from costlens_policy.guard.spending import Spend
from costlens_policy.ledger import (
    Account,
    Adjustment,
    AdjustmentError,
    AdjustmentKind,
    AmountError,
    Reservation,
    Store,
    UnknownCallError,
    amount_of,
    decimal_of,
)

__all__ = ["Change", "change", "release"]


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody wants to change. ``expires`` is a time, or a length of time from now on."""

    kind: AdjustmentKind
    budget: str
    key: str | None
    amount: Decimal
    reason: str
    author: str | None
    expires: datetime | timedelta | None
    id: str | None


def change(paths: Sequence[Path], ledger: str, wish: Change, output: str) -> None:
    """Make a change, and print how the budget stands then."""
    with opened(paths, ledger, read_only=False) as found:
        now = system_now()
        account = found.account(wish.budget, wish.key, now)
        adjustment = _adjustment(wish, account, now)
        try:
            adjusted = found.store.adjust(adjustment)
        except AdjustmentError as error:
            raise click.UsageError(str(error), click.get_current_context()) from error
        (spend,) = found.spend(now, account.budget, account.key)
    if output == "json":
        write_out(json.dumps(row_of(spend, now).to_dict(), indent=2, ensure_ascii=False))
        return
    write_out(_sentence(spend, adjusted.repeated, now))


def release(ledger: str, id: str, reason: str, author: str | None, output: str) -> None:
    """Give back what a call holds, recording who did so and why, and print what that was.

    It is recorded first, under ids of its own: done again, it is recorded once.
    """
    now, author = system_now(), author or _author()
    with ledger_at(ledger, read_only=False) as store:
        found = _hold(store, id, now)
        if found.state in ("held", "expired"):
            for entry in _records(found, reason, author, now):
                store.adjust(entry)
            state = store.release(found.call, now).state
            if state == "settled":
                raise click.UsageError(f"the call `{found.call}` was settled just now", click.get_current_context())
    if output == "json":
        write_out(json.dumps(reservation_data(found) | {"state": "released"}, indent=2, ensure_ascii=False))
        return
    if found.state == "released":
        write_out(f"the call `{printable(found.call)}` was released already, and holds nothing")
        return
    for line in found.lines:
        account = line.account
        whose = f" of `{printable(account.key)}`" if account.key else ""
        amount = show_amount(decimal_of(line.amount, account.unit), account.unit)
        ended = ", whose lease had ended" if found.state == "expired" else ""
        write_out(f"`{printable(found.call)}` holds {amount} on `{account.budget}`{whose} no more{ended}")


def _records(found: Reservation, reason: str, author: str, now: datetime) -> list[Adjustment]:
    """Return an entry of the history for each line of a hold, under an id that follows from the call."""
    call = found.call
    try:
        return [
            Adjustment(f"release {call} {number}", "release", line.account, line.amount, author, reason, now, call=call)
            for number, line in enumerate(found.lines)
        ]
    except (AdjustmentError, AmountError) as error:
        raise click.UsageError(str(error), click.get_current_context()) from error


def _hold(store: Store, id: str, now: datetime) -> Reservation:
    """Return the hold of a call that may be released; raises ``UsageError``."""
    try:
        found = recall(Link(lambda: store, time.monotonic), id, now)
    except (UnknownCallError, AmountError) as error:
        message = f"{error}; `budget reservations` lists the calls that hold something"
        raise click.UsageError(message, click.get_current_context()) from error
    if found.state == "settled":
        message = f"the call `{found.call}` is settled, so it holds nothing; `budget reset` corrects what is used"
        raise click.UsageError(message, click.get_current_context())
    return found


def _adjustment(wish: Change, account: Account, now: datetime) -> Adjustment:
    expires = now + wish.expires if isinstance(wish.expires, timedelta) else wish.expires
    try:
        amount = amount_of(wish.amount, account.unit)
        if decimal_of(amount, account.unit) != wish.amount:
            raise click.UsageError(f"a budget in {account.unit} takes whole amounts", click.get_current_context())
        return Adjustment(
            wish.id or str(uuid.uuid4()),
            wish.kind,
            account,
            amount,
            wish.author or _author(),
            wish.reason,
            now,
            expires,
        )
    except (AdjustmentError, AmountError) as error:
        raise click.UsageError(str(error), click.get_current_context()) from error


def _sentence(spend: Spend, repeated: bool, now: datetime) -> str:
    whose = f" of `{spend.key}`" if spend.key else ""
    limit = "a limit by request" if spend.limit is None else show_amount(spend.limit, spend.unit)
    used, held = show_amount(spend.used, spend.unit), show_amount(spend.held, spend.unit)
    before = "this had been done already: " if repeated else ""
    return f"{before}`{spend.budget}`{whose} has now {used} used and {held} held of {limit}"


def _author() -> str:
    """Return who is at the keyboard: as git knows them, else by the name of the user."""
    name = os.environ.get("GIT_AUTHOR_NAME", "").strip() or _git_name()
    try:
        return name or getpass.getuser()
    except (OSError, KeyError, ImportError):  # the last where there is no table of users
        raise click.UsageError("nobody is known to have done this; name them with `--author`") from None


def _git_name() -> str:
    try:
        answer = subprocess.run(
            ["git", "config", "user.name"], capture_output=True, text=True, timeout=5, check=False
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip()
