"""The advice as text for a terminal, as Markdown, and as JSON-like data with exact decimal strings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from costlens_policy.advise.advice import Advice, Recommendation
from costlens_policy.advise.numbers import Numbers, Swing
from costlens_policy.advise.parts import AdviceTable, Page, Part, Picture, Sentences, assumptions, headline, parts_of
from costlens_policy.diagnostics.text import printable
from costlens_policy.money import plain

__all__ = ["as_json", "as_markdown", "as_text", "export_advice", "page_of"]


def page_of(advice: Advice) -> Page:
    """Return the advice on one workload as a page."""
    return Page(headline(advice), parts_of(advice), partial(export_advice, advice))


def as_text(page: Page) -> str:
    """Return a page for a terminal."""
    shown = ("\n".join([part.title, *(f"  {line}".rstrip() for line in _text_lines(part))]) for part in page.parts)
    return "\n\n".join([page.heading, *shown]) + "\n"


def as_markdown(page: Page) -> str:
    """Return a page as Markdown; pictures are in code blocks."""
    shown = ("\n".join([f"## {_capital(part.title)}", "", *_markdown_lines(part)]) for part in page.parts)
    return "\n\n".join([f"# {page.heading}", *shown]) + "\n"


def as_json(page: Page) -> str:
    return json.dumps(page.data(), indent=2, ensure_ascii=False)


def _text_lines(part: Part) -> Iterator[str]:
    if isinstance(part, AdviceTable):
        yield from _columns([part.headings, *part.rows])
    else:
        yield from part.lines


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([f"{first:{widths[0]}}", *cells])


def _markdown_lines(part: Part) -> Iterator[str]:
    match part:
        case AdviceTable():
            yield f"| {' | '.join(part.headings)} |"
            yield f"|---|{'---:|' * (len(part.headings) - 1)}"
            yield from (f"| {' | '.join(map(_escaped, row))} |" for row in part.rows)
        case Sentences():
            yield from (f"- {_escaped(line)}" for line in part.lines)
        case Picture():
            yield from ("```text", *part.lines, "```")


def _escaped(text: str) -> str:
    """Escape text so that it can neither end a cell nor start a tag; the names of tasks come from logs."""
    return printable(text).replace("|", "\\|").replace("<", "&lt;")


def _capital(title: str) -> str:
    return title[:1].upper() + title[1:]


def export_advice(advice: Advice) -> dict[str, Any]:
    """Return everything that was calculated and recommended; months of a break-even are rounded to six digits."""
    numbers = advice.numbers
    return {
        "workload": advice.setting.workload.metadata.name,
        "horizon_months": advice.setting.months,
        "prices_of": advice.now.date().isoformat(),
        "queries": list(numbers.monthly),
        "compared_with": numbers.prompting,
        "strategies": {name: _strategy(numbers, name) for name in numbers.strategies},
        "swings": [_swing(item) for item in numbers.swings],
        "inputs": {
            name: {"low": plain(item.low), "base": plain(item.base), "high": plain(item.high), "origin": item.origin}
            for name, item in numbers.inputs.items()
        },
        "recommendation": _recommendation(advice.recommendation),
        "assumptions": list(assumptions(advice)),
    }


def _strategy(numbers: Numbers, name: str) -> dict[str, Any]:
    strategy = numbers.strategies[name]
    found: dict[str, Any] = {
        "usd_per_query": plain(strategy.usd_per_query),
        "upfront_usd": plain(strategy.upfront_usd),
        "usd_per_hour": plain(strategy.usd_per_hour),
        "total_usd": _spread(numbers.totals_range.lowest, numbers.totals, numbers.totals_range.highest, name),
        "saving_usd": _spread(numbers.savings_range.lowest, numbers.savings, numbers.savings_range.highest, name),
        "paid_usd": [plain(amount) for amount in numbers.curves[name]],
    }
    if name in numbers.break_evens:
        even = numbers.break_evens[name]
        when = None if even is None else {"months": round(float(even.months), 6), "queries": even.queries}
        found |= {"break_even": when, "crossover_queries_per_month": numbers.crossovers[name]}
    return found


def _spread(low: Any, base: Any, high: Any, name: str) -> dict[str, str]:
    return {"low": plain(low[name]), "base": plain(base[name]), "high": plain(high[name])}


def _swing(item: Swing) -> dict[str, Any]:
    savings = [{name: plain(amount) for name, amount in found.items()} for found in item.savings]
    return {"input": item.input, "saving_usd_at_low": savings[0], "saving_usd_at_high": savings[1]}


def _recommendation(found: Recommendation) -> dict[str, Any]:
    return {
        "strategy": found.strategy,
        "rule": found.rule,
        "reason": found.reason,
        "considerations": [{"rule": item.rule, "reason": item.reason} for item in found.considerations],
        "marks": dict(found.marks),
        # As the policies saw them, in doubles, so that `eval` takes them as a request.
        "facts": {name: float(value) if isinstance(value, Decimal) else value for name, value in found.facts.items()},
        "policy_digest": found.decision.policy_digest,
    }
