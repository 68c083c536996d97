"""Results of replay and diff as summaries with tables, and these as Markdown, as JSON and as CSV."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from costlens_policy.diagnostics.text import printable, safe
from costlens_policy.frozen import frozen
from costlens_policy.intervals import Estimate
from costlens_policy.money import ZERO, format_usd, total
from costlens_policy.replay.alerts import first_alerts
from costlens_policy.replay.difference import Difference, Example, Side
from costlens_policy.replay.expected import Expected, ExpectedPart
from costlens_policy.replay.judged import Quality
from costlens_policy.replay.result import Result

__all__ = [
    "Summary", "SummaryTable", "as_json", "change", "csv_text", "difference_tables", "difference_verdict", "dollars",
    "estimate_text", "expected_line", "expected_table", "markdown", "points_text", "result_tables", "result_verdict",
    "share",
]  # fmt: skip

_CENT = Decimal("0.01")
_SMALL = Decimal("0.000001")


@frozen
class SummaryTable:
    """``numbers`` are the columns, from 0 on, that hold numbers."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()


@frozen
class Summary:
    """What came of recorded traffic: a verdict of a few lines, tables, what to know about both, and all of it as data.

    Tables without rows are not shown.
    """

    title: str
    verdict: str
    tables: Iterable[SummaryTable]
    notes: Iterable[str]
    assumptions: Iterable[str]
    data: Callable[[], Mapping[str, Any]] = dict


def dollars(amount: Decimal | None) -> str:
    """Return an amount to the cent, or to a millionth of a dollar where it is less than a dollar."""
    if amount is None:
        return "unpriced"
    return format_usd(amount.quantize(_CENT if abs(amount) >= 1 else _SMALL))


def change(amount: Decimal) -> str:
    """Return a difference with its sign."""
    return f"+{dollars(amount)}" if amount > 0 else dollars(amount)


def share(part: Decimal, whole: Decimal) -> str:
    """Return a part as a signed percentage of a whole."""
    return f"{part / whole:+.1%}" if whole else ("0.0%" if part == ZERO else "from nothing")


_WHY = {
    "access": "a rule denies",
    "budget": "no room in a budget",
    "unservable": "no model can serve it",
    "error": "an expression failed",
}


def result_verdict(result: Result) -> str:
    """Return the summary in a line or two."""
    low, high = result.cost_range()
    swing = f"{result.settings.output_range:.0%}"
    lines = [
        f"{result.rows} requests: {sum(result.allowed.values())} allowed, {sum(result.denied.values())} denied, "
        f"{result.rejected} rows left out",
        f"cost {dollars(result.cost)} ({dollars(low)} to {dollars(high)} with answers {swing} shorter or longer)",
    ]
    if result.expected is not None:
        lines.append(f"expected quality {expected_line(result.expected)}")
    if result.judged:
        lines.append(_judged_line(result))
    if result.unpriced:
        lines.append(f"{result.unpriced} allowed requests have no price and are not in the cost")
    if result.compared:
        delta = total((result.compared_cost, -result.recorded_cost))
        lines.append(
            f"recorded models {dollars(result.recorded_cost)}, policy {dollars(result.compared_cost)} for the same "
            f"{result.compared} requests: {change(delta)} ({share(delta, result.recorded_cost)})"
        )
        if result.saved_by_denying:
            lines.append(f"of that, {dollars(result.saved_by_denying)} is the cost of requests that are denied now")
    if result.logged:
        lines.append(f"the log itself records {dollars(result.logged_cost)} for {result.logged} requests")
    if result.longer:
        lines.append(f"{result.longer} recorded answers are longer than the output limit of the call; priced in full")
    return "\n".join(lines)


