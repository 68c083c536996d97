"""``budget set``, ``topup``, ``revoke``, ``reset``, ``correct`` and ``release``: manual adjustments with a reason."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from costlens_policy.cli.command import Command, Example
from costlens_policy.cli.commands.budget.options import (
    AMOUNT,
    BUDGET,
    EXITS,
    LEDGER,
    TO,
    Opened,
    change_options,
    ends,
    opened,
)
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.options import SignedAmount, Timestamp, paths_argument
from costlens_policy.cli.output import write_json, write_out
from costlens_policy.clock import system_now
from costlens_policy.diagnostics.text import printable
from costlens_policy.frozen import frozen
from costlens_policy.money import plain

if TYPE_CHECKING:
    from costlens_policy.guard.spending import Spend
    from costlens_policy.ledger import Account, Adjustment, AdjustmentKind, Reservation, Store

__all__ = ["COMMANDS", "current_author"]


_ON_RESEARCH: Final = ". --ledger sqlite:///spend.db --key research"


def _runs(kind: AdjustmentKind) -> Callable[..., ExitCode]:
    """Return the function of a command that makes an adjustment of a kind."""

    def run(
        budget: str,
        paths: tuple[Path, ...],
        ledger: str,
        key: str | None,
        reason: str,
        author: str | None,
        id: str | None,
        output: str,
        amount: Decimal = Decimal(0),
        expires: datetime | timedelta | None = None,
        approver: str | None = None,
    ) -> ExitCode:
        _adjust(paths, ledger, _Change(kind, budget, key, amount, reason, author, expires, id, approver), output)
        return ExitCode.OK

    return run


def _command(
    name: str, kind: AdjustmentKind, short_help: str, help: str, examples: Sequence[Example], *parameters: Any
) -> click.Command:
    function = _runs(kind)
    for parameter in reversed((BUDGET, *parameters, format_option("text", "json"))):
        function = parameter(function)
    made = click.command(name, cls=Command, short_help=short_help, help=help, examples=examples, exits=EXITS)
    return made(function)


@click.command(
    "release",
    cls=Command,
    short_help="Release what a call holds.",
    examples=[
        (
            "an abandoned call, by its id",
            "budget release job-7 --ledger sqlite:///spend.db --reason 'the job was canceled'",
        ),
    ],
)
@click.argument("id", metavar="ID")
@paths_argument
@LEDGER
@click.option("--reason", metavar="TEXT", required=True, help="Why; kept in the history.")
@click.option("--author", metavar="NAME", help="Who makes the change. Default: your git or user name.")
@format_option("text", "json")
def _release(id: str, paths: tuple[Path, ...], ledger: str, reason: str, author: str | None, output: str) -> ExitCode:
    """Release what the call ID holds, on all its budgets. `budget reservations` lists such calls.

    A charge that arrives later still counts. PATH is accepted, as in the other commands, but not read.
    """
    _release_hold(ledger, id, reason, author, output)
    return ExitCode.OK


@click.command(
    "correct",
    cls=Command,
    short_help="Correct the used amount by a difference, also of an earlier period.",
    examples=[
        (
            "what the invoice of June has beyond the ledger",
            f"budget correct team {_ON_RESEARCH} --by 12.40 --at 2026-06-30T00:00:00Z --reason 'invoice 1123'",
        ),
        ("a credit", f"budget correct team {_ON_RESEARCH} --by -3 --reason 'credit of May 3'"),
    ],
    exits=EXITS,
)
@BUDGET
@paths_argument
@LEDGER
@click.option(
    "--by", "amount", type=SignedAmount(), required=True, metavar="AMOUNT", help="What to add; negative to take away."
)
@click.option(
    "--at", type=Timestamp(), metavar="TIME", help="Correct the period of this time. Default: the current one."
)
@change_options
@format_option("text", "json")
def _correct(
    budget: str,
    paths: tuple[Path, ...],
    ledger: str,
    amount: Decimal,
    at: datetime | None,
    key: str | None,
    reason: str,
    author: str | None,
    id: str | None,
    output: str,
) -> ExitCode:
    """Add a difference to what BUDGET has used, as an entry of its own with its reason.

    Earlier entries stay as they are. `costlens-policy reconcile --correct` does this for all differences from an
    invoice.
    """
    _correct_use(paths, ledger, _Change("correct", budget, key, amount, reason, author, None, id), at, output)
    return ExitCode.OK


_APPROVER: Final = click.option(
    "--approver",
    metavar="NAME",
    help="Who else has agreed; kept in the history. Needed above `approver_above` of the budget.",
)

COMMANDS: Final = (
    _command(
        "set",
        "override",
        "Override a limit until a given time.",
        """Replace the limit of BUDGET with AMOUNT, in its unit, in every period until the override expires.

        Only one override can be in force at a time; `budget revoke` ends it early. Permanent limits belong in the
        policy.
        """,
        [
            (
                "let a team spend up to $500 until Friday",
                f"budget set team 500 {_ON_RESEARCH} --expires 3d --reason 'launch week'",
            ),
            ("stop a budget", f"budget set team 0 {_ON_RESEARCH} --expires 12h --reason 'runaway job'"),
        ],
        AMOUNT,
        paths_argument,
        LEDGER,
        change_options,
        ends(required=True),
        _APPROVER,
    ),
    _command(
        "topup",
        "topup",
        "Add to a limit in the current period.",
        "Add AMOUNT to the limit of BUDGET until its period ends, or `--expires` if that is earlier. Top-ups add up.",
        [("twenty dollars more this month", f"budget topup team 20 {_ON_RESEARCH} --reason 'approved by Ann'")],
        AMOUNT,
        paths_argument,
        LEDGER,
        change_options,
        ends(required=False),
        _APPROVER,
    ),
    _command(
        "revoke",
        "revoke",
        "Revoke overrides and top-ups.",
        "Revoke all overrides and top-ups of BUDGET that are in force: the limit of the policy holds again.",
        [("back to the policy's limit", f"budget revoke team {_ON_RESEARCH} --reason 'launch is over'")],
        paths_argument,
        LEDGER,
        change_options,
    ),
    _command(
        "reset",
        "set",
        "Correct the used amount.",
        "Set what BUDGET has used in its current period. The history records the difference; held amounts stay held.",
        [
            ("to zero", f"budget reset team {_ON_RESEARCH} --reason 'charged by mistake'"),
            ("to the amount of the invoice", f"budget reset team {_ON_RESEARCH} --to 12.40 --reason 'invoice 1123'"),
        ],
        paths_argument,
        LEDGER,
        TO,
        change_options,
    ),
    _correct,
    _release,
)


@frozen
class _Change:
    """An adjustment that is asked for. ``expires`` is a timestamp, or a duration from now on."""

    kind: AdjustmentKind
    budget: str
    key: str | None
    amount: Decimal
    reason: str
    author: str | None
    expires: datetime | timedelta | None
    id: str | None
    approver: str | None = None


def _adjust(paths: Sequence[Path], ledger: str, asked: _Change, output: str) -> None:
    """Make an adjustment, and print the budget's state after it."""
    from costlens_policy.cli.commands.budget.table import row_of
    from costlens_policy.ledger import AdjustmentError

    with opened(paths, ledger, read_only=False) as found:
        now = system_now()
        account = found.account(asked.budget, asked.key, now)
        if account.period.first_use is not None:
            account = found.store.balances([account], now)[0].account  # a top-up ends with the window in force
        adjustment = _adjustment(asked, account, now)
        _check_approver(found, asked, adjustment)
        try:
            adjusted = found.store.adjust(adjustment)
        except AdjustmentError as error:
            raise click.UsageError(str(error)) from error
        (spend,) = found.spend(now, account.budget, account.key)
    if output == "json":
        write_json(row_of(spend, now).to_dict())
        return
    write_out(_sentence(spend, adjusted.repeated, now))


