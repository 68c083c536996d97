"""What several formats show of a run: differences, values, counts and shortfalls as lines for people."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from costlens_policy.testing.compare import ABSENT, Difference
from costlens_policy.testing.coverage import Coverage, Item, Measure, Reach, Shortfall
from costlens_policy.testing.results import CaseOutcome, Run

__all__ = [
    "coverage_sentence",
    "difference_lines",
    "difference_sentence",
    "missing_in",
    "nothing_to_run",
    "plain",
    "reach_sentence",
    "share_of",
    "shortfall_sentence",
    "shown",
    "suggestions_sentence",
    "summary_line",
]  # fmt: skip

_LONGEST: Final = 72


def difference_sentence(item: Difference) -> str:
    """Return a difference as one line, for formats that have no room for more."""
    return f"expected: {item.path} {item.relation or 'is'} {shown(item.expected)}; got {shown(item.actual)}"


def difference_lines(item: Difference) -> Iterator[tuple[str, str]]:
    """Yield lines with their sign: ``-`` for what is expected, ``+`` for what is there, a blank for what is the same.

    Long texts and lists are compared line by line; the first line names the place and has the sign ``=``.
    """
    yield "=", f"{item.path} {item.relation}".rstrip()
    pieces = None if item.relation else _pieces(item)
    if pieces is None:
        yield "-", shown(item.expected)
        yield from (("+", text) for text in _each(item))
        return
    expected, actual = pieces
    yield from _aligned(expected, actual)


def _each(item: Difference) -> list[str]:
    """Return the actual value, item by item where the relation is about any of several."""
    if item.relation and isinstance(item.actual, list) and item.actual:
        return [shown(entry) for entry in item.actual]
    return [shown(item.actual)]


def _pieces(item: Difference) -> tuple[list[str], list[str]] | None:
    expected, actual = item.expected, item.actual
    if isinstance(expected, list) and isinstance(actual, list):
        return [shown(entry) for entry in expected], [shown(entry) for entry in actual]
    if isinstance(expected, str) and isinstance(actual, str) and (_is_long(expected) or _is_long(actual)):
        return _lines(expected), _lines(actual)
    return None


def _is_long(text: str) -> bool:
    return "\n" in text or len(text) > _LONGEST


def _lines(text: str) -> list[str]:
    """Return the lines of a text, quoted so that blanks at their ends and a missing last line end are seen."""
    return [shown(line) for line in text.splitlines(keepends=True)] or [shown("")]


def _aligned(expected: list[str], actual: list[str]) -> Iterator[tuple[str, str]]:
    matcher = difflib.SequenceMatcher(a=expected, b=actual, autojunk=False)
    for tag, start, end, other_start, other_end in matcher.get_opcodes():
        if tag == "equal":
            yield from ((" ", text) for text in expected[start:end])
        else:
            yield from (("-", text) for text in expected[start:end])
            yield from (("+", text) for text in actual[other_start:other_end])


def summary_line(run: Run) -> str:
    """Return a line such as ``12 cases in 2 suites: 10 passed, 1 failed, 1 vacuous``."""
    counts = run.counts()
    parts = [
        f"{number} {_words(outcome, number)}"
        for outcome, number in counts.items()
        if number or outcome is CaseOutcome.PASSED
    ]
    total = sum(counts.values())
    return f"{_counted(total, 'case')} in {_counted(len(run.suites), 'suite')}: {', '.join(parts)}"


def shortfall_sentence(item: Shortfall) -> str:
    whose = f"that suite `{item.where}` covers" if item.where else "of this run"
    return f"{item.reached} % of the {_MEASURED[item.measure]} {whose} are covered, but {item.required} % are required"


def coverage_sentence(coverage: Coverage) -> str:
    """Return how much of each measure is covered, such as ``rules 26 of 26, conditions 43 of 44``."""
    found = ((measure, list(coverage.of(measure))) for measure in Measure)
    return ", ".join(f"{measure} {share_of(items)}" for measure, items in found if items)


def share_of(items: Sequence[Item]) -> str:
    """Return how many of some items are covered; what no request can show is left out."""
    return f"{sum(item.covered for item in items)} of {sum(item.counts for item in items)}"


def missing_in(run: Run) -> tuple[Item, ...]:
    """Return what is not covered of the measures that fall short."""
    short = {item.measure for item in run.shortfalls}
    items = (item for coverage in run.coverage for item in coverage.items)
    return tuple(item for item in items if item.measure in short and item.counts and not item.covered)


def suggestions_sentence(run: Run) -> str:
    """Return what suggested cases come to, and what they leave out."""
    items = [item for coverage in run.coverage for item in coverage.items if not item.covered]
    cases, left = sum(len(suite.cases) for suite in run.suggestions), Counter(item.reach for item in items)
    if not run.suites and (run.found or not run.coverage):
        return nothing_to_run(run)
    if not items:
        return "nothing is missing: the cases cover every item"
    found = f"{_counted(cases, 'case')} would cover {_counted(left[Reach.REQUEST], 'item')}"
    if left[Reach.NO_REQUEST]:
        found += f"; no request can cover {_counted(left[Reach.NO_REQUEST], 'item')}"
    if left[Reach.UNDECIDED]:
        found += f"; of {_counted(left[Reach.UNDECIDED], 'item')} it was not decided whether one can"
    return found


def reach_sentence(item: Item) -> str:
    """Return which request would cover an item, or why none is known; empty where that was not asked."""
    match item.reach:
        case Reach.REQUEST:
            return "covered by " + " and ".join(dict.fromkeys(map(str, item.witnesses)))
        case Reach.NO_REQUEST:
            return "no request can cover it: all that conditions can tell apart was decided, so it does not count"
        case Reach.UNDECIDED:
            return f"not decided whether a request can cover it: {item.note}"
    return ""


_MEASURED: Final[Mapping[Measure, str]] = {
    Measure.RULES: "rules",
    Measure.CONDITIONS: "outcomes of conditions",
    Measure.MCDC: "operands (MC/DC)",
    Measure.MODELS: "models of routes",
    Measure.SHARES: "shares of splits",
    Measure.OVERFLOWS: "overflows",
    Measure.DOWNGRADES: "downgrades",
}


def nothing_to_run(run: Run) -> str:
    """Return why no case ran, where nothing is wrong with any file."""
    if not run.found:
        where = " and ".join(f"`{path}`" for path in run.paths) or "no path"
        return f"nothing to run: no suite in {where}"
    return f"nothing to run: no case matches the filter `{run.filtered}`"


def _words(outcome: CaseOutcome, number: int) -> str:
    return "errors" if outcome is CaseOutcome.ERROR and number != 1 else str(outcome)


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def plain(value: Any) -> Any:
    """Return a value with only JSON's types in it. Exact numbers become strings, ``ABSENT`` becomes null."""
    if value is ABSENT:
        return None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return _digits(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value


def shown(value: Any) -> str:
    """Return a value on one line: texts quoted, numbers in full, ``nothing`` for what is absent."""
    if value is ABSENT:
        return "nothing"
    if isinstance(value, Decimal):
        return _digits(value)
    return json.dumps(plain(value), ensure_ascii=False)


def _digits(value: Decimal) -> str:
    return f"{value.normalize():f}"
