"""``build``: a policy set in one file."""

from __future__ import annotations

from pathlib import Path

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.options import documents_argument
from costlens_policy.cli.output import note, write_file

__all__ = ["command"]


@click.command(
    "build",
    cls=Command,
    short_help="Pack a policy set into one file: policies, locked prices and plan.",
    examples=[
        ("pack the policy set in this directory", "build . --write policies.bundle"),
        ("build a bundle anew, with the plan of this version", "build policies.bundle --write policies.bundle"),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING],
)
@documents_argument
@click.option(
    "--write",
    "target",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write, such as policies.bundle.",
)
def command(paths: tuple[Path, ...], target: Path) -> ExitCode:
    """Pack the policy set in PATH, a directory or a policy set file, into a bundle.

    A bundle holds the policies and the suites beside them, the catalogue with every price written out, and the compiled
    plan. Equal policies give equal bytes on every machine. `eval`, `check`, `test` and the other commands take a bundle
    where they take a directory. It is not signed; `sign` does that.
    """
    from costlens_policy.bundles import build

    bundle = build(*paths)
    write_file(target, bundle.packed)
    said = bundle.manifest
    note(f"`{target}` holds `{said.name}` {said.version} in {len(said.files)} files")
    return ExitCode.OK
