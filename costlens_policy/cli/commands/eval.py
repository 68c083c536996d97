"""``eval``: decide single requests, and show the decision: the answer first, then why, then what was changed."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode, NothingError, RejectedError
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.options import Timestamp, paths_argument
from costlens_policy.cli.output import note, prints_color, write_json, write_out
from costlens_policy.clock import system_now
from costlens_policy.diagnostics.text import printable
from costlens_policy.errors import InputError, RequestError
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from costlens_policy.api import Engine
    from costlens_policy.cli.inputs import RequestLine
    from costlens_policy.decision_log import Redecided
    from costlens_policy.engine.context import Balances
    from costlens_policy.engine.decide import Models
    from costlens_policy.engine.decision import Decision, Estimate
    from costlens_policy.engine.record import Record, RuleRecord, StageRecord

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
        (
            "decide a logged request again, and compare the answer",
            "eval . --log decisions.jsonl --from-log 7f3a9c21d0b4e586",
        ),
        ("keep prompts out of a log", "eval . --request request.yaml --format json --no-texts"),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING, ExitCode.TEST_FAILED, ExitCode.DENIED],
)
@paths_argument
@click.option(
    "--request",
    "request_path",
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
    help="State of the budgets: a list of `budget`, `key`, `used`, `held`, `override`, `topup`, `started_at`,"
    " `earlier`, `set_aside` and `reserved`.",
)
@click.option(
    "--from-log",
    "logged",
    metavar="ID",
    help="Decide the request of a logged decision again, and compare: exits with 4 if the answer differs, with 3 if the"
    " log does not have what it depends on.",
)
@click.option(
    "--log", "log_path", metavar="FILE", type=click.Path(path_type=Path), help="The decision log for `--from-log`."
)
@click.option("--explain", is_flag=True, help="Show each rule in order, with the values in its condition.")
@click.option("--models", is_flag=True, help="Show which models may serve, and why others may not.")
@format_option("text", "json")
@click.option("--no-texts", is_flag=True, help="In JSON, replace prompts, messages and other texts with their sizes.")
@click.option("--no-cache", is_flag=True, help="Read the policies even if their plan is cached.")
@click.option("--exit-code", is_flag=True, help="Exit with 10 if the request is denied.")
def command(
    paths: tuple[Path, ...],
    request_path: str | None,
    now: datetime | None,
    balances_path: str | None,
    logged: str | None,
    log_path: Path | None,
    explain: bool,
    models: bool,
    output: str,
    no_texts: bool,
    no_cache: bool,
    exit_code: bool,
) -> ExitCode:
    """Decide the request in FILE by the policy set in PATH, a directory, a policy set file or a bundle, and show why.

    The request is an object of attributes such as `task` and `prompt`. The decision depends on the request, the
    balances and the time alone.
    """
    from costlens_policy.cli.inputs import is_json_lines

    if (logged is None) != (log_path is None):
        raise click.UsageError("`--from-log` and `--log` belong together: the id of a decision, and the file it is in")
    if logged is not None and log_path is not None:
        if request_path or balances_path or now or models or explain:
            raise click.UsageError("`--from-log` takes the request, the balances and the time from the log")
        return _again(paths, log_path, logged, output == "json", cache=not no_cache)
    if request_path is None:
        raise click.UsageError("name the request with `--request FILE`, or a logged one with `--from-log ID`")
    if request_path == "-" == balances_path:
        raise click.UsageError("`--request` and `--balances` cannot both read standard input")
    as_json = output == "json"
    if models and (explain or is_json_lines(request_path)):
        raise click.UsageError("`--models` takes one request, without `--explain`")
    if no_texts and not (as_json or is_json_lines(request_path)):
        raise click.UsageError("`--no-texts` needs `--format json`")
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


def _again(paths: tuple[Path, ...], log_path: Path, id: str, as_json: bool, *, cache: bool) -> ExitCode:
    """Decide a logged request again, and print whether the answer is the same."""
    from costlens_policy.api import load
    from costlens_policy.decision_log.again import decide_again, find_entry

    entry = find_entry(log_path, id)
    found = decide_again(load(*paths, cache=cache), entry)
    if as_json:
        differences = {name: {"logged": was, "now": now} for name, (was, now) in found.differences.items()}
        write_json({"id": id, "verdict": found.verdict, "why": found.why, "differences": differences})
    else:
        write_out("\n".join(_again_lines(id, found)))
    return {"same": ExitCode.OK, "different": ExitCode.TEST_FAILED, "undecidable": ExitCode.NOTHING}[found.verdict]


def _again_lines(id: str, found: Redecided) -> Iterator[str]:
    yield f"{found.verdict}  decision {id}{': ' if found.why else ''}{found.why}"
    if found.verdict == "undecidable" and found.decision is not None:
        outline = "the same" if found.outline_is_same else "others"
        yield f"  effect, model, fallbacks and rule would be {outline}"
    for name, (was, now) in found.differences.items():
        yield f"  {name}"
        yield f"    logged  {json.dumps(was, ensure_ascii=False)[:_LONGEST_PART]}"
        yield f"    now     {json.dumps(now, ensure_ascii=False)[:_LONGEST_PART]}"


_LONGEST_PART: Final = 500


@frozen
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
        write_json({"may_serve": models.may_serve, "excluded": excluded})
        return not models.may_serve
    lines = [click.style(f"may serve  {name}", fg="green") for name in models.may_serve]
    lines += [f"excluded   {item.model}: {item.reason}" for item in models.excluded]
    text = "\n".join(lines)
    write_out(text if prints_color(sys.stdout) else click.unstyle(text))
    return not models.may_serve


def _text(decision: Decision, options: _Options) -> str:
    text = _decision_text(decision)
    if options.explain:
        text += "\n" + _record_text(decision.record())
    return text if prints_color(sys.stdout) else click.unstyle(text)


def _json(decision: Decision, options: _Options, indent: int | None = None) -> str:
    return json.dumps(decision.to_dict(texts=options.texts), indent=indent, ensure_ascii=False)


def _many(engine: Engine, options: _Options, balances: Balances) -> bool:
    """Decide line by line, all at one time; for an invalid line, its problems are printed instead."""
    from costlens_policy.cli.inputs import request_lines

    now = options.now or system_now()
    counts: Counter[str] = Counter()
    with _open(options.request_path) as stream:
        for line in request_lines(stream):
            answer = _answer(engine, line, balances, now)
            counts["rejected" if isinstance(answer, dict) else answer.effect] += 1
            write_out(json.dumps(answer, ensure_ascii=False) if isinstance(answer, dict) else _json(answer, options))
    if not counts:
        raise NothingError(f"`{options.request_path}` contains no request")
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


_COLUMN: Final = 12
_DIGEST: Final = 12
_MOST_COMPARED: Final = 5_000  # lines; comparing takes quadratic time in the worst case
_MOST_SHOWN: Final = 60
_LONGEST: Final = 600
_ROOTS: Final = ("request", "signals", "variables", "model", "budgets", "estimate")
_COLORS: Final = {"matched": "green", "failed": "red", "not matched": None, "not reached": None}


def _decision_text(decision: Decision) -> str:
    """Return a decision as text with terminal colors."""
    blocks = [_headline(decision), _why(decision), _changes(decision)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _headline(decision: Decision) -> str:
    color = "green" if decision.allowed else "red"
    head = click.style(decision.effect, fg=color, bold=True)
    if decision.model is not None:
        head += f"  {click.style(decision.model, bold=True)}"
    plan = decision.plan
    facts = {
        "rule": decision.rule,
        "fallbacks": ", ".join(decision.fallbacks),
        "estimate": "" if decision.estimate is None else _estimate(decision.estimate),
        "policies": f"{plan.name} {plan.version}, digest {decision.policy_digest[:_DIGEST]}",
        "prices": f"digest {decision.catalogue_digest[:_DIGEST]}, at {decision.now.isoformat().replace('+00:00', 'Z')}",
    }
    return "\n".join([head, *(_fact(name, text) for name, text in facts.items() if text)])


def _estimate(estimate: Estimate) -> str:
    from costlens_policy.money import format_usd

    cost = "no price known" if estimate.cost is None else f"at most {format_usd(estimate.cost)}"
    if estimate.likely_cost is not None and estimate.likely_cost != estimate.cost:
        cost += f", likely {format_usd(estimate.likely_cost)} with prompt caches"
    basis = {"request": "as given", "estimate": "estimated"}.get(estimate.basis, f"counted by {estimate.basis}")
    answers = f" in {estimate.completions} answers" if estimate.completions > 1 else ""
    return (
        f"{cost}: {_tokens(estimate.prompt_tokens, 'prompt')} ({basis}), "
        f"up to {_tokens(estimate.output_tokens, 'output')}{answers}"
    )


def _tokens(number: int, kind: str) -> str:
    return f"{number:,} {kind} token{'' if number == 1 else 's'}"


def _why(decision: Decision) -> str:
    """Say the reasons stage by stage; a stage is named once."""
    lines, stage_before = [click.style("why", bold=True)], ""
    for reason in decision.reasons:
        stage, colon, text = reason.partition(": ")
        if not colon or not stage.isalpha():
            stage, text = "", reason
        lines.append(_fact(stage if stage != stage_before else "", text))
        stage_before = stage
    lines.extend(_fact("error", str(item)) for item in decision.errors)
    return "\n".join(lines) if len(lines) > 1 else ""


def _changes(decision: Decision) -> str:
    if not decision.allowed:
        return ""
    blocks = []
    before, after = _content(decision.request), _content(_after(decision))
    if before != after:
        blocks.append("\n".join([click.style("prompt, rewritten", bold=True), *_shown_difference(before, after)]))
    if decision.params:
        params = (f"  {name} = {_short(json.dumps(value, default=str))}" for name, value in decision.params.items())
        blocks.append("\n".join([click.style("parameters", bold=True), *params]))
    return "\n\n".join(blocks)


def _after(decision: Decision) -> Mapping[str, Any]:
    return {"prompt": decision.prompt, "system": decision.system, "messages": decision.messages}


def _content(holder: Mapping[str, Any]) -> list[str]:
    """Return the texts of a prompt or conversation as lines, each message headed by its role."""
    lines: list[str] = []
    if holder.get("system"):
        lines += [f"system: {line}" for line in str(holder["system"]).splitlines()]
    if holder.get("prompt"):
        lines += str(holder["prompt"]).splitlines()
    for message in holder.get("messages") or ():
        text = message.get("content")
        text = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False, default=str)
        lines += [f"{message.get('role')}: {line}" for line in text.splitlines() or [""]]
    return lines


def _shown_difference(before: list[str], after: list[str]) -> list[str]:
    if len(before) + len(after) > _MOST_COMPARED:
        return [f"  {len(before):,} lines became {len(after):,}; `--format json` has all of them"]
    lines = list(_difference(before, after))
    more = len(lines) - _MOST_SHOWN
    return lines if more <= 0 else [*lines[:_MOST_SHOWN], f"  {more:,} lines more; `--format json` has all of them"]


def _difference(before: list[str], after: list[str]) -> Iterator[str]:
    import difflib

    for line in difflib.unified_diff(before, after, lineterm="", n=1):
        if line.startswith(("---", "+++", "@@")):
            continue
        color = {"-": "red", "+": "green"}.get(line[0])
        yield "  " + click.style(f"{line[0]} {_short(line[1:])}", fg=color)


def _short(line: str) -> str:
    """Return a line that cannot command a terminal, cut in the middle where it is very long."""
    if len(line) <= _LONGEST:
        return printable(line)
    half = _LONGEST // 2
    return f"{printable(line[:half])} [… {len(line) - 2 * half:,} characters …] {printable(line[-half:])}"


def _fact(name: str, text: str) -> str:
    return f"  {click.style(f'{name:{_COLUMN - 1}}', dim=True)} {printable(text)}"


def _record_text(record: Record) -> str:
    """Return a record as text with terminal colors; stages in which there is nothing to say are left out."""
    return "\n".join("\n".join(_stage(stage)) + "\n" for stage in record.stages if stage.rules or stage.notes)


def _stage(stage: StageRecord) -> Iterator[str]:
    yield click.style(stage.stage, bold=True)
    width = max((len(rule.id) for rule in stage.rules), default=0)
    for rule in stage.rules:
        yield from _rule(rule, width)
    yield from (f"  {printable(note.removeprefix(f'{stage.stage}: '))}" for note in stage.notes)


def _rule(rule: RuleRecord, width: int) -> Iterator[str]:
    outcome = click.style(str(rule.outcome), fg=_COLORS[rule.outcome], dim=rule.outcome == "not reached")
    reason = f": {printable(rule.reason)}" if rule.reason else ""
    yield f"  {rule.id:{width}}  {outcome}{reason}"
    yield from (f"      {_folded(line)}" for line in _condition(rule))


def _condition(rule: RuleRecord) -> Iterator[str]:
    if rule.condition is None:
        yield "always"
        return
    yield f"when {rule.condition}"
    parts = [(_folded(text), value) for text, value in rule.parts if _tells_something(text, value, rule)]
    width = min(max((len(text) for text, _ in parts), default=0), 60)
    yield from (f"     {text:{width}}  = {printable(value)}" for text, value in parts)


def _tells_something(text: str, value: str, rule: RuleRecord) -> bool:
    """Leave out the whole condition, whose value is the outcome, bare names of records, and literals."""
    return text not in (rule.condition, value, *_ROOTS)


def _folded(text: str) -> str:
    """Put an expression of several lines on one."""
    return text if "\n" not in text else " ".join(text.split())
