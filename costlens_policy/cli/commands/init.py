"""``init``: write a starter repository."""

from __future__ import annotations

from pathlib import Path

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode

__all__ = ["command"]


@click.command(
    "init",
    cls=Command,
    short_help="Write a starter repository of policies.",
    examples=[
        ("write it into a new folder", "init llm-policies"),
        ("write it here, replacing files of the same names", "init --force"),
    ],
)
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace files that exist.")
def command(folder: Path, force: bool) -> ExitCode:
    """Write a starter repository: policy set, catalogue, policies with their tests, a CI workflow, pre-commit hooks and
    JSON Schemas for editors.

    `check` and `test` pass on it at once. Nothing is replaced unless `--force` is given.
    """
    from costlens_policy.cli.console import write_out
    from costlens_policy.cli.starter import starter_files, write_starter

    write_starter(folder, force=force)
    write_out(f"wrote {len(starter_files())} files into `{folder}`\n\n{_next_steps(folder)}")
    return ExitCode.OK


def _next_steps(folder: Path) -> str:
    lines = [] if folder == Path() else [f"  cd {folder}"]
    lines += [
        "  costlens-policy check .",
        "  costlens-policy test .",
        "  costlens-policy eval . --request request.yaml --explain",
    ]
    return "next:\n" + "\n".join(lines)
