"""``eval``: decide single requests."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode, NothingError
from costlens_policy.cli.options import Timestamp, format_option, paths_argument
from costlens_policy.cli.output import note, prints_color, write_out
from costlens_policy.clock import system_now
from costlens_policy.errors import InputError, RequestError

if TYPE_CHECKING:
    from costlens_policy.api import Engine
    from costlens_policy.cli.inputs import RequestLine
    from costlens_policy.engine.context import Balances
    from costlens_policy.engine.decide import Models
    from costlens_policy.engine.decision import Decision

__all__ = ["command"]


@click.command(
    "eval",
    cls=Command,
    short_help="Decide a request, and show why.",
    examples=[
        ("decide the request in a file", "eval . --request request.yaml"),
        ("see every rule and the values in its condition", "eval . --request request.yaml --explain"),
        ("read the request from standard input, print JSON", "eval . --request - --format json < request.json"),
        ("decide as if it were New Year's Eve", "eval . --request request.yaml --now 2026-12-31T23:59:59Z"),
        ("decide a day's requests, one decision per line", "eval . --request requests.jsonl > decisions.jsonl"),
        ("see which models may serve the request, and why others may not", "eval . --request request.yaml --models"),
        ("keep prompts out of a log", "eval . --request request.yaml --format json --no-texts"),
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
    type=Timestamp(),
    help="Time of the decision, such as 2026-11-02T09:00:00Z; defaults to now.",
)
@click.option(
    "--balances",
    "balances_path",
    metavar="FILE",
    type=click.Path(allow_dash=True),
    help="State of the budgets: a list of `budget`, `key`, `used`, `held`, `override` and `topup`.",
)
@click.option("--explain", is_flag=True, help="Show each rule in order, with the values in its condition.")
@click.option("--models", is_flag=True, help="Show which models may serve, and why others may not.")
@format_option("text", "json")
@click.option("--no-texts", is_flag=True, help="In JSON, replace prompts, messages and other texts with their sizes.")
@click.option("--no-cache", is_flag=True, help="Read the policies even if their plan is cached.")
@click.option("--exit-code", is_flag=True, help="Exit with 10 if the request is denied.")
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
    """Decide the request in FILE by the policy set in PATH, a directory or a policy set file, and show why.

    The request is an object of attributes such as `task` and `prompt`. The decision depends on the request, the
    balances and the time alone.
    """
    from costlens_policy.cli.inputs import is_json_lines

    if request_path == "-" == balances_path:
        message = "`--request` and `--balances` cannot both read standard input"
        raise click.UsageError(message, click.get_current_context())
    as_json = output == "json"
    if models and (explain or is_json_lines(request_path)):
        message = "`--models` takes one request, without `--explain`"
        raise click.UsageError(message, click.get_current_context())
    if no_texts and not (as_json or is_json_lines(request_path)):
        raise click.UsageError("`--no-texts` needs `--format json`", click.get_current_context())
    options = _Options(
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
    denied = _evaluate(options)
    return ExitCode.DENIED if denied and exit_code else ExitCode.OK


@dataclass(frozen=True, slots=True)
class _Options:
    """What was asked for on the command line."""

    paths: tuple[Path, ...]
    request_path: str
    now: datetime | None
    balances_path: str | None
    explain: bool
    as_json: bool
    cache: bool
    texts: bool = True
    models: bool = False


def _evaluate(options: _Options) -> bool:
    """Decide and print; return whether any request was denied. Raises ``RejectedError`` for an invalid request."""
    from costlens_policy.api import load
    from costlens_policy.cli.inputs import is_json_lines, read_balances, read_request, request_problems

    engine = load(*options.paths, cache=options.cache)
    balances = {} if options.balances_path is None else read_balances(options.balances_path, engine.plan)
    if is_json_lines(options.request_path):
        return _many(engine, options, balances)
    given = read_request(options.request_path)
    try:
        if options.models:
            return _models(engine.models(given.content, balances=balances, now=options.now), options)
        decision = engine.decide(given.content, balances=balances, now=options.now)
    except RequestError as error:
        raise request_problems(given, error) from error
    write_out(_json(decision, options, indent=2) if options.as_json else _text(decision, options))
    return not decision.allowed


def _models(models: Models, options: _Options) -> bool:
    """Print which models may serve; return whether none may."""
    if options.as_json:
        excluded = [{"model": item.model, "reason": item.reason, "by": item.by or None} for item in models.excluded]
        write_out(json.dumps({"may_serve": models.may_serve, "excluded": excluded}, indent=2, ensure_ascii=False))
        return not models.may_serve
    lines = [click.style(f"may serve  {name}", fg="green") for name in models.may_serve]
    lines += [f"excluded   {item.model}: {item.reason}" for item in models.excluded]
    text = "\n".join(lines)
    write_out(text if prints_color(sys.stdout) else click.unstyle(text))
    return not models.may_serve


def _text(decision: Decision, options: _Options) -> str:
    from costlens_policy.cli.decision_text import decision_text, record_text

    text = decision_text(decision)
    if options.explain:
        text += "\n" + record_text(decision.record())
    return text if prints_color(sys.stdout) else click.unstyle(text)


def _json(decision: Decision, options: _Options, indent: int | None = None) -> str:
    return json.dumps(decision.to_dict(texts=options.texts), indent=indent, ensure_ascii=False)


def _many(engine: Engine, options: _Options, balances: Balances) -> bool:
    """Decide line by line, all at one time; for an invalid line, its problems are printed instead."""
    from costlens_policy.cli.inputs import RejectedError, request_lines

    now = options.now or system_now()
    counts: Counter[str] = Counter()
    with _open(options.request_path) as stream:
        for line in request_lines(stream):
            answer = _answer(engine, line, balances, now)
            counts["rejected" if isinstance(answer, dict) else answer.effect] += 1
            write_out(json.dumps(answer, ensure_ascii=False) if isinstance(answer, dict) else _json(answer, options))
    if not counts:
        raise NothingError(f"`{options.request_path}` holds no request")
    note(f"{counts['allow']} allowed, {counts['deny']} denied, {counts['rejected']} rejected")
    if counts["rejected"]:
        raise RejectedError
    return counts["deny"] > 0


def _answer(engine: Engine, line: RequestLine, balances: Balances, now: datetime) -> Decision | dict[str, Any]:
    problems: tuple[str, ...] = (line.problem,)
    if not line.problem:
        try:
            return engine.decide(line.content, balances=balances, now=now)
        except RequestError as error:
            problems = error.problems
    return {"line": line.number, "problems": list(problems)}


def _open(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"`{path}` cannot be read: {(error.strerror or str(error)).lower()}") from error
