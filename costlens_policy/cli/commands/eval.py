"""``eval``: decide single requests."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.parameters import Instant, format_option, paths_argument

__all__ = ["command"]


@click.command(
    "eval",
    cls=Command,
    short_help="Decide a request, and say why.",
    examples=[
        ("decide the request in a file", "eval . --request request.yaml"),
        ("see every rule with the values that its condition read", "eval . --request request.yaml --explain"),
        ("read the request from standard input, answer in JSON", "eval . --request - --format json < request.json"),
        ("decide as if it were New Year's Eve", "eval . --request request.yaml --now 2026-12-31T23:59:59Z"),
        ("decide a day's requests, one decision per line", "eval . --request requests.jsonl > decisions.jsonl"),
        ("see which models may serve the request, and why no other", "eval . --request request.yaml --models"),
        ("keep what people wrote out of a log", "eval . --request request.yaml --format json --no-texts"),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING, ExitCode.DENIED],
)
@paths_argument
@click.option(
    "--request",
    "request_path",
    required=True,
    metavar="FILE",
    type=click.Path(allow_dash=True),
    help="The request as YAML or JSON, `-` for standard input; *.jsonl holds one per line.",
)
@click.option(
    "--now",
    metavar="TIME",
    type=Instant(),
    help="Time of the decision, such as 2026-11-02T09:00:00Z; the present when left out.",
)
@click.option(
    "--balances",
    "balances_path",
    metavar="FILE",
    type=click.Path(allow_dash=True),
    help="State of the budgets: a list of `budget`, `key`, `used`, `held`, `override` and `topup`.",
)
@click.option("--explain", is_flag=True, help="Show each rule in order, its condition with the values of its parts.")
@click.option("--models", is_flag=True, help="Show which models may serve, and for each other one, why not.")
@format_option("text", "json")
@click.option("--no-texts", is_flag=True, help="Put sizes in the place of prompts, messages and other texts in JSON.")
@click.option("--no-cache", is_flag=True, help="Read the policies, whether or not their plan is in the cache.")
@click.option("--exit-code", is_flag=True, help="Exit with 10 when the decision is to deny.")
def command(
    paths: tuple[Path, ...],
    request_path: str,
    now: datetime | None,
    balances_path: str | None,
    explain: bool,
    models: bool,
    output: str,
    no_texts: bool,
    no_cache: bool,
    exit_code: bool,
) -> ExitCode:
    """Decide the request in FILE by the policy set in PATH, a folder or a policy set file, and say why.

    The request is one object of attributes such as `task` and `prompt`. The decision is made of this request, the
    balances and the time alone: the same three give the same decision.
    """
    if request_path == "-" == balances_path:
        message = "`--request` and `--balances` cannot both read standard input"
        raise click.UsageError(message, click.get_current_context())
    from costlens_policy.cli.evaluate import Question, evaluate
    from costlens_policy.cli.requests import is_json_lines

    as_json = output == "json"
    if models and (explain or is_json_lines(request_path)):
        message = "`--models` takes one request, and cannot be used with `--explain`"
        raise click.UsageError(message, click.get_current_context())
    if no_texts and not (as_json or is_json_lines(request_path)):
        raise click.UsageError("`--no-texts` needs `--format json`", click.get_current_context())
    question = Question(
        paths,
        request_path,
        now,
        balances_path,
        explain,
        as_json,
        cache=not no_cache,
        texts=not no_texts,
        models=models,
    )
    denied = evaluate(question)
    return ExitCode.DENIED if denied and exit_code else ExitCode.OK
