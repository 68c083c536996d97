"""The record of a decision for people: every rule in order, its condition, the values of its parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from costlens_policy.diagnostics.text import printable

if TYPE_CHECKING:
    from costlens_policy.engine.record import Record, RuleRecord, StageRecord

__all__ = ["record_text"]

_ROOTS: Final = ("request", "variables", "model", "budgets", "estimate")
_COLORS: Final = {"matched": "green", "failed": "red", "not matched": None, "not reached": None}


def record_text(record: Record) -> str:
    """Return a record as text with terminal colours; stages in which there is nothing to say are left out."""
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
