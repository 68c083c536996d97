"""What ``eval`` does: load the policies, read requests, decide, print."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from costlens_policy.api import Engine, load
from costlens_policy.cli.balances import read_balances
from costlens_policy.cli.console import note, prints_color, write_out
from costlens_policy.cli.decision_text import decision_text
from costlens_policy.cli.nothing import NothingError
from costlens_policy.cli.record_text import record_text
from costlens_policy.cli.rejected import RejectedError
from costlens_policy.cli.requests import RequestLine, is_json_lines, read_request, request_lines, request_problems
from costlens_policy.clock import system_now
from costlens_policy.engine.context import Balances
from costlens_policy.engine.decide import Models
from costlens_policy.engine.decision import Decision
from costlens_policy.errors import InputError, RequestError

__all__ = ["Question", "evaluate"]


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked on the command line."""

    paths: tuple[Path, ...]
    request_path: str
    now: datetime | None
    balances_path: str | None
    explain: bool
    as_json: bool
    cache: bool
    texts: bool = True
    models: bool = False


def evaluate(question: Question) -> bool:
    """Decide and print; say whether any request was denied. Raises ``RejectedError`` for what is no request."""
    engine = load(*question.paths, cache=question.cache)
    balances = {} if question.balances_path is None else read_balances(question.balances_path, engine.plan)
    if is_json_lines(question.request_path):
        return _many(engine, question, balances)
    given = read_request(question.request_path)
    try:
        if question.models:
            return _models(engine.models(given.content, balances=balances, now=question.now), question)
        decision = engine.decide(given.content, balances=balances, now=question.now)
    except RequestError as error:
        raise request_problems(given, error) from error
    write_out(_json(decision, question, indent=2) if question.as_json else _text(decision, question))
    return not decision.allowed


def _models(models: Models, question: Question) -> bool:
    """Print which models may serve; say whether none may."""
    if question.as_json:
        excluded = [{"model": item.model, "reason": item.reason, "by": item.by or None} for item in models.excluded]
        write_out(json.dumps({"may_serve": models.may_serve, "excluded": excluded}, indent=2, ensure_ascii=False))
        return not models.may_serve
    lines = [click.style(f"may serve  {name}", fg="green") for name in models.may_serve]
    lines += [f"excluded   {item.model}: {item.reason}" for item in models.excluded]
    text = "\n".join(lines)
    write_out(text if prints_color(sys.stdout) else click.unstyle(text))
    return not models.may_serve


def _text(decision: Decision, question: Question) -> str:
    text = decision_text(decision)
    if question.explain:
        text += "\n" + record_text(decision.record())
    return text if prints_color(sys.stdout) else click.unstyle(text)


def _json(decision: Decision, question: Question, indent: int | None = None) -> str:
    return json.dumps(decision.to_dict(texts=question.texts), indent=indent, ensure_ascii=False)


def _many(engine: Engine, question: Question, balances: Balances) -> bool:
    """Decide line by line, all at one time; a line that is no request gets its problem in place of a decision."""
    now = question.now or system_now()
    counts: Counter[str] = Counter()
    with _open(question.request_path) as stream:
        for line in request_lines(stream):
            answer = _answer(engine, line, balances, now)
            counts["rejected" if isinstance(answer, dict) else answer.effect] += 1
            write_out(json.dumps(answer, ensure_ascii=False) if isinstance(answer, dict) else _json(answer, question))
    if not counts:
        raise NothingError(f"`{question.request_path}` holds no request")
    note(f"{counts['allow']} allowed, {counts['deny']} denied, {counts['rejected']} not acceptable")
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
