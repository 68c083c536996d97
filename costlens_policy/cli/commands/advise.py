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
from costlens_policy.cli.traffic_options import TrafficOptions, optional_traffic

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
    short_help="Compare the cost of prompting, caching, a smaller model and fine-tuning.",
    examples=[
        ("a year of the workload in a file", "advise ticket-triage.yaml"),
        ("three years, for a pull request", "advise ticket-triage.yaml --horizon 3y --format markdown"),
        (
            "at the prices of a day, by rules of your own",
            "advise ticket-triage.yaml --on 2026-11-02 --policy-set advice",
        ),
        ("which tasks of recorded calls are candidates", "advise --traffic calls.jsonl --prices policies"),
        (
            "by feature, with a model to be trained, and files to go on from",
            "advise --traffic 'logs/*.jsonl.gz' --by feature --fine-tuned gpt-4.1-mini --write workloads",
        ),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING, ExitCode.GATE],
)
@click.argument("path", metavar="[WORKLOAD]", required=False, type=click.Path(path_type=Path))
@optional_traffic
@click.option("--by", metavar="LABEL", default="task", show_default=True, help="Of traffic: what makes calls one task.")
@click.option(
    "--prices",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Of traffic: a policy set, or catalogues, with models and prices; the installed price list when left out.",
)
@click.option("--small", metavar="MODEL", help="Of traffic: the smaller model; else the cheapest known to be as good.")
@click.option(
    "--fine-tuned",
    "trained",
    metavar="MODEL",
    help="Of traffic: the model to be trained; else the catalogue's for the task, or the cheapest as its base.",
)
@click.option(
    "--write", metavar="DIR", type=click.Path(path_type=Path), help="Of traffic: write a workload per candidate."
)
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
def command(
    path: Path | None,
    traffic: TrafficOptions,
    by: str,
    prices: tuple[Path, ...],
    small: str | None,
    trained: str | None,
    write: Path | None,
    months: int,
    day: date | None,
    policy_set: Path | None,
    output: str,
) -> ExitCode:
    """Estimate what the WORKLOAD costs by prompting, with caching, with a smaller, a trained or both models.

    Totals, break-even and ranges are exact sums of the inputs. What to do is decided by a policy set that can be read
    and changed; the answer names its rules. With --traffic, a workload is derived from the recorded calls of each task,
    and the tasks are ranked by what they would save.
    """
    if (path is None) == (not traffic.files):
        raise click.UsageError("name either a workload or recorded calls with `--traffic`", click.get_current_context())
    if path is None:
        from costlens_policy.cli.advising_traffic import Wanted, advise_on_traffic

        wanted = Wanted(by.removeprefix("request."), prices, small, trained, write)
        return advise_on_traffic(traffic, wanted, months, day, policy_set, output)
    from costlens_policy.cli.advising import print_advice

    print_advice(path, months, day, policy_set, output)
    return ExitCode.OK
