"""``cel``: type-check and evaluate single expressions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode, NothingError
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.output import note, render_diagnostics, standard_input, write_json, write_out
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from costlens_policy.cli.commands.cel.answer import Answer
    from costlens_policy.cli.commands.cel.surroundings import Surroundings

__all__ = ["command"]

_STANDARD_INPUT: Final = "<stdin>"


@click.command(
    "cel",
    cls=Command,
    short_help="Evaluate or type-check an expression, showing the value of each part.",
    examples=[
        ("evaluate an expression", "cel 'size(\"gpt-5\") > 3 && [1, 2].exists(x, x > 1)'"),
        ("with variables from a file", "cel 'request.team == \"research\"' --vars variables.yaml"),
        ("type-check a condition of a policy set", "cel --type 'request.tags.size()' --policy-set ."),
        ("list the attributes of a record with their types", "cel --type model"),
        ("read a long expression from standard input", "cel - --vars variables.yaml < condition.cel"),
        ("open a console", "cel --policy-set ."),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING],
)
@click.argument("expression", metavar="[EXPR]", required=False)
@click.option(
    "--vars",
    "values_path",
    metavar="FILE",
    type=click.Path(allow_dash=True),
    help="Values of variables: an object as YAML or JSON, `-` for standard input.",
)
@click.option(
    "--policy-set",
    "policy_set",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Declare what expressions can read, such as `request` and `data`, as the policy set in PATH does.",
)
@click.option(
    "--type",
    "types_only",
    is_flag=True,
    help="Show the type instead of evaluating; for a record, its attributes.",
)
@format_option("text", "json")
def command(
    expression: str | None, values_path: str | None, policy_set: Path | None, types_only: bool, output: str
) -> ExitCode:
    """Evaluate EXPR, a CEL expression, and show the value of each of its parts; `-` reads it from standard input.

    Without EXPR, open a console; if standard input is not a terminal, each of its lines is an expression.

    With `--policy-set`, `--vars` gives values for `request`, `estimate` and `budgets`; `model` is an object, or the
    name of a model of the catalogue. Without it, every key is a variable, and its type follows from its value.
    """
    if values_path == "-" and expression in (None, "-"):
        raise click.UsageError("the expression and `--vars` cannot both be read from standard input")
    return _run(_Options(expression, values_path, policy_set, types_only=types_only, as_json=output == "json"))


@frozen
class _Options:
    """What was asked for on the command line."""

    expression: str | None
    values_path: str | None
    policy_set: Path | None
    types_only: bool
    as_json: bool


def _run(options: _Options) -> ExitCode:
    """Answer one expression, a console or many lines. Raises ``PolicyError``, ``RejectedError``, ``NothingError``."""
    from costlens_policy.cli.commands.cel.console import Console
    from costlens_policy.cli.commands.cel.surroundings import surroundings

    around = surroundings(options.values_path, options.policy_set, types_only=options.types_only)
    if options.expression is not None:
        return _one(options, around, *_text(options.expression))
    if sys.stdin is not None and sys.stdin.isatty():
        return Console(around, types_only=options.types_only).run()
    return _lines(options, around)


def _text(expression: str) -> tuple[str, str]:
    """Return the expression and what its places name."""
    from costlens_policy.source.read import read_stdin

    if expression != "-":
        return expression, "<expression>"
    return read_stdin(standard_input()).text, _STANDARD_INPUT


def _one(options: _Options, around: Surroundings, text: str, name: str) -> ExitCode:
    from costlens_policy.cli.commands.cel.answer import as_object, as_text, ask

    answer = ask(text, around, name, evaluate=not options.types_only)
    if options.as_json:
        write_json(as_object(answer))
    else:
        write_out(as_text(answer, parts=True))
        _print_problems(answer)
    return ExitCode.INVALID if answer.failed else ExitCode.OK


def _lines(options: _Options, around: Surroundings) -> ExitCode:
    """Answer each line as it comes; empty lines are skipped."""
    from costlens_policy.cli.commands.cel.answer import ask
    from costlens_policy.source.read import MAX_BYTES

    stream = standard_input()
    answered = failed = False
    for number, line in enumerate(iter(lambda: stream.readline(MAX_BYTES), b""), 1):
        text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if text.strip():
            answer = ask(text, around, f"{_STANDARD_INPUT}, line {number}", evaluate=not options.types_only)
            answered, failed = True, failed or answer.failed
            _print_line(options, answer)
    if not answered:
        raise NothingError("standard input contains no expression; write one per line")
    return ExitCode.INVALID if failed else ExitCode.OK


def _print_line(options: _Options, answer: Answer) -> None:
    from costlens_policy.cli.commands.cel.answer import as_object, as_text

    if options.as_json:
        write_out(json.dumps(as_object(answer), ensure_ascii=False))
        return
    write_out(as_text(answer, parts=False))
    _print_problems(answer)


def _print_problems(answer: Answer) -> None:
    if answer.diagnostics:
        note(render_diagnostics(answer.diagnostics, sources=(answer.source,), stderr=True).rstrip())
