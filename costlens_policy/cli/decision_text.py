"""A decision for people: the answer first, then why, then what was changed; and its record, rule by rule."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from costlens_policy.diagnostics.text import printable
from costlens_policy.money import format_usd

if TYPE_CHECKING:
    from costlens_policy.engine.decision import Decision, Estimate
    from costlens_policy.engine.record import Record, RuleRecord, StageRecord

__all__ = ["decision_text", "record_text"]

_COLUMN: Final = 12
_DIGEST: Final = 12
_MOST_COMPARED: Final = 5_000  # lines; comparing takes quadratic time in the worst case
_MOST_SHOWN: Final = 60
_LONGEST: Final = 600
_ROOTS: Final = ("request", "variables", "model", "budgets", "estimate")
_COLORS: Final = {"matched": "green", "failed": "red", "not matched": None, "not reached": None}


def decision_text(decision: Decision) -> str:
    """Return a decision as text with terminal colors."""
    blocks = [_answer(decision), _why(decision), _changes(decision)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _answer(decision: Decision) -> str:
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
    cost = "no price known" if estimate.cost is None else f"at most {format_usd(estimate.cost)}"
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


def record_text(record: Record) -> str:
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
