"""A command of the program: click's, with examples and exit codes in its help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click

from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.session import debug_option

__all__ = ["Command", "Example"]

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

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, each under a line that says what it does, then the exit codes."""
        if self.examples:
            with formatter.section("Examples"):
                for does, line in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}# {does}\n")
                    formatter.write(f"{'':{formatter.current_indent}}{ctx.find_root().info_name} {line}\n")
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), code.meaning) for code in self.exits])
