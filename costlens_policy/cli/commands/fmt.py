"""``fmt``: bring policy files into one form."""

from __future__ import annotations

from pathlib import Path

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode

__all__ = ["command"]


@click.command(
    "fmt",
    cls=Command,
    short_help="Format policy files, keeping comments.",
    examples=[
        ("format every document in this folder", "fmt ."),
        ("only say which files are not formatted, as CI does", "fmt --check ."),
        ("show what would change", "fmt --diff policies"),
        ("format what an editor sends", "fmt - < policies/routing.yaml"),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING],
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=str, allow_dash=True))
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 when a file is not formatted.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
def command(paths: tuple[str, ...], check: bool, diff: bool) -> ExitCode:
    """Format YAML files, keeping comments and meaning. A formatted file is left untouched.

    In folders, the documents of this program are formatted and other YAML files left alone; a file named here is always
    formatted. `-` formats standard input to standard output.
    """
    from costlens_policy.cli.formatting import Mode, format_paths, format_stdin

    mode = Mode(writes=not (check or diff), check=check, diff=diff)
    if "-" not in paths:
        return format_paths([Path(path) for path in paths], mode)
    if len(paths) > 1:
        raise click.UsageError("`-` cannot stand beside other paths", click.get_current_context())
    return format_stdin(mode)
