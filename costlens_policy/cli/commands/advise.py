"""``advise``: prompting, a smaller model, fine-tuning or some of each."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.parameters import Day, format_option

__all__ = ["command"]

_LONGEST = 120


class _Months(click.ParamType):  # type: ignore[type-arg]  # older releases of click have no argument here
    """A number of months, as ``12mo`` or ``2y``."""

    name = "horizon"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]{1,4})(mo|y)", str(value))
        months = int(found[1]) * (12 if found[2] == "y" else 1) if found else 0
        if not 1 <= months <= _LONGEST:
            self.fail(f"`{value}` is not 1 to {_LONGEST} months; write it as 12mo or 2y", param, ctx)
        return months


@click.command(
    "advise",
    cls=Command,
    short_help="Reckon whether to prompt, cache, take a smaller model or train one.",
    examples=[
        ("a year of the workload in a file", "advise ticket-triage.yaml"),
        ("three years, for a pull request", "advise ticket-triage.yaml --horizon 3y --format markdown"),
        (
            "at the prices of a day, by rules of your own",
            "advise ticket-triage.yaml --on 2026-11-02 --policy-set advice",
        ),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING],
)
@click.argument("path", metavar="WORKLOAD", type=click.Path(path_type=Path))
@click.option(
    "--horizon",
    "months",
    metavar="TIME",
    type=_Months(),
    default="12mo",
    show_default=True,
    help="How far to look: months as `18mo`, years as `2y`.",
)
@click.option("--on", "day", metavar="DAY", type=Day(), help="Day of the prices; today when left out.")
@click.option(
    "--policy-set",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Policy set that recommends, in place of the one that the workload names.",
)
@format_option("text", "json", "markdown")
def command(path: Path, months: int, day: date | None, policy_set: Path | None, output: str) -> None:
    """Reckon what the workload in WORKLOAD costs by prompting, with caching, with a smaller, a trained or both models.

    Totals, break-even and ranges are exact sums of the inputs. What to do is decided by a policy set that can be read
    and changed; the answer names its rules.
    """
    from costlens_policy.cli.advising import print_advice

    print_advice(path, months, day, policy_set, output)
