"""A replay's result as tables."""

from __future__ import annotations

from collections.abc import Iterator

from costlens_policy.money import total
from costlens_policy.replay.report.table import Table, change, dollars, share
from costlens_policy.replay.result import Result

__all__ = ["result_tables", "result_verdict"]

_WHY = {
    "access": "a rule denies",
    "budget": "no room in a budget",
    "unservable": "no model can serve it",
    "error": "an expression failed",
}


def result_verdict(result: Result) -> str:
    """Return the answer in a line or two."""
    low, high = result.cost_range()
    swing = f"{result.settings.output_range:.0%}"
    lines = [
        f"{result.rows} requests: {sum(result.allowed.values())} allowed, {sum(result.denied.values())} denied, "
        f"{result.rejected} rows left out",
        f"cost {dollars(result.cost)} ({dollars(low)} to {dollars(high)} with answers {swing} shorter or longer)",
    ]
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
        lines.append(f"the log itself states {dollars(result.logged_cost)} for {result.logged} requests")
    if result.longer:
        lines.append(f"{result.longer} recorded answers are longer than the output limit of the call; priced in full")
    return "\n".join(lines)


def result_tables(result: Result) -> Iterator[Table]:
    """Yield the tables that have something to say."""
    yield Table(
        "Models",
        ("model", "requests", "prompt tokens", "of them cached", "output tokens", "cost", "unpriced"),
        [
            (name, f"{tally.requests:,}", f"{tally.prompt_tokens:,}", f"{tally.cached_tokens:,}",
             f"{tally.output_tokens:,}", dollars(tally.cost), str(tally.unpriced or ""))
            for name, tally in sorted(result.models.items(), key=lambda item: -item[1].cost)
        ],
        frozenset(range(1, 7)),
    )  # fmt: skip
    rules = [(rule, "allowed", f"{count:,}") for rule, count in result.allowed.most_common()]
    rules += [(rule, f"denied: {_WHY[why]}", f"{count:,}") for (rule, why), count in result.denied.most_common()]
    yield Table("Rules", ("rule", "outcome", "requests"), rules, frozenset({2}))
    if result.quality:
        yield _quality(result)
    if result.alerts:
        rows = [(item["time"], item["budget"], item["key"], item["text"]) for item in result.alerts]
        yield Table(f"Alerts ({result.alert_count})", ("first due", "budget", "for", "alert"), rows)
    for title, counts in (
        ("Rewrites", result.rewrites),
        ("Failures of expressions", result.errors),
        ("Recorded models without a price or too small for the request", result.unknown_models),
    ):
        if counts:
            rows2 = [(name, f"{count:,}") for name, count in counts.most_common(20)]
            yield Table(title, ("what", "requests"), rows2, frozenset({1}))


def _quality(result: Result) -> Table:
    rows = [
        (name, f"{way.answered:,}", f"{way.right / way.answered:.2%}" if way.answered else "", dollars(way.cost))
        for name, way in result.quality.items()
    ]
    headings = ("who answers", "requests", "right", "cost")
    return Table("Quality beside cost, from recorded outcomes", headings, rows, frozenset({1, 2, 3}))
