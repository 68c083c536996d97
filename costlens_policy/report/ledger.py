"""Calls of a ledger: what was charged, for which model, by which rule, for whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from costlens_policy.catalogue import BUCKETS, Model, Usage
from costlens_policy.ledger import Entry, EntryQuery, Store, decimal_of
from costlens_policy.money import ZERO, add, format_usd, usd
from costlens_policy.replay.traffic.cells import text_of
from costlens_policy.report.calls import CallQuery, Columns, Read, ReportedCall
from costlens_policy.report.prices import Prices

__all__ = ["LedgerSource"]

_PAGE: Final = 1000
_NO_LABELS: Final = frozenset({"cost_usd", "problem", "policy", "shape"})
"""Facts that are texts, but nothing that a reader would group by."""


@dataclass(slots=True)
class LedgerSource:
    """A ledger, whole or for one budget or key. ``baseline`` is a model that all calls are priced at, too."""

    store: Store
    name: str
    prices: Prices
    budget: str | None = None
    key: str | None = None
    baseline: Model | None = None
    counts: Counter[str] = field(default_factory=Counter)
    changed: dict[str, Decimal] = field(default_factory=dict)
    """What manual adjustments have changed in US dollars, by their kind."""
    labels: set[str] = field(default_factory=set)

    def read(self, asked: CallQuery, tick: Callable[[], None] | None = None) -> Read:
        """Read the history. Raises ``LedgerError``."""
        columns, seen = Columns(asked.dimensions), set[str]()
        for id, entries in groupby(self._charges(asked), key=lambda entry: entry.call):
            if id in seen:  # a call on several budgets is one call
                continue
            seen.add(id)
            columns.add(self._call(tuple(entries)))
            if tick is not None:
                tick()
        return Read(
            source=self.name,
            frame=columns.close(),
            dimensions=asked.dimensions,
            notes=tuple(self._notes()),
            assumptions=tuple(self._assumptions()),
            denials_known=False,
            baseline="" if self.baseline is None else self.baseline.name,
            labels=frozenset(self.labels),
        )

    def _charges(self, asked: CallQuery) -> Iterator[Entry]:
        query = EntryQuery(budget=self.budget, key=self.key, since=asked.since, until=asked.until, limit=_PAGE)
        while True:
            page = self.store.entries(query)
            for entry in page.items:
                if entry.account.is_beside:
                    continue
                if entry.is_of_call:
                    yield entry
                elif entry.kind in ("set", "correct"):
                    self.counts[entry.kind] += 1
                    if entry.account.unit == "usd":
                        changed = decimal_of(entry.amount, "usd")
                        self.changed[entry.kind] = add(self.changed.get(entry.kind, ZERO), changed)
            if not page.next:
                return
            query = replace(query, after=page.next)

    def _call(self, entries: tuple[Entry, ...]) -> ReportedCall:
        first, facts = entries[0], entries[0].facts
        self.counts["twice"] += len(entries) - 1
        self.counts["calls"] += 1
        self.counts[f"basis {facts.get('basis')}"] += 1
        self.counts["others"] += "other_models" in facts
        usage = self._usage(facts)
        own = facts.get("attributes")
        labels = {name: text_of(value) for name, value in own.items()} if isinstance(own, Mapping) else {}
        labels |= {name: value for name, value in facts.items() if isinstance(value, str)}
        labels |= {"budget": first.account.budget, "key": first.account.key}
        model = labels.get("model")
        if model is not None and "provider" not in labels and (provider := self.prices.provider(model)) is not None:
            labels["provider"] = provider
        self.labels.update(labels.keys() - _NO_LABELS)
        baseline = None
        if self.baseline is not None and usage is not None:
            baseline = self.prices.baseline(self.baseline, usage, first.at)
        cost = self._cost(entries)
        return ReportedCall(first.at, labels, usage, usage is not None, cost, baseline, held=_held(entries))

    def _usage(self, facts: Mapping[str, Any]) -> Usage | None:
        found = facts.get("usage")
        if not isinstance(found, Mapping):
            self.counts["no usage"] += 1
            return None
        counts = {name: found[name] for name in BUCKETS if name in found}
        if any(type(count) is not int or count < 0 for count in counts.values()):
            self.counts["no usage"] += 1
            return None
        return Usage(**counts)

    def _cost(self, entries: tuple[Entry, ...]) -> Decimal | None:
        """Return what a call cost: as it was computed when it was charged, else the largest charge in US dollars."""
        stated = entries[0].facts.get("cost_usd")
        if isinstance(stated, str):
            try:
                return usd(stated)
            except ValueError:
                self.counts["odd cost"] += 1
        self.counts["by charge"] += 1
        return max((decimal_of(e.amount, "usd") for e in entries if e.account.unit == "usd"), default=None)

    def _notes(self) -> Iterator[str]:
        if self.counts["twice"]:
            yield f"{self.counts['twice']:,} further charges of the same calls on other budgets were counted once"
        if self.counts["no usage"]:
            yield f"{self.counts['no usage']:,} charges report no tokens; their cost counts, their tokens do not"
        if self.counts["others"]:
            yield f"{self.counts['others']:,} calls used further models; their cost counts toward the requested model"
        for kind, what in (("set", "manual adjustments"), ("correct", "corrections")):
            if self.counts[kind]:
                changed = format_usd(self.changed.get(kind, ZERO))
                yield f"{self.counts[kind]:,} {what} ({changed}) are not calls and not part of the spend"
        yield "a ledger keeps what was charged: denied requests and latencies are not recorded there"
        yield "holds that were given back, or whose lease has ended without a charge, are not part of what was held"
        if self.budget is None and self.key is None:
            yield "calls that count against no budget are not in the ledger"

    def _assumptions(self) -> Iterator[str]:
        yield "the cost of a call is the one computed when it was charged, at the prices of its day"
        for basis, meaning in (
            ("estimated", "counted by the guard, since no usage was reported"),
            ("assumed", "the worst case"),
        ):
            if count := self.counts[f"basis {basis}"]:
                yield f"the cost of {count:,} calls is {basis}: {meaning}"
        if self.counts["by charge"]:
            yield f"the cost of {self.counts['by charge']:,} calls is their largest charge in US dollars"


def _held(entries: tuple[Entry, ...]) -> Decimal | None:
    """Return what was held for a call in US dollars: the most on any budget; None where nothing was."""
    held = max((entry.was_held for entry in entries if entry.account.unit == "usd"), default=0)
    return decimal_of(held, "usd") if held else None
