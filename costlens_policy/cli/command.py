"""What commands and groups share: examples and exit codes in the help, suggestions, ``--debug``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import click

from costlens_policy.cli.exit_codes import ExitCode

__all__ = ["COMPLETE_VARIABLE", "PROGRAM", "Command", "Example", "Group", "Session", "debug_option"]

PROGRAM: Final = "costlens-policy"
COMPLETE_VARIABLE: Final = "_COSTLENS_POLICY_COMPLETE"


Example = tuple[str, str]
"""What an example does, and its command line without the program's name."""

_WIDTH: Final = 100


class Command(click.Command):
    """``examples`` and ``exits`` end the help. A command returns its exit code; none means ``ExitCode.OK``."""

    def __init__(
        self, *args: Any, examples: Sequence[Example] = (), exits: Sequence[ExitCode] = (), **keywords: Any
    ) -> None:
        keywords.setdefault("context_settings", {}).setdefault("max_content_width", _WIDTH)
        super().__init__(*args, **keywords)
        self.examples: Final = tuple(examples)
        self.exits: Final = tuple(sorted({ExitCode.OK, ExitCode.USAGE, *exits, ExitCode.FAILURE}))
        self.params.append(debug_option())

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. An error in what it was given names its help, wherever the error comes from."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, each under a line that says what it does, then the exit codes."""
        if self.examples:
            with formatter.section("Examples"):
                for does, line in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}# {does}\n")
                    formatter.write(f"{'':{formatter.current_indent}}{ctx.find_root().info_name} {line}\n")
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), code.meaning) for code in self.exits])


class Group(click.Group):
    """Commands in the order in which they were added, with a suggestion for a word that is not among them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = next(iter(get_close_matches(name, self.list_commands(ctx), n=1)), None)
            hint = f"; did you mean `{near}`?" if near else ""
            raise click.UsageError(f"no such command `{name}`{hint}", ctx)
        return super().resolve_command(ctx, args)


@dataclass(slots=True)
class Session:
    """``debug`` shows the traceback of an unexpected error."""

    debug: bool = field(default_factory=lambda: os.environ.get("COSTLENS_DEBUG", "") not in ("", "0"))


def debug_option() -> click.Option:
    """Return ``--debug``, which every command takes so that it can be put at the end of a line that failed."""

    def remember(context: click.Context, _: click.Parameter, given: bool) -> None:
        session = context.find_object(Session)
        if given and session is not None:
            session.debug = True

    return click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=remember,
        help="Show the traceback of an unexpected error; COSTLENS_DEBUG=1 does the same.",
    )
