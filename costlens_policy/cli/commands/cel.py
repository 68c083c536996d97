"""``cel``: type and evaluate single expressions."""

from __future__ import annotations

from pathlib import Path

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.parameters import format_option

__all__ = ["command"]


@click.command(
    "cel",
    cls=Command,
    short_help="Evaluate or type one expression, with the value of each part.",
    examples=[
        ("evaluate an expression", "cel 'size(\"gpt-5\") > 3 && [1, 2].exists(x, x > 1)'"),
        ("with variables from a file", "cel 'request.team == \"research\"' --vars variables.yaml"),
        ("type a condition against what a policy set declares", "cel --type 'request.tags.size()' --policy-set ."),
        ("list the attributes of a record with their types", "cel --type model"),
        ("read a long expression from standard input", "cel - --vars variables.yaml < condition.cel"),
        ("try expressions in a console", "cel --policy-set ."),
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
    help="Know `request`, `model`, `estimate`, `budgets` and `now` as the policy set in PATH declares them.",
)
@click.option(
    "--type",
    "types_only",
    is_flag=True,
    help="Show the type instead of the value, without evaluating; of a record, its attributes.",
)
@format_option("text", "json")
def command(
    expression: str | None, values_path: str | None, policy_set: Path | None, types_only: bool, output: str
) -> ExitCode:
    """Evaluate EXPR, an expression of CEL, and show the value of each of its parts; `-` reads it from standard input.

    Without EXPR this is a small console; where standard input is no terminal, each of its lines is an expression.

    With `--policy-set` the values in `--vars` stand under `request`, `estimate` and `budgets`; `model` is an object, or
    the name of a model of the catalogue. Without it every key is a variable, whose type is what its value shows.
    """
    if values_path == "-" and expression in (None, "-"):
        message = "the expression and `--vars` cannot both come from standard input"
        raise click.UsageError(message, click.get_current_context())
    from costlens_policy.cli.cel.run import Question, run

    return run(Question(expression, values_path, policy_set, types_only=types_only, as_json=output == "json"))