def _check_approver(found: Opened, asked: _Change, adjustment: Adjustment) -> None:
    """Raise ``UsageError`` for a raise that needs an approver other than its author and has none."""
    from costlens_policy.ledger import decimal_of
    from costlens_policy.units import show_amount

    approver, author = (asked.approver or "").strip(), adjustment.author
    if asked.approver is not None and not approver:
        raise click.UsageError("`--approver` must not be empty")
    account, step = adjustment.account, found.step(asked.budget)
    above = step.approver_above
    other = approver.casefold() not in ("", author.strip().casefold())
    if above is None or asked.kind not in ("topup", "override") or other:
        return
    granted = found.store.balances([account], adjustment.now)[0].grants
    override = adjustment.amount if asked.kind == "override" else granted.override
    raised = decimal_of(granted.topup + (adjustment.amount if asked.kind == "topup" else 0), account.unit)
    if override is not None:  # both raise the limit, so they add up
        limit = step.limit if isinstance(step.limit, Decimal) else Decimal(0)
        raised += decimal_of(override, account.unit) - limit
    if raised > above:
        much = show_amount(above, account.unit)
        got = f"got `{approver}`" if approver else "got none"
        raise click.UsageError(
            f"raising `{step.id}` by more than {much} needs `--approver`, somebody other than `{author}`, {got}"
        )


def _correct_use(paths: Sequence[Path], ledger: str, asked: _Change, at: datetime | None, output: str) -> None:
    """Correct what is used in the period of a time, and print what is used there then."""
    from costlens_policy.ledger import AdjustmentError, decimal_of
    from costlens_policy.units import show_amount

    with opened(paths, ledger, read_only=False) as found:
        now = system_now()
        account = found.account(asked.budget, asked.key, at or now)
        try:
            adjusted = found.store.adjust(_adjustment(asked, account, now))
        except AdjustmentError as error:
            raise click.UsageError(str(error)) from error
    unit, used = account.unit, decimal_of(adjusted.balance.used, account.unit)
    if output == "json":
        write_json({
            "budget": account.budget, "key": account.key, "period": account.period.id, "unit": unit,
            "by": plain(asked.amount), "used": plain(used), "id": adjusted.id, "repeated": adjusted.repeated,
        })  # fmt: skip
        return
    whose = f" of `{printable(account.key)}`" if account.key else ""
    before = "already done: " if adjusted.repeated else ""
    write_out(f"{before}`{account.budget}`{whose} now has {show_amount(used, unit)} used in {account.period.id}")


