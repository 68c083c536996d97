"""``budget approve``, ``deny`` and ``approvals``: answer what calls have asked for, on record in the ledger."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.commands.budget.changes import current_author
from costlens_policy.cli.commands.budget.options import EXITS, LEDGER, Opened, ends, most, opened
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.options import Amount, paths_argument
from costlens_policy.cli.output import write_json, write_out
from costlens_policy.clock import system_now
from costlens_policy.diagnostics.text import printable
from costlens_policy.frozen import frozen
from costlens_policy.money import plain

if TYPE_CHECKING:
    from costlens_policy.compiler.rules import ThresholdStep
    from costlens_policy.ledger import Account, Adjustment, AdjustmentKind, Entry

__all__ = ["COMMANDS"]

_PAGE: Final = 200
_EXAMPLE: Final = "ap-3f2a9c1b00d1e2f3 . --ledger sqlite:///spend.db"


@frozen
class _Answer:
    """What somebody answers. ``up_to`` is None for all of the limit; ``expires`` may count from now on."""

    kind: AdjustmentKind
    id: str
    reason: str
    author: str | None
    up_to: Decimal | None = None
    expires: datetime | timedelta | None = None


def _with(function: Callable[..., Any], *parameters: Any) -> Callable[..., Any]:
    for parameter in reversed(parameters):
        function = parameter(function)
    return function


def _approve(
    id: str,
    paths: tuple[Path, ...],
    ledger: str,
    reason: str,
    author: str | None,
    up_to: Decimal | None,
    expires: datetime | timedelta | None,
    output: str,
) -> ExitCode:
    """Let calls past the threshold that asked for the approval ID, until its period ends, or `--expires` if earlier.

    It covers the scope key that asked, as long as used + held + a call is at most `--up-to`, by default the limit in
    force. A later answer takes the place of an earlier one.
    """
    _answer(paths, ledger, _Answer("approve", id, reason, author, up_to, expires), output)
    return ExitCode.OK


def _deny(
    id: str,
    paths: tuple[Path, ...],
    ledger: str,
    reason: str,
    author: str | None,
    expires: datetime | timedelta | None,
    output: str,
) -> ExitCode:
    """Deny the approval ID until its period ends, or `--expires` if earlier: calls are refused without waiting.

    It also ends an approval that was given.
    """
    _answer(paths, ledger, _Answer("deny", id, reason, author, None, expires), output)
    return ExitCode.OK


def _list(paths: tuple[Path, ...], ledger: str, limit: int, output: str) -> ExitCode:
    """List the approvals that calls have asked for, the newest first, with what was answered."""
    with opened(paths, ledger, read_only=True) as found:
        now = system_now()
        rows = [_row(found, entry, now) for entry in _asked(found, limit)]
    if output == "json":
        write_json(rows)
    elif not rows:
        write_out("no approvals were asked for")
    else:
        for row in rows:
            whose = f" of `{printable(row['key'])}`" if row["key"] else ""
            write_out(f"{row['id']}  {row['state']:<8}  `{row['budget']}@{row['threshold']}`{whose}: {row['reason']}")
    return ExitCode.OK


_ID: Final = click.argument("id", metavar="ID")
_REASON: Final = click.option("--reason", metavar="TEXT", required=True, help="Why; kept in the history.")
_AUTHOR: Final = click.option("--author", metavar="NAME", help="Who answers. Default: your git or user name.")
_UP_TO: Final = click.option(
    "--up-to", type=Amount(), metavar="AMOUNT", help="How much may be used and held. Default: the limit."
)

COMMANDS: Final = (
    click.command(
        "approve",
        cls=Command,
        short_help="Approve that calls go past a threshold.",
        examples=[
            ("for the rest of the period", f"budget approve {_EXAMPLE} --reason 'launch week'"),
            ("up to $95, for a day", f"budget approve {_EXAMPLE} --up-to 95 --expires 1d --reason 'one more run'"),
        ],
        exits=EXITS,
    )(_with(_approve, _ID, paths_argument, LEDGER, _REASON, _AUTHOR, _UP_TO, ends(required=False),
            format_option("text", "json"))),
    click.command(
        "deny",
        cls=Command,
        short_help="Deny that calls go past a threshold.",
        examples=[("for the rest of the period", f"budget deny {_EXAMPLE} --reason 'runaway job'")],
        exits=EXITS,
    )(_with(_deny, _ID, paths_argument, LEDGER, _REASON, _AUTHOR, ends(required=False),
            format_option("text", "json"))),
    click.command(
        "approvals",
        cls=Command,
        short_help="List approvals that calls have asked for.",
        examples=[("all of them", "budget approvals . --ledger sqlite:///spend.db")],
        exits=EXITS,
    )(_with(_list, paths_argument, LEDGER, most("approvals"), format_option("text", "json"))),
)  # fmt: skip


def _answer(paths: Sequence[Path], ledger: str, answer: _Answer, output: str) -> None:
    from costlens_policy.ledger import AdjustmentError, AmountError

    with opened(paths, ledger, read_only=False) as found:
        now = system_now()
        entry = _entry(found, answer.id)
        threshold = _threshold(found, entry)
        author = answer.author or current_author()
        _check_author(answer, threshold, author)
        try:
            adjustment = _adjustment(found, answer, entry, author, now)
            found.store.adjust(adjustment)
        except (AdjustmentError, AmountError) as error:
            raise click.UsageError(str(error)) from error
        row = _row(found, entry, now)
    if output == "json":
        write_json(row)
        return
    whose = f" of `{printable(row['key'])}`" if row["key"] else ""
    until = f" until {row['until']}" if row["until"] else ""
    more = f" up to {row['up_to']} {row['unit']}" if row["up_to"] else ""
    write_out(f"`{answer.id}` is {row['state']}{more}{until}: `{row['budget']}@{row['threshold']}`{whose}")


def _entry(found: Opened, id: str) -> Entry:
    """Return the entry in which calls have asked for an approval. Raises ``UsageError``."""
    from costlens_policy.ledger import EntryQuery

    entries = found.store.entries(EntryQuery(call=id, limit=1)).items if id else ()
    if not entries or entries[0].kind != "ask":
        raise click.UsageError(f"no approval `{id}` was asked for; `budget approvals` lists them")
    return entries[0]


def _threshold(found: Opened, entry: Entry) -> ThresholdStep:
    """Return the threshold of the policies that an approval is about. Raises ``UsageError`` where there is none."""
    name = entry.facts.get("threshold")
    step = found.step(entry.account.budget)
    known = next((item for item in step.thresholds if item.name == name and item.approval is not None), None)
    if known is None:
        raise click.UsageError(f"the policies have no threshold `{step.id}@{name}` that needs an approval")
    return known


def _check_author(answer: _Answer, threshold: ThresholdStep, author: str) -> None:
    approvers = () if threshold.approval is None else threshold.approval.approvers
    if approvers and author not in approvers:
        names = ", ".join(f"`{name}`" for name in approvers)
        raise click.UsageError(f"`{answer.id}` must be answered by {names}, got `{author}`")


def _adjustment(found: Opened, answer: _Answer, entry: Entry, author: str, now: datetime) -> Adjustment:
    from costlens_policy.ledger import Adjustment, amount_of

    account = _account(found, entry, now)
    amount = 0
    if answer.kind == "approve":
        (spend,) = found.spend(now, account.budget, account.key)
        up_to = answer.up_to if answer.up_to is not None else spend.limit
        if up_to is None:
            raise click.UsageError(f"the limit of `{account.budget}` depends on the request; set `--up-to`")
        amount = amount_of(up_to, account.unit)
        if amount < entry.amount and answer.up_to is not None:
            least = plain(_decimal(entry.amount, account))
            raise click.UsageError(f"`--up-to` must be at least {least}, as the first call needs, got {plain(up_to)}")
    expires = now + answer.expires if isinstance(answer.expires, timedelta) else answer.expires
    return Adjustment(
        str(uuid.uuid4()), answer.kind, account, amount, author, answer.reason, now, expires,
        threshold=str(entry.facts["threshold"]), about={"approval": answer.id},
    )  # fmt: skip


def _account(found: Opened, entry: Entry, now: datetime) -> Account:
    """Return the account of an approval as it is now; raises ``UsageError`` where its period is over."""
    budget = entry.account.budget
    current = found.account(budget, None if found.step(budget).scope is None else entry.account.key, now)
    if current.name != entry.account.name:
        raise click.UsageError(f"the period of `{entry.call}` is over; calls ask anew")
    return found.store.balances([current], now)[0].account  # a window from first use ends when that in force does


def _asked(found: Opened, limit: int) -> Iterator[Entry]:
    from costlens_policy.ledger import EntryQuery

    query, left = EntryQuery(newest_first=True, limit=_PAGE), limit
    while left:
        page = found.store.entries(query)
        for entry in page.items:
            if entry.kind == "ask" and left:
                left -= 1
                yield entry
        if not page.next:
            return
        query = replace(query, after=page.next)


def _row(found: Opened, entry: Entry, now: datetime) -> dict[str, Any]:
    """Return an approval as JSON data, with its state: ``asked``, ``approved`` or ``denied``."""
    from costlens_policy.ledger.amounts import instant_of

    account, threshold = entry.account, entry.facts.get("threshold")
    grants = found.store.balances([account], now)[0].grants
    known = next((item for item in grants.approvals if item.threshold == threshold), None)
    state = "asked" if known is None else "denied" if known.up_to is None else "approved"
    until = None if known is None or known.until is None else instant_of(known.until)
    return {
        "id": entry.call,
        "state": state,
        "budget": account.budget,
        "key": account.key,
        "threshold": threshold,
        "unit": account.unit,
        "amount": plain(_decimal(entry.amount, account)),
        "up_to": None if known is None or known.up_to is None else plain(_decimal(known.up_to, account)),
        "until": None if until is None else until.isoformat().replace("+00:00", "Z"),
        "asked_at": entry.at.isoformat().replace("+00:00", "Z"),
        "reason": entry.facts.get("reason", ""),
    }


def _decimal(amount: int, account: Account) -> Decimal:
    from costlens_policy.ledger import decimal_of

    return decimal_of(amount, account.unit)
