"""``budget bound``: how far spending can have come above limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.commands.budget.options import EXITS, LEDGER
from costlens_policy.cli.exit_codes import ExitCode, NothingError
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.output import print_table, write_json, write_out

if TYPE_CHECKING:
    from rich.table import Table

    from costlens_policy.ledger.overspend import Overspend

__all__ = ["COMMANDS"]

_CONDITIONS: Final = (
    "calls under way add to the bound what their worst cases exceed their holds by: nothing where the worst case is"
    " held; it holds where no limit was lowered below what is used and held, also not by the end of a raise, where the"
    " history of the period is whole, and without what was spent past the ledger"
)


@click.command(
    "bound",
    cls=Command,
    short_help="Show by how much spending can have exceeded limits at most.",
    examples=[
        ("of every budget, key and period", "budget bound --ledger sqlite:///spend.db"),
        ("of one team", "budget bound --ledger redis://localhost --budget teams/monthly --key research"),
    ],
    exits=EXITS,
)
@LEDGER
@click.option("--budget", metavar="POLICY/BUDGET", help="Only this budget.")
@click.option("--key", metavar="KEY", help="Only this scope key, such as a team.")
@format_option("table", "json")
def _bound(ledger: str, budget: str | None, key: str | None, output: str) -> ExitCode:
    """Show by how much what is used can have exceeded its limit at most, for each budget, scope key and period.

    The bound is the sum of what charges were above their holds, of charges that came after their hold had ended, of
    what corrections and manual adjustments added, and of what the worst cases of calls under way exceed their holds by,
    where a budget holds a quantile. It is zero where every call was charged at most what was held for it, in time, and
    the worst cases of calls under way are held.
    """
    from costlens_policy.cli.sources import ledger_at
    from costlens_policy.clock import system_now
    from costlens_policy.ledger import EntryQuery
    from costlens_policy.ledger.overspend import overspends

    with ledger_at(ledger, read_only=True) as store:
        found = overspends(store, EntryQuery(budget=budget, key=key), system_now())
    if not found:
        raise NothingError("no charge in the ledger")
    if output == "json":
        write_json({"bounds": [_data(item) for item in found], "conditions": _CONDITIONS})
    else:
        print_table(_table(found))
        write_out(f"\n{_CONDITIONS}")
    return ExitCode.OK


def _data(item: Overspend) -> dict[str, Any]:
    from costlens_policy.ledger import decimal_of
    from costlens_policy.money import plain

    account = item.account

    def amount(whole: int) -> str:
        return plain(decimal_of(whole, account.unit))

    return {
        "budget": account.budget,
        "key": account.key,
        "period": account.period.id,
        "unit": account.unit,
        "charges": item.charges,
        "above_hold": item.above,
        "overdraft": amount(item.overdraft),
        "largest_overdraft": amount(item.largest),
        "late": item.late,
        "late_amount": amount(item.late_amount),
        "adjusted": amount(item.adjusted),
        "under_way": item.under_way,
        "under_way_amount": amount(item.open),
        "bound": amount(item.bound),
    }


def _table(found: tuple[Overspend, ...]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from costlens_policy.diagnostics.text import printable
    from costlens_policy.ledger import decimal_of
    from costlens_policy.units import show_amount

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("budget", "key", "period"):
        table.add_column(name, overflow="fold")
    for name in ("charges", "above hold", "overdraft", "late", "adjusted", "under way", "exceeds by at most"):
        table.add_column(name, justify="right")
    for item in found:
        unit = item.account.unit
        amounts = [
            show_amount(decimal_of(whole, unit), unit) if whole else ""
            for whole in (item.overdraft, item.late_amount, item.adjusted, item.open)
        ]
        named = (item.account.budget, item.account.key, item.account.period.id)
        table.add_row(
            *(escape(printable(text)) for text in named),
            f"{item.charges:,}",
            f"{item.above:,}" if item.above else "",
            *amounts,
            show_amount(decimal_of(item.bound, unit), unit),
        )
    return table


COMMANDS: Final = (_bound,)
