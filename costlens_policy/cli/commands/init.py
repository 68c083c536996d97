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
        (
            "let CI install this program from a URL",
            "init llm-policies --install git+https://git.example.com/costlens-policy",
        ),
        (
            "or from a file that is kept in the repository",
            "init llm-policies --install llm-policies/vendor/costlens.whl",
        ),
    ],
)
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option(
    "--install",
    metavar="SPEC",
    help="What `requirements.txt` installs this program from: a version, a URL or a path. "
    "Left out: where this one was installed from.",
)
def command(folder: Path, force: bool, install: str | None) -> ExitCode:
    """Write a starter repository: policy set, catalogue, policies with their tests, a CI workflow, pre-commit hooks and
    JSON Schemas for editors.

    `check` and `test` pass on it at once. Nothing is replaced unless `--force` is given.
    """
    from costlens_policy.cli.console import note, write_out
    from costlens_policy.cli.starter import starter_files, write_starter
    from costlens_policy.cli.starter.origin import chosen_origin, installed_origin

    origin = installed_origin() if install is None else chosen_origin(install, folder)
    write_starter(folder, force=force, origin=origin)
    write_out(f"wrote {len(starter_files())} files into `{folder}`\n\n{_next_steps(folder)}")
    if origin.place:
        note(
            f"\nnote: requirements.txt installs costlens-policy from `{origin.place}`, which no other machine has\n"
            "  = help: before CI runs, name a URL, or a file in the repository: `init --force --install SPEC`"
        )
    return ExitCode.OK


def _next_steps(folder: Path) -> str:
    lines = [] if folder == Path() else [f"  cd {folder}"]
    lines += [
        "  costlens-policy check .",
        "  costlens-policy test .",
        "  costlens-policy eval . --request request.yaml --explain",
    ]
    return "next:\n" + "\n".join(lines)