def result_tables(result: Result) -> Iterator[SummaryTable]:
    """Yield the tables that are not empty."""
    yield SummaryTable(
        "Models",
        ("model", "requests", "prompt tokens", "of them cached", "output tokens", "cost", "unpriced"),
        [
            (name, f"{totals.requests:,}", f"{totals.prompt_tokens:,}", f"{totals.cached_tokens:,}",
             f"{totals.output_tokens:,}", dollars(totals.cost), str(totals.unpriced or ""))
            for name, totals in sorted(result.models.items(), key=lambda item: -item[1].cost)
        ],
        frozenset(range(1, 7)),
    )  # fmt: skip
    rules = [(rule, "allowed", f"{count:,}") for rule, count in result.allowed.most_common()]
    rules += [(rule, f"denied: {_WHY[why]}", f"{count:,}") for (rule, why), count in result.denied.most_common()]
    yield SummaryTable("Rules", ("rule", "outcome", "requests"), rules, frozenset({2}))
    if result.quality:
        yield _quality(result)
    if result.expected is not None and result.expected.measured:
        yield expected_table(result.expected)
    if result.alerts:
        rows = [(item["time"], item["budget"], item["key"], item["text"]) for item in first_alerts(result.alerts)]
        yield SummaryTable(f"Alerts ({result.alert_count})", ("first due", "budget", "for", "alert"), rows)
    for title, counts in (
        ("Rewrites", result.rewrites),
        ("Failures of expressions", result.errors),
        ("Recorded models without a price or too small for the request", result.unknown_models),
    ):
        if counts:
            rows2 = [(name, f"{count:,}") for name, count in counts.most_common(20)]
            yield SummaryTable(title, ("what", "requests"), rows2, frozenset({1}))


def expected_table(expected: Expected) -> SummaryTable:
    """Return the expected quality by task and model, and of all that is measured."""
    rows = [
        (f"{part.task or 'without a task'}{', recognized' if part.recognized else ''}", part.model,
         f"{part.requests:,}", *_range(part))
        for part in expected.parts
    ]  # fmt: skip
    all_of = f"all {expected.measured:,} measured" if expected.measured < expected.requests else "all"
    rows.append((all_of, "", f"{expected.measured:,}", *_range(expected)))
    headings = ("task", "model", "requests", "quality", "interval")
    return SummaryTable("Expected quality, as the catalogue has it", headings, rows, frozenset({2, 3}))


def _range(part: Expected | ExpectedPart) -> tuple[str, str]:
    if part.value is None:
        return "not measured", ""
    interval = "" if part.low is None or part.high is None else f"{part.low:.2%} to {part.high:.2%}"
    return f"{part.value:.2%}", interval


def expected_line(expected: Expected | None) -> str:
    """Return a quality with its interval, and of how many requests it is known."""
    if expected is None or not expected.measured:
        return "not known for any request"
    quality, interval = _range(expected)
    within = f" ({interval})" if interval else ""
    known = (
        f", measured for {expected.measured} of {expected.requests}" if expected.measured < expected.requests else ""
    )
    told = f"; the task of {expected.recognized} is recognized by {expected.recognition}" if expected.recognized else ""
    return f"{quality}{within}{known}{told}"


def _quality(result: Result) -> SummaryTable:
    """Return each way to pick models beside the policy, on the same requests."""
    rows = [(*_way("policy", result.quality.get("policy", Quality())), "", "", "")]
    for name, way in result.quality.items():
        pair = result.beside.get(name)
        if pair is not None:
            own = "" if pair.one.mean is None else f"{pair.one.mean.value:.1%}"
            rows.append((*_way(name, pair.other), own, _priced(pair.one), points_text(pair.difference)))
        elif name != "policy":
            rows.append((*_way(name, way), "", "", ""))
    headings = ("who answers", "requests", "right", "cost", "policy", "its cost", "beside the policy")
    return SummaryTable("Quality and cost, from recorded outcomes", headings, rows, frozenset(range(1, 7)))


def _way(name: str, way: Quality) -> tuple[str, str, str, str]:
    return name, f"{way.answered:,}", estimate_text(way.mean), _priced(way)


def _priced(way: Quality) -> str:
    """Return what priced answers cost, and how many have no price."""
    if way.unpriced == way.answered:
        return "unpriced" if way.answered else ""
    return dollars(way.cost) + (f" and {way.unpriced:,} unpriced" if way.unpriced else "")


