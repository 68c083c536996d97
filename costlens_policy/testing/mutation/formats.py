"""A run of mutation testing for people, with each survivor as a diff of the policy, or as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from costlens_policy.diagnostics.render import render as render_diagnostics
from costlens_policy.diagnostics.text import BOLD, Painter, printable
from costlens_policy.engine.decision import json_value
from costlens_policy.testing.mutation.kills import Kill
from costlens_policy.testing.mutation.mutant import diff_of
from costlens_policy.testing.mutation.results import Fate, MutatedSet, Mutation, Verdict, score_of

__all__ = ["render_json", "render_text"]

_GREEN: Final = "32"
_RED: Final = "31"
_YELLOW: Final = "33"
_FRAME: Final = "36"
_SIGNS: Final = {"-": _RED, "+": _GREEN, "@": _FRAME}


def render_text(run: Mutation, *, color: bool = False) -> str:
    """Return the whole report as text that ends with a newline."""
    paint = Painter(on=color)
    blocks = [render_diagnostics(run.diagnostics, "full", _lines_of(run), color=color)] if run.diagnostics else []
    if run.failing:
        blocks.append("\n".join(_failing(run.failing, paint)) + "\n")
    blocks += ["\n".join(_set(item, run, paint)) + "\n" for item in run.sets if item.verdicts]
    if run.sets and run.misses_minimum:
        found = "no mutant was tried" if run.score is None else f"the mutation score is {run.score:g} %"
        line = f"failed: {found}, and the minimum is {run.min_score:g} %"
        blocks.append(paint(line, _RED) + "\n")
    return "\n".join(blocks)


def _lines_of(run: Mutation) -> Any:
    def lines(name: str) -> Sequence[str] | None:
        source = run.sources.get(name)
        return None if source is None else source.lines()

    return lines


def _failing(names: Sequence[str], paint: Painter) -> Iterator[str]:
    count = f"{len(names)} case{'' if len(names) == 1 else 's'}"
    yield paint(f"nothing was changed: {count} of the suites must pass first", BOLD)
    yield from (f"  {paint('FAILED ', _RED)}  {printable(name)}" for name in names)


def _set(item: MutatedSet, run: Mutation, paint: Painter) -> Iterator[str]:
    shown = [verdict for verdict in item.verdicts if verdict.fate in (Fate.SURVIVED, Fate.EXPLAINED)]
    for rule, verdicts in groupby(shown, key=lambda verdict: verdict.mutant.rule):
        yield from _rule(rule, list(verdicts), run, paint)
        yield ""
    counts = item.counts()
    counted = counts[Fate.KILLED] + counts[Fate.SURVIVED]
    score = score_of(counts)
    head = f"mutation score of {item.name} ({item.file}): {'none' if score is None else f'{score:g} %'}"
    yield paint(head, BOLD)
    yield f"  {counts[Fate.KILLED]} of {counted} mutants killed by {item.cases} cases{_uncounted(counts)}"


def _uncounted(counts: Mapping[Fate, int]) -> str:
    named = {
        Fate.EQUIVALENT: "equivalent", Fate.UNTESTABLE: "of windows, which no case can notice",
        Fate.INVALID: "invalid", Fate.EXPLAINED: "explained",
        Fate.UNTRIED: "not tried, as the time was over",
    }  # fmt: skip
    rest = [f"{counts[fate]} {word}" for fate, word in named.items() if counts[fate]]
    return f"; not counted: {', '.join(rest)}" if rest else ""


def _rule(rule: str, verdicts: Sequence[Verdict], run: Mutation, paint: Painter) -> Iterator[str]:
    start = verdicts[0].mutant.span
    yield f"{paint(rule, BOLD)} ({start.file}:{start.start.line})"
    for verdict in verdicts:
        if verdict.fate is Fate.EXPLAINED:
            yield f"  {paint('explained', _GREEN)}  {printable(verdict.mutant.what)}: {printable(verdict.by)}"
            continue
        yield f"  {paint('SURVIVED', _RED)}  {printable(verdict.mutant.what)}"
        for line in diff_lines(verdict, run):
            sign = _SIGNS.get(line[0])
            yield " " * 12 + (paint(printable(line), sign) if sign else printable(line))
        yield from (" " * 12 + printable(line) for line in _advice(verdict))


def diff_lines(verdict: Verdict, run: Mutation) -> list[str]:
    """Return the lines of the diff that a mutant is."""
    source = run.sources.get(verdict.mutant.span.file)
    return [] if source is None else list(diff_of(source.text, verdict.mutant.edits, context=0))


def _advice(verdict: Verdict) -> Iterator[str]:
    kill = verdict.kill
    if kill is not None:
        yield f"it differs on {kill.shown}"
        yield f"  decided: {kill.before}; with the change: {kill.after}"
        yield f"  expect: {_flow(kill.expect)}"
    elif verdict.by:
        yield f"no request was found on which it differs: {verdict.by}"
    else:
        yield "no request was found on which it differs, which proves nothing"


def _flow(value: Any) -> str:
    """Return a value in one line, as YAML reads it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return f"{value:f}" if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def render_json(run: Mutation) -> str:
    """Return the run as JSON text. Its shape is documented in docs/mutation.md."""
    data = {
        "exit_code": run.exit_code,
        "score": run.score,
        "counts": _counts(run.counts()),
        "sets": [_set_data(item, run) for item in run.sets],
        "failing": list(run.failing),
        "diagnostics": json.loads(render_diagnostics(run.diagnostics, "json")),
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _counts(counts: Mapping[Fate, int]) -> dict[str, int]:
    return {str(fate): number for fate, number in counts.items()}


def _set_data(item: MutatedSet, run: Mutation) -> dict[str, Any]:
    return {
        "name": item.name,
        "file": item.file,
        "cases": item.cases,
        "score": score_of(item.counts()),
        "counts": _counts(item.counts()),
        "mutants": [_verdict(verdict, run) for verdict in item.verdicts],
    }


def _verdict(verdict: Verdict, run: Mutation) -> dict[str, Any]:
    mutant, start = verdict.mutant, verdict.mutant.span.start
    return {
        "rule": mutant.rule,
        "kind": str(mutant.kind),
        "what": mutant.what,
        "file": mutant.span.file,
        "line": start.line,
        "column": start.column,
        "fate": str(verdict.fate),
        "by": verdict.by,
        "diff": diff_lines(verdict, run),
        "kill": None if verdict.kill is None else _kill(verdict.kill),
    }


def _kill(kill: Kill) -> dict[str, Any]:
    situation = kill.situation
    return {
        "request": json_value(dict(situation.request)),
        "balances": [
            {"budget": budget, "key": key, "used": f"{item.used:f}", "held": f"{item.held:f}"}
            for (budget, key), item in situation.balances.items()
        ],
        "now": situation.now.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "expect": json.loads(json.dumps(kill.expect, default=str)),
        "decided": kill.before,
        "with_the_change": kill.after,
    }
