"""Coverage by file and line, as tools for programs want it: rules are functions, and what they do are branches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from costlens_policy.frozen import frozen
from costlens_policy.testing.coverage import Item, Measure
from costlens_policy.testing.results import Run

__all__ = ["CoveredBranch", "CoveredFile", "CoveredLine", "files_of"]


@frozen
class CoveredBranch:
    """One way that a line may go, and how many cases took it; None where none came there at all."""

    taken: int | None


@frozen
class CoveredLine:
    """A line on which something can be covered. ``hits`` is the number of cases that came there.

    Both outcomes of a condition are a branch each, as are both values of an operand that has to decide, and each model,
    share, overflow and downgrade. ``blocks`` keeps those together that belong to one item.
    """

    number: int
    hits: int
    blocks: tuple[tuple[CoveredBranch, ...], ...]
    items: tuple[Item, ...]

    @property
    def branches(self) -> tuple[CoveredBranch, ...]:
        return tuple(branch for block in self.blocks for branch in block)

    @property
    def covered_branches(self) -> int:
        return sum(bool(branch.taken) for branch in self.branches)


@frozen
class CoveredFile:
    """A file with its lines in order. ``rules`` are its rules, thresholds and ways out."""

    name: str
    lines: tuple[CoveredLine, ...]

    @property
    def rules(self) -> tuple[Item, ...]:
        return tuple(item for line in self.lines for item in line.items if item.measure is Measure.RULES)

    @property
    def branches(self) -> tuple[CoveredBranch, ...]:
        return tuple(branch for line in self.lines for branch in line.branches)


def files_of(run: Run) -> tuple[CoveredFile, ...]:
    """Return the files of all policies, by name. A policy of several sets counts once; so do the cases of all of them.

    What no request can cover is left out.
    """
    found: dict[str, dict[int, dict[str, Item]]] = defaultdict(lambda: defaultdict(dict))
    for item in (item for coverage in run.coverage for item in coverage.items):
        if item.span is not None and item.counts:
            items = found[item.span.file][item.span.start.line]
            known = items.get(item.name)
            items[item.name] = item if known is None else _joined(known, item)
    return tuple(
        CoveredFile(name, tuple(_line(number, list(items.values())) for number, items in sorted(lines.items())))
        for name, lines in sorted(found.items())
    )


def _joined(one: Item, other: Item) -> Item:
    covered = one.covered or other.covered
    return replace(
        one,
        count=one.count + other.count,
        was_true=one.was_true + other.was_true,
        was_false=one.was_false + other.was_false,
        why="" if covered else one.why,
        missing=() if covered else one.missing,
        witnesses=() if covered else one.witnesses,
    )


def _line(number: int, items: Sequence[Item]) -> CoveredLine:
    rules = [item.count for item in items if item.measure is Measure.RULES]
    outcomes = [item.count for item in items if item.measure is Measure.CONDITIONS]
    shown = [item.was_true + item.was_false if item.measure is Measure.MCDC else item.count for item in items]
    hits = min(rules) if rules else sum(outcomes) if outcomes else max(shown)
    return CoveredLine(number, hits, tuple(_blocks(items)), tuple(items))


def _blocks(items: Iterable[Item]) -> Iterator[tuple[CoveredBranch, ...]]:
    outcomes = [item.count for item in items if item.measure is Measure.CONDITIONS]
    if outcomes:
        yield tuple(CoveredBranch(count if sum(outcomes) else None) for count in outcomes)
    for item in items:
        if item.measure is Measure.MCDC:
            yield (CoveredBranch(item.was_true), CoveredBranch(item.was_false))
        elif item.measure not in (Measure.RULES, Measure.CONDITIONS):
            yield (CoveredBranch(item.count),)
