"""A difference of two policy sets as tables."""

from __future__ import annotations

from collections.abc import Iterator

from costlens_policy.replay.difference import Difference, Example, Side
from costlens_policy.replay.report.table import Table, change, dollars, share

__all__ = ["difference_tables", "difference_verdict"]

_SHOWN = 20


def difference_verdict(difference: Difference) -> str:
    """Return the answer in a line or two."""
    lines = [
        f"{difference.changed} of {difference.rows} requests decide differently: {difference.newly_denied} newly "
        f"denied, {difference.newly_allowed} newly allowed",
        f"cost {dollars(difference.old_cost)} -> {dollars(difference.new_cost)}: {change(difference.delta)} "
        f"({share(difference.delta, difference.old_cost)})",
    ]
    if difference.unpriced:
        lines.append(f"{difference.unpriced} requests lack a price on one side or both and are not in the cost")
    if difference.rejects:
        lines.append(f"{len(difference.rejects)} rows were left out")
    return "\n".join(lines)


def difference_tables(difference: Difference) -> Iterator[Table]:
    """Yield the tables that have something to say."""
    if difference.causes:
        causes = sorted(difference.causes.items(), key=lambda item: -abs(item[1].delta))
        rows = [(cause, f"{group.requests:,}", change(group.delta)) for cause, group in causes]
        yield Table("Why the cost changes", ("cause", "requests", "cost"), rows, frozenset({1, 2}))
    if difference.groups:
        yield _groups(difference)
    if difference.worst:
        yield Table("Dearer by most", ("row", "was", "is", "prompt tokens", "cost"), [
            _line(example) for example in difference.worst
        ], frozenset({3, 4}))  # fmt: skip
    denied = [
        (example.place, _short(old), _short(new), example.reason)
        for (old, new), group in difference.groups.items()
        if old.effect == "allow" != new.effect
        for example in group.examples
    ]
    if denied:
        yield Table("Newly denied, for example", ("row", "was", "is", "reason"), denied[:_SHOWN])


def _groups(difference: Difference) -> Table:
    groups = sorted(difference.groups.items(), key=lambda item: (-item[1].requests, item[0]))
    rows = [
        (_short(old), _short(new), f"{group.requests:,}", change(group.delta), group.examples[0].place)
        for (old, new), group in groups[:_SHOWN]
    ]
    title = "Decisions that change" + (f" (the first {_SHOWN} of {len(groups)})" if len(groups) > _SHOWN else "")
    return Table(title, ("was", "is", "requests", "cost", "for example"), rows, frozenset({2, 3}))


def _short(side: Side) -> str:
    return f"{side.model or side.effect} by {side.rule}"


def _line(example: Example) -> tuple[str, ...]:
    cost = "" if example.delta is None else change(example.delta)
    return example.place, _short(example.old), _short(example.new), f"{example.prompt_tokens:,}", cost
