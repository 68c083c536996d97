"""docs/cli.md and docs/exit-codes.md, made from the program so that they cannot say anything else.

``python -m costlens_policy.cli.reference docs`` writes them, and the pages of ``language``.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from costlens_policy.cli.api_reference import api_page
from costlens_policy.cli.app import PROGRAM, app
from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.files import write_file
from costlens_policy.cli.language import language_pages

__all__ = ["command_reference", "commands", "exit_code_reference"]

_MADE = "<!-- Made by `make docs` from the program; edit the commands instead. -->"


def commands() -> Iterator[tuple[str, Command]]:
    """Iterate over every command that does something, with its name as it is typed."""
    yield from _below(app, "")


def _below(group: click.Group, before: str) -> Iterator[tuple[str, Command]]:
    context = click.Context(group, info_name=PROGRAM)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _below(command, f"{before}{name} ")
        elif isinstance(command, Command):
            yield f"{before}{name}", command


def command_reference() -> str:
    """Return docs/cli.md."""
    parts = [f"# The command `{PROGRAM}`\n\n{_MADE}\n", _paragraphs(app.help)]
    parts.append("| command | what it does |\n|---|---|")
    parts.extend(
        f"| [`{name}`](#{name.replace(' ', '-')}) | {item.get_short_help_str(200)} |" for name, item in commands()
    )
    parts.append(_EVERY_COMMAND)
    parts.extend(_section(name, command) for name, command in commands())
    return "\n".join(parts) + "\n"


def exit_code_reference() -> str:
    """Return docs/exit-codes.md."""
    rows = [f"| {int(code)} | {code.meaning} | {_who_exits(code)} |" for code in ExitCode]
    return "\n".join([f"# Exit codes\n\n{_MADE}\n", "| code | meaning | from |", "|---|---|---|", *rows, _WHICH_CODE])


def _section(name: str, command: Command) -> str:
    arguments = " ".join(str(item.metavar) for item in command.params if isinstance(item, click.Argument))
    lines = [f"\n## {name}\n", _paragraphs(command.help), "```text", f"{PROGRAM} {name} [OPTIONS] {arguments}".rstrip()]
    options = list(_options(command))
    lines += ["```\n", *(["| option | meaning |", "|---|---|", *options, ""] if options else [])]
    lines += ["```console", *_examples(name, command), "```\n"]
    lines.append(f"[Exit codes](exit-codes.md): {', '.join(str(int(code)) for code in command.exits)}.")
    return "\n".join(lines)


def _options(command: Command) -> Iterator[str]:
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden and option.expose_value:
            takes = "" if option.is_flag else f" {option.metavar}"
            default = f" Default: `{option.default}`." if option.show_default else ""
            words = " ".join((option.help or "").split()).replace("|", "\\|")
            yield f"| `{', '.join(option.opts)}{takes}` | {words}{default} |"


def _examples(name: str, command: Command) -> Iterator[str]:
    for does, line in command.examples:
        yield f"# {does}"
        yield f"$ {PROGRAM} {line}"


def _paragraphs(text: str | None) -> str:
    paragraphs = inspect.cleandoc(text or "").replace("\b\n", "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs) + "\n"


def _who_exits(code: ExitCode) -> str:
    names = [f"`{name}`" for name, command in commands() if code in command.exits]
    every = len(names) == len(list(commands())) or code is ExitCode.INTERRUPTED
    return "every command" if every else ", ".join(names)


_EVERY_COMMAND = """
Every command takes `--help`, which shows examples, and `--debug` (or `COSTLENS_DEBUG=1`), which shows the traceback of
an unexpected error. `--version` prints the version. Results go to standard output, everything said beside them to
standard error. Colours appear on a terminal only; `NO_COLOR=1` switches them off, `FORCE_COLOR=1` on. Files are
written whole or not at all. [Exit codes](exit-codes.md) are stable."""

_WHICH_CODE = """
A file or folder named on the command line that cannot be read gives 6; a file that is readable but wrong gives 1. A
request that is not acceptable gives 2, since nothing is wrong with the policies. Where tests fail and coverage is low,
too, the code is 4.
"""


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    write_file(folder / "cli.md", command_reference().encode())
    write_file(folder / "exit-codes.md", exit_code_reference().encode())
    write_file(folder / "api.md", api_page().encode())
    for name, text in language_pages().items():
        write_file(folder / name, text.encode())