def estimate_text(estimate: Estimate | None) -> str:
    """Return a share with its interval."""
    if estimate is None:
        return ""
    return f"{estimate.value:.1%} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def points_text(estimate: Estimate | None) -> str:
    """Return a difference of shares in points, with its interval."""
    if estimate is None:
        return ""
    return f"{100 * estimate.value:+.1f} points ({100 * estimate.low:+.1f} to {100 * estimate.high:+.1f})"


def _expected_change(difference: Difference) -> str:
    """Return what is to be expected of both sides on the requests that are measured on both."""
    change = difference.expected_change
    if change is None or change.old is None or change.new is None or change.value is None:
        sides = f"{expected_line(difference.old_expected)} -> {expected_line(difference.new_expected)}"
        text = f"expected quality {sides}; no request is measured on both sides"
    else:
        interval = "" if change.low is None else f" ({100 * change.low:+.2f} to {100 * (change.high or 0.0):+.2f})"
        text = (
            f"expected quality {expected_line(change.old)} -> {expected_line(change.new)}: {100 * change.value:+.2f} "
            f"points{interval}"
        )
        if change.requests < difference.rows:
            text += f", for the {change.requests} of {difference.rows} requests that are measured on both sides"
    if change is not None and change.lost:
        (task, model), _ = change.lost.most_common(1)[0]
        of = f"the task `{task}`" if task else "no task"
        text += f"; {change.lost.total()} lose their measured quality, such as on `{model}` for {of}"
    return text + (f"; {change.gained} gain one" if change is not None and change.gained else "")


def _judged_line(result: Result) -> str:
    own = result.quality.get("policy")
    if own is None:
        return f"quality by recorded outcomes: not known, none of {result.judged} outcomes is of the policy's model"
    known = f" of {result.judged} with outcomes" if own.answered < result.judged else ""
    return f"quality by recorded outcomes {estimate_text(own.mean)}, for {own.answered} requests{known}"


def _judged_difference(difference: Difference) -> Iterator[str]:
    judged, alone = difference.judged, difference.half_judged
    more = f"; {alone} more have the outcome of one side alone" if alone else ""
    if judged.one.answered:
        sides = f"{estimate_text(judged.one.mean)} -> {estimate_text(judged.other.mean)}"
        yield (
            f"quality by recorded outcomes {sides}: {points_text(judged.difference)}, for the {judged.one.answered} "
            f"requests with the outcomes of both sides{more}"
        )
    elif alone:
        yield f"quality by recorded outcomes: no request has the outcomes of both sides{more}"


_SHOWN = 20


def difference_verdict(difference: Difference) -> str:
    """Return the summary in a line or two."""
    lines = [
        f"{difference.changed} of {difference.rows} requests are decided differently: {difference.newly_denied} newly "
        f"denied, {difference.newly_allowed} newly allowed",
        f"cost {dollars(difference.old_cost)} -> {dollars(difference.new_cost)}: {change(difference.delta)} "
        f"({share(difference.delta, difference.old_cost)})",
    ]
    if difference.old_expected is not None or difference.new_expected is not None:
        lines.append(_expected_change(difference))
    lines.extend(_judged_difference(difference))
    if difference.unpriced:
        lines.append(f"{difference.unpriced} requests lack a price on one side or both and are not in the cost")
    if difference.rejected:
        lines.append(f"{difference.rejected} rows were left out")
    return "\n".join(lines)


def difference_tables(difference: Difference) -> Iterator[SummaryTable]:
    """Yield the tables that are not empty."""
    if difference.causes:
        causes = sorted(difference.causes.items(), key=lambda item: -abs(item[1].delta))
        rows = [(cause, f"{group.requests:,}", change(group.delta)) for cause, group in causes]
        yield SummaryTable("Why the cost changes", ("cause", "requests", "cost"), rows, frozenset({1, 2}))
    if difference.groups:
        yield _groups(difference)
    if difference.worst:
        yield SummaryTable("Largest cost increases", ("row", "was", "is", "prompt tokens", "cost"), [
            _line(example) for example in difference.worst
        ], frozenset({3, 4}))  # fmt: skip
    denied = [
        (example.place, _short(old), _short(new), example.reason)
        for (old, new), group in difference.groups.items()
        if old.effect == "allow" != new.effect
        for example in group.examples
    ]
    if denied:
        yield SummaryTable("Newly denied, examples", ("row", "was", "is", "reason"), denied[:_SHOWN])


