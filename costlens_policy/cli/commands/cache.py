"""``cache``: the plans that are kept between runs."""

from __future__ import annotations

import os

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.output import write_out

__all__ = ["command"]


@click.command(
    "cache",
    cls=Command,
    short_help="Show or empty the cache of plans.",
    examples=[
        ("show where plans are kept, and how many", "cache"),
        ("delete them", "cache --clear"),
    ],
)
@click.option("--clear", is_flag=True, help="Delete every plan.")
def command(clear: bool) -> ExitCode:
    """Show where compiled plans of policy sets are kept, so that the next run is faster, and how many there are.

    The cache need not be cleared when policies change: a plan is used only while everything it was made from is the
    same. COSTLENS_POLICY_CACHE names another directory, or is `off`.
    """
    from costlens_policy.saving.files import chosen_folder

    folder = chosen_folder()
    if folder is None:
        known = hasattr(os, "geteuid")
        write_out("the cache is off" + ("" if known else ": this system has no file owners"))
    elif folder.is_refused:
        write_out(f"`{folder.path}` is not used, since others may write to it")
    elif clear:
        if (verdicts := chosen_folder("mutants")) is not None:  # of mutation testing, kept beside the plans
            verdicts.clear()
        write_out(f"deleted {_plans(folder.clear())} from `{folder.path}`")
    else:
        files = folder.files()
        size = sum(path.stat().st_size for path in files) / 1000
        write_out(f"`{folder.path}` holds {_plans(len(files))}, {size:,.0f} kB")
    return ExitCode.OK


def _plans(count: int) -> str:
    return f"{count} plan{'' if count == 1 else 's'}"
