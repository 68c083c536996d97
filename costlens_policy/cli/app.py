"""The program: the table of its commands, and the one place where failures become exit codes."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, NoReturn

import click

from costlens_policy import __version__
from costlens_policy.cli.command import COMPLETE_VARIABLE, PROGRAM, Command, Group, Session, debug_option
from costlens_policy.cli.exit_codes import ExitCode, report_failure

__all__ = ["app", "main"]

_ESCAPE: Final = "costlens-policy-escape"
_COMMANDS: Final = (  # a file of `commands` for each, in the order of a policy's life
    "init",
    "check",
    "fmt",
    "test",
    "prove",
    "eval",
    "replay",
    "diff",
    "report",
    "reconcile",
    "cel",
    "schema",
    "catalogue",
    "budget",
    "build",
    "inspect",
    "keygen",
    "sign",
    "verify",
    "serve",
    "keys",
    "advise",
    "fit",
    "explain",
    "cache",
    "completion",
)


class _Program(Group):
    """The outermost group. Every error ends here."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(f"costlens_policy.cli.commands.{cmd_name}").command
        assert isinstance(command, Command | Group)
        return command

    def main(self, args: Sequence[str] | None = None, *_: Any, **__: Any) -> NoReturn:
        """Run and exit. click's own runner for tests calls this, too."""
        sys.exit(_run(self, sys.argv[1:] if args is None else list(args)))


@click.command(cls=_Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def app() -> None:
    """Policy as code for LLM cost and routing.

    Start with `init`, validate with `check`, test with `test`, and decide single requests with `eval`.
    """


app.params.append(debug_option())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code; ``arguments`` without the program's name."""
    return _run(app, sys.argv[1:] if arguments is None else list(arguments))


def _run(program: click.Group, arguments: list[str]) -> int:
    session = Session()
    try:
        if sys.stdout is None:
            raise OSError(9, "standard output is closed")
        _print_every_character()
        code = _invoke(program, arguments, session)
        sys.stdout.flush()
        return int(code)
    except BrokenPipeError:
        _forget_output()
        return int(ExitCode.FAILURE)
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        return _report(error, session)


def _invoke(program: click.Group, arguments: list[str], session: Session) -> ExitCode:
    if instruction := os.environ.get(COMPLETE_VARIABLE):
        from click.shell_completion import shell_complete

        return ExitCode(shell_complete(program, {"obj": session}, PROGRAM, COMPLETE_VARIABLE, instruction))
    try:
        with program.make_context(PROGRAM, arguments, obj=session) as context:
            return ExitCode(program.invoke(context) or 0)
    except click.exceptions.Exit as asked:  # --help and --version end this way
        return ExitCode(asked.exit_code)


def _report(error: BaseException, session: Session) -> int:
    try:
        return int(report_failure(error, debug=session.debug))
    except OSError:  # standard error is gone, too
        return int(ExitCode.FAILURE)
    finally:
        _flush_or_forget()


def _print_every_character() -> None:
    """Show the escape of a character that a terminal or file cannot hold, instead of ending the program.

    The escapes are those of JSON, so that JSON stays JSON in whatever encoding: `backslashreplace` writes ``\\xe9``.
    """
    codecs.register_error(_ESCAPE, _escaped)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_ESCAPE)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    import json  # for the few who need it

    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _flush_or_forget() -> None:
    try:
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        _forget_output()


def _forget_output() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not complain at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        try:
            os.dup2(nowhere, number)
        except OSError:
            continue