def _groups(difference: Difference) -> SummaryTable:
    groups = sorted(difference.groups.items(), key=lambda item: (-item[1].requests, item[0]))
    rows = [
        (_short(old), _short(new), f"{group.requests:,}", change(group.delta), group.examples[0].place)
        for (old, new), group in groups[:_SHOWN]
    ]
    title = "Decisions that change" + (f" (the first {_SHOWN} of {len(groups)})" if len(groups) > _SHOWN else "")
    return SummaryTable(title, ("was", "is", "requests", "cost", "for example"), rows, frozenset({2, 3}))


def _short(side: Side) -> str:
    return f"{side.model or side.effect} by {side.rule}"


def _line(example: Example) -> tuple[str, ...]:
    cost = "" if example.delta is None else change(example.delta)
    return example.place, _short(example.old), _short(example.new), f"{example.prompt_tokens:,}", cost


def as_json(summary: Summary) -> str:
    return json.dumps(summary.data(), indent=2, ensure_ascii=False)


def markdown(summary: Summary) -> str:
    """Return the whole summary; the assumptions are folded away, never left out."""
    parts = [f"### {summary.title}", "\n".join(f"- {_safe(line)}" for line in summary.verdict.splitlines())]
    parts.extend(_table(table) for table in summary.tables if table.rows)
    if noted := [f"- {_safe(note)}" for note in summary.notes]:
        parts.append("**Notes on the traffic**\n\n" + "\n".join(noted))
    if listed := "\n".join(f"- {_safe(line)}" for line in summary.assumptions):
        parts.append(f"<details><summary>Assumptions</summary>\n\n{listed}\n\n</details>")
    return "\n\n".join(parts) + "\n"


def _table(table: SummaryTable) -> str:
    rule = " | ".join("---:" if index in table.numbers else "---" for index in range(len(table.headings)))
    lines = [f"**{_safe(table.title)}**", "", f"| {' | '.join(table.headings)} |", f"| {rule} |"]
    lines += [f"| {' | '.join(_safe(cell) for cell in row)} |" for row in table.rows]
    return "\n".join(lines)


def _safe(text: str) -> str:
    """Keep text of a file or policy from being read as Markdown or HTML, or from mentioning people."""
    text = printable(" ".join(text.split())).replace("\\", "\\\\")
    for sign in "`*_[]|#":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b")


_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_LINES: Final = ("\t", "\r", "\n")
_PARTS: Final = re.compile(r"([;\t\r\n])")
_QUOTED: Final = re.compile(r"[\",;\t\r\n]|^\s|\s$")
_STARTS: Final = ("=", "+", "-", "@", "|", "%")
_BEFORE: Final = " \t\r\n\"'\u00a0\u200b\u200c\u200d\u2060\u3000"


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return lines of CSV.

    Text that a spreadsheet could take for a formula gets a leading apostrophe, which spreadsheets do not show. So does
    text after a semicolon, a tab or a newline, since these separate cells elsewhere. Numbers stay numbers.
    """
    return "".join(f"{','.join(map(_cell, row))}\n" for row in rows)


def _cell(value: object) -> str:
    text = str(value)
    if not _NUMBER.fullmatch(text):
        text = "".join(map(_no_formula, _PARTS.split(text)))
        if text[:1] in _LINES:
            text = f"'{text}"
    text = safe(text)
    return '"{}"'.format(text.replace('"', '""')) if _QUOTED.search(text) else text


def _no_formula(text: str) -> str:
    """Return a text that begins no formula, be it behind blanks and quotes or in full-width signs."""
    start = unicodedata.normalize("NFKC", text.lstrip(_BEFORE)[:1])
    return f"'{text}" if start.startswith(_STARTS) and not _NUMBER.fullmatch(text) else text
