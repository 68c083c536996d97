"""Expressions from the command line, from standard input, or line by line."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from costlens_policy.cli.cel.answer import Answer, ask
from costlens_policy.cli.cel.console import Console
from costlens_policy.cli.cel.given import surroundings
from costlens_policy.cli.cel.show import as_object, as_text
from costlens_policy.cli.cel.surroundings import Surroundings
from costlens_policy.cli.console import note, standard_input, write_out
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.nothing import NothingError
from costlens_policy.cli.report import render_report
from costlens_policy.source.read import MAX_BYTES, read_stdin

__all__ = ["Question", "run"]

_STANDARD_INPUT: Final = "<stdin>"


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked on the command line."""

    expression: str | None
    values_path: str | None
    policy_set: Path | None
    types_only: bool
    as_json: bool


def run(question: Question) -> ExitCode:
    """Answer one expression, a console or many lines. Raises ``PolicyError``, ``RejectedError``, ``NothingError``."""
    around = surroundings(question.values_path, question.policy_set, types_only=question.types_only)
    if question.expression is not None:
        return _one(question, around, *_text(question.expression))
    if sys.stdin is not None and sys.stdin.isatty():
        return Console(around, types_only=question.types_only).run()
    return _lines(question, around)


def _text(expression: str) -> tuple[str, str]:
    """Return the expression and what its places name."""
    if expression != "-":
        return expression, "<expression>"
    return read_stdin(standard_input()).text, _STANDARD_INPUT


def _one(question: Question, around: Surroundings, text: str, name: str) -> ExitCode:
    answer = ask(text, around, name, evaluate=not question.types_only)
    if question.as_json:
        write_out(json.dumps(as_object(answer), indent=2, ensure_ascii=False))
    else:
        write_out(as_text(answer, parts=True))
        _complain(answer)
    return ExitCode.INVALID if answer.failed else ExitCode.OK


def _lines(question: Question, around: Surroundings) -> ExitCode:
    """Answer each line as it comes; empty lines are passed over."""
    stream = standard_input()
    answered = failed = False
    for number, line in enumerate(iter(lambda: stream.readline(MAX_BYTES), b""), 1):
        text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if text.strip():
            answer = ask(text, around, f"{_STANDARD_INPUT}, line {number}", evaluate=not question.types_only)
            answered, failed = True, failed or answer.failed
            _print_line(question, answer)
    if not answered:
        raise NothingError("standard input holds no expression; name one, or write one a line")
    return ExitCode.INVALID if failed else ExitCode.OK


def _print_line(question: Question, answer: Answer) -> None:
    if question.as_json:
        write_out(json.dumps(as_object(answer), ensure_ascii=False))
        return
    write_out(as_text(answer, parts=False))
    _complain(answer)


def _complain(answer: Answer) -> None:
    if answer.diagnostics:
        note(render_report(answer.diagnostics, sources=(answer.source,), stderr=True).rstrip())