def _release_hold(ledger: str, id: str, reason: str, author: str | None, output: str) -> None:
    """Release what a call holds, recording by whom and why, and print it.

    It is recorded first, under ids of its own: repeated, it is recorded once.
    """
    from costlens_policy.cli.commands.budget.listing import reservation_data
    from costlens_policy.cli.sources import ledger_at
    from costlens_policy.ledger import decimal_of
    from costlens_policy.units import show_amount

    now, author = system_now(), author or current_author()
    with ledger_at(ledger, read_only=False) as store:
        found = _hold(store, id, now)
        if found.state in ("held", "expired"):
            for entry in _records(found, reason, author, now):
                store.adjust(entry)
            state = store.release(found.call, now).state
            if state == "settled":
                raise click.UsageError(f"the call `{found.call}` was just settled")
    if output == "json":
        write_json(reservation_data(found) | {"state": "released"})
        return
    if found.state == "released":
        write_out(f"the call `{printable(found.call)}` was already released")
        return
    for line in found.lines:
        account = line.account
        whose = f" of `{printable(account.key)}`" if account.key else ""
        amount = show_amount(decimal_of(line.amount, account.unit), account.unit)
        ended = "; its lease had expired" if found.state == "expired" else ""
        write_out(f"`{printable(found.call)}` no longer holds {amount} on `{account.budget}`{whose}{ended}")


def _records(found: Reservation, reason: str, author: str, now: datetime) -> list[Adjustment]:
    """Return an entry of the history for each line of a hold, under an id that follows from the call."""
    from costlens_policy.ledger import Adjustment, AdjustmentError, AmountError

    call = found.call
    try:
        return [
            Adjustment(f"release {call} {number}", "release", line.account, line.amount, author, reason, now, call=call)
            for number, line in enumerate(found.lines)
        ]
    except (AdjustmentError, AmountError) as error:
        raise click.UsageError(str(error)) from error


def _hold(store: Store, id: str, now: datetime) -> Reservation:
    """Return the hold of a call that may be released; raises ``UsageError``."""
    from costlens_policy.guard.holding import recall
    from costlens_policy.guard.link import Link
    from costlens_policy.ledger import AmountError, UnknownCallError

    try:
        found = recall(Link(lambda: store, time.monotonic), id, now)
    except (UnknownCallError, AmountError) as error:
        raise click.UsageError(f"{error}; `budget reservations` lists calls under way") from error
    if found.state == "settled":
        message = f"the call `{found.call}` is settled and holds nothing; `budget reset` corrects the used amount"
        raise click.UsageError(message)
    return found


def _adjustment(asked: _Change, account: Account, now: datetime) -> Adjustment:
    import uuid

    from costlens_policy.ledger import Adjustment, AdjustmentError, AmountError, amount_of, decimal_of
    from costlens_policy.units import measure

    expires = now + asked.expires if isinstance(asked.expires, timedelta) else asked.expires
    try:
        amount = amount_of(asked.amount.copy_abs(), account.unit)
        amount = -amount if asked.amount < 0 else amount
        if decimal_of(amount, account.unit) != asked.amount:
            digits = measure(account.unit).digits
            must = f"have at most {digits} decimal place{'s' * (digits > 1)}" if digits else "be whole"
            raise click.UsageError(f"an amount in {account.unit} must {must}")
        return Adjustment(
            asked.id or str(uuid.uuid4()),
            asked.kind,
            account,
            amount,
            asked.author or current_author(),
            asked.reason,
            now,
            expires,
            about={"approver": asked.approver.strip()} if asked.approver else {},
        )
    except (AdjustmentError, AmountError) as error:
        raise click.UsageError(str(error)) from error


def _sentence(spend: Spend, repeated: bool, now: datetime) -> str:
    from costlens_policy.units import show_amount

    whose = f" of `{spend.key}`" if spend.key else ""
    limit = "a limit per request" if spend.limit is None else show_amount(spend.limit, spend.unit)
    used, held = show_amount(spend.used, spend.unit), show_amount(spend.held, spend.unit)
    before = "already done: " if repeated else ""
    return f"{before}`{spend.budget}`{whose} now has {used} used and {held} held of {limit}"


def current_author() -> str:
    """Return the name of the user in git, or else in the system."""
    import getpass

    name = os.environ.get("GIT_AUTHOR_NAME", "").strip() or _git_name()
    try:
        return name or getpass.getuser()
    except (OSError, KeyError, ImportError):  # the last where there is no table of users
        raise click.UsageError("no git or user name is known; set `--author`") from None


def _git_name() -> str:
    import subprocess

    try:
        answer = subprocess.run(
            ["git", "config", "user.name"], capture_output=True, text=True, timeout=5, check=False
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip()
