"""How a command ends: its exit code, and each failure as a message. A traceback is shown to those who ask for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import click

from costlens_policy.cli.output import note, print_error, render_diagnostics
from costlens_policy.errors import CostlensPolicyError, SettingsError, lowered

if TYPE_CHECKING:
    from costlens_policy.diagnostics.model import Diagnostic, PolicyError
    from costlens_policy.source.located import SourceText

__all__ = ["ExitCode", "NothingError", "RejectedError", "exit_code_of", "report_failure"]


class ExitCode(IntEnum):
    """Stable: scripts and CI depend on these numbers."""

    meaning: str

    def __new__(cls, number: int, meaning: str = "") -> ExitCode:
        code = int.__new__(cls, number)
        code._value_, code.meaning = number, meaning
        return code

    OK = 0, "success"
    INVALID = 1, "a policy, catalogue, suite, invariant or expression is invalid, or not formatted"
    USAGE = 2, "usage error, or a request that the policy set does not accept"
    NOTHING = 3, "nothing to do: no policy file, test case or invariant was found"
    TEST_FAILED = 4, "a policy test failed, or an invariant is refuted"
    COVERAGE = 5, "rule coverage or the mutation score is below the minimum"
    FAILURE = 6, "a file or stream cannot be read or written, or an internal error"
    GATE = 7, "a limit that was set is exceeded: on cost, denials, skipped rows or lost quality"
    UNDECIDED = 8, "an invariant, or a difference, can be neither proved nor refuted"
    DISAGREES = 9, "an invoice and the ledger differ by more than the tolerance"
    DENIED = 10, "the request is denied, with `--exit-code`"
    INTERRUPTED = 130, "interrupted by Ctrl-C"


class NothingError(CostlensPolicyError):
    """There is nothing to do; the message says what was looked for."""


class RejectedError(CostlensPolicyError):
    """Nothing is wrong with the policies. ``sources`` are the texts that the diagnostics are about."""

    def __init__(self, diagnostics: Iterable[Diagnostic] = (), sources: Sequence[SourceText] = ()) -> None:
        from costlens_policy.diagnostics.model import in_order

        self.diagnostics = in_order(diagnostics)
        self.sources = tuple(sources)
        super().__init__("; ".join(item.message for item in self.diagnostics))


def report_failure(error: BaseException, *, debug: bool) -> ExitCode:
    """Print on standard error what went wrong and what to do; return the exit code for it."""
    if isinstance(error, KeyboardInterrupt | EOFError | click.Abort):
        note("interrupted")
        return ExitCode.INTERRUPTED
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, CostlensPolicyError):
        return _on_purpose(error)
    return _unexpected(error, debug=debug)


def exit_code_of(diagnostics: Iterable[Diagnostic]) -> ExitCode:
    """Return the code for what was found."""
    from costlens_policy.diagnostics import model

    return ExitCode(model.exit_code_of(diagnostics))


_LONGEST: Final = 300
_QUOTED: Final = re.compile(r"'([^']*)'")


def _on_purpose(error: CostlensPolicyError) -> ExitCode:
    from costlens_policy.diagnostics.model import PolicyError

    if isinstance(error, PolicyError):
        return _policy(error)
    if isinstance(error, RejectedError):
        return _rejected(error)
    print_error(*_message_and_help(error))
    if isinstance(error, SettingsError):
        return ExitCode.USAGE
    return ExitCode.NOTHING if isinstance(error, NothingError) else ExitCode.FAILURE


def _message_and_help(error: CostlensPolicyError) -> tuple[str, str]:
    """Split a message that says what to do after a semicolon."""
    message, _, help = str(error).partition("; ")
    return message, help


def _rejected(error: RejectedError) -> ExitCode:
    if error.diagnostics:
        note(render_diagnostics(error.diagnostics, sources=error.sources, stderr=True))
    return ExitCode.FAILURE if exit_code_of(error.diagnostics) is ExitCode.FAILURE else ExitCode.USAGE


def _policy(error: PolicyError) -> ExitCode:
    note(render_diagnostics(error.diagnostics, stderr=True))
    return exit_code_of(error.diagnostics)


def _usage(error: click.ClickException) -> ExitCode:
    if isinstance(error, click.FileError):
        print_error(_sentence(error.format_message()))
        return ExitCode.FAILURE
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context is not None else "costlens-policy"
    if type(error).__name__ == "NoArgsIsHelpError":  # click's way to say that a group was called without a command
        note(error.format_message())
        return ExitCode.USAGE
    message, hint = _usage_message(error, context)
    print_error(_sentence(message), f"{hint}see `{path} --help`")
    return ExitCode.USAGE


def _usage_message(error: click.ClickException, context: click.Context | None) -> tuple[str, str]:
    if isinstance(error, click.NoSuchOption):
        return _no_option(error, context)
    if isinstance(error, click.BadParameter) and isinstance(error.param, click.Argument) and error.message:
        return error.message, ""  # what an argument is called in the help says nothing about what was typed
    return error.format_message(), ""


def _no_option(error: click.NoSuchOption, context: click.Context | None) -> tuple[str, str]:
    from difflib import get_close_matches

    known = [name for item in (context.command.params if context else []) for name in item.opts if name[:2] == "--"]
    close = get_close_matches(error.option_name, known, n=1)
    return f"no such option `{error.option_name}`", f"did you mean `{close[0]}`? " if close else ""


def _unexpected(error: BaseException, *, debug: bool) -> ExitCode:
    if debug:
        import traceback

        note("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, OSError) and error.strerror:
        where = f"`{error.filename}`: " if error.filename else ""
        note(f"error: {where}{error.strerror.lower()}")
        return ExitCode.FAILURE
    if isinstance(error, MemoryError):
        note("error: not enough memory for this input")
        return ExitCode.FAILURE
    text = " ".join(str(error).split())[:_LONGEST]
    note(f"internal error: {type(error).__name__}: {text} (run again with --debug to see where, and please report it)")
    return ExitCode.FAILURE


def _sentence(message: str) -> str:
    """Bring a message of click into the form of ours: lower case, no full stop, backticks."""
    line = " ".join(message.split()).rstrip(".")
    return _QUOTED.sub(r"`\1`", lowered(line))
