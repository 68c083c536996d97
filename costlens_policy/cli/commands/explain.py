"""``explain``: what a code means, and how to fix it."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode

__all__ = ["command"]


def _codes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from costlens_policy.diagnostics.codes import CODES

    return [
        CompletionItem(code.id, help=code.title) for code in CODES.values() if code.id.startswith(incomplete.upper())
    ]


@click.command(
    "explain",
    cls=Command,
    short_help="Say what a diagnostic code means and how to fix it.",
    examples=[
        ("the page of a code", "explain CL008"),
        ("the same by name", "explain duplicate-key"),
        ("all codes", "explain"),
    ],
)
@click.argument("code", metavar="[CODE]", required=False, shell_complete=_codes)
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    metavar="FORMAT",
    help="`text` for people or `json`.",
)
def command(code: str | None, output: str) -> ExitCode:
    """Print the page of CODE, an id such as `CL008` or a name such as `duplicate-key`; without one, list all codes."""
    from costlens_policy.cli.console import write_out
    from costlens_policy.cli.pages import code_list, code_page

    write_out(code_list(output) if code is None else code_page(code, output))
    return ExitCode.OK
