"""What the ledger has recorded: calls summed up by half hour, provider, model and key, with what they would have cost.

Half hours, so that the same sums can be told apart by the days of any zone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Final, NamedTuple

from costlens_policy.catalogue import BUCKETS, Model, Usage
from costlens_policy.catalogue.versions import provider_named
from costlens_policy.frozen import frozen
from costlens_policy.guard.hold_facts import recorded_labels
from costlens_policy.invoice.lines import model_stem
from costlens_policy.ledger import Account, Entry, EntryQuery, Store, decimal_of
from costlens_policy.money import ZERO, add, per_million, usd
from costlens_policy.replay.traffic.cells import text_of
from costlens_policy.report import CallQuery, Prices, TrafficSource
from costlens_policy.report.calls import ReportedCall
from costlens_policy.usage import ServiceTerms, price_usage

__all__ = [
    "HALF_HOUR", "RECONCILED", "Cell", "Corrected", "Place", "Recorded", "Selection", "Tally", "call_cost",
    "call_usage", "entries_of", "read_logged", "read_recorded",
]  # fmt: skip

_PAGE: Final = 1000
HALF_HOUR: Final = 1800
"""Seconds."""
RECONCILED: Final = "reconciled"
"""The fact of a correction that says which cell of which invoice it corrects."""
_WRITES: Final = ("cache_write", "cache_write_1h")


class Cell(NamedTuple):
    """``half_hour`` counts from 1970 on. ``model`` is the stem of its name, ``key`` the label that is compared."""

    half_hour: int
    provider: str
    model: str
    key: str


@dataclass(slots=True)
class Tally:
    """What calls have in common that are in one cell. Amounts are in US dollars.

    ``repriced`` is what the calls whose usage is known would have cost in another way, by the way: at ``standard``
    prices, at those of ``tier NAME``, with ``writes free`` or ``writes as input``; ``known`` is what those calls were
    charged. ``by_kind`` is what their tokens cost by kind. ``charged`` is in the units of the accounts.
    """

    amount: Decimal = ZERO
    calls: int = 0
    usage: list[int] = field(default_factory=lambda: [0] * len(BUCKETS))
    unpriced: int = 0
    assumed: int = 0
    assumed_amount: Decimal = ZERO
    estimated: int = 0
    known: Decimal = ZERO
    repriced: dict[str, Decimal] = field(default_factory=dict)
    by_kind: dict[str, Decimal] = field(default_factory=dict)
    charged: dict[Account, int] = field(default_factory=dict)
    names: Counter[str] = field(default_factory=Counter)

    def include(self, other: Tally) -> None:
        """Add another tally to this one."""
        self.amount = add(self.amount, other.amount)
        self.calls += other.calls
        self.usage = list(map(int.__add__, self.usage, other.usage))
        self.unpriced += other.unpriced
        self.assumed += other.assumed
        self.assumed_amount = add(self.assumed_amount, other.assumed_amount)
        self.estimated += other.estimated
        self.known = add(self.known, other.known)
        self.names.update(other.names)
        _include(self.repriced, other.repriced)
        _include(self.by_kind, other.by_kind)
        for account, amount in other.charged.items():
            self.charged[account] = self.charged.get(account, 0) + amount


def _include(sums: dict[str, Decimal], more: Mapping[str, Decimal]) -> None:
    for name, amount in more.items():
        sums[name] = add(sums.get(name, ZERO), amount)


@frozen
class Corrected:
    """Corrections of one cell of an invoice on one account: their sum in femto-dollars, and how many there were."""

    amount: int = 0
    count: int = 0


class Place(NamedTuple):
    """A row of an agreement; what is not compared by is empty.

    Corrections are known by the day or, without one, the days of the invoice as ``first/last``, and by the provider or
    all of the invoice, as ``anthropic+openai``.
    """

    day: str = ""
    provider: str = ""
    model: str = ""
    key: str = ""


@frozen
class Recorded:
    """``corrections`` are by the row of an invoice and the name of the account that they correct; ``targets`` are what
    each row was corrected by in the end, in US dollars.
    """

    cells: Mapping[Cell, Tally]
    corrections: Mapping[tuple[Place, str], Corrected] = field(default_factory=dict)
    targets: Mapping[Place, Decimal] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    begins: datetime | None = None
    """When the first entry of a ledger was made; what came before was deleted, or never recorded."""


@frozen
class Selection:
    """Which calls are compared: of ``providers`` (all, where it is None), from ``since`` on, before ``until``.

    ``stems`` are models that count although their provider is not known. ``label`` is the fact or attribute that is the
    key of a call; empty where keys are not compared.
    """

    providers: frozenset[str] | None
    since: datetime
    until: datetime
    stems: frozenset[str] = frozenset()
    label: str = ""
    budget: str | None = None


def read_recorded(store: Store, prices: Prices, chosen: Selection, tick: Callable[[], None] | None = None) -> Recorded:
    """Read the charges and corrections of a ledger. Raises ``LedgerError``."""
    reader = _Reader(prices, chosen)
    for (kind, id), entries in groupby(entries_of(store, chosen), key=lambda entry: (entry.kind, entry.call)):
        if kind == "charge":
            reader.take(id, tuple(entry for entry in entries if entry.is_of_call))
        elif kind == "correct":
            for entry in entries:
                reader.take_correction(entry)
        if tick is not None:
            tick()
    first = store.entries(EntryQuery(limit=1)).items
    begins = first[0].at if first else None
    return Recorded(reader.cells, reader.corrections, reader.targets, tuple(reader.notes()), begins)


def read_logged(source: TrafficSource, prices: Prices, chosen: Selection) -> Recorded:
    """Read calls of logs, such as a decision log. Raises ``TrafficError``."""
    reader = _Reader(prices, chosen)
    dimensions = ("model", "provider", *([chosen.label] if chosen.label else []))
    read = source.read(CallQuery(dimensions, chosen.since, chosen.until), each=reader.take_logged)
    rejected = [f"{len(read.rejects):,} rows of the log cannot be read"] if read.rejects else []
    return Recorded(reader.cells, notes=(*read.notes, *reader.notes(), *rejected))


def entries_of(store: Store, chosen: Selection) -> Iterator[Entry]:
    """Yield charges of the time, and all later corrections."""
    query = EntryQuery(budget=chosen.budget, since=chosen.since, limit=_PAGE)
    while True:
        page = store.entries(query)
        yield from (entry for entry in page.items if entry.kind == "correct" or entry.at < chosen.until)
        if not page.next:
            return
        query = replace(query, after=page.next)


class _Reader:
    """Sums up calls."""

    def __init__(self, prices: Prices, chosen: Selection) -> None:
        self.cells: dict[Cell, Tally] = {}
        self.corrections: dict[tuple[Place, str], Corrected] = {}
        self.targets: dict[Place, Decimal] = {}
        self._prices = prices
        self._chosen = chosen
        self._seen: set[str] = set()
        self._stems: dict[str, str] = {}
        self._left_out: Counter[str] = Counter()
        self._by_hand = 0

    def notes(self) -> Iterator[str]:
        for provider, count in sorted(self._left_out.items()):
            whose = f"of `{provider}`" if provider else "of unknown providers"
            yield f"{count:,} calls {whose} are not part of what the invoice bills and are left out"
        if self._by_hand:
            yield f"{self._by_hand:,} other corrections name no day and model, and are not compared"

    def take(self, id: str, entries: tuple[Entry, ...]) -> None:
        """Count a call, which is charged on one budget or several."""
        if id in self._seen:
            return
        self._seen.add(id)
        first, facts = entries[0], entries[0].facts
        name, stated = str(facts.get("model") or ""), facts.get("provider")
        cell = self._cell(first.at, name, stated if isinstance(stated, str) else "", self._key(first))
        if cell is not None:
            self.cells.setdefault(cell, Tally()).include(self._tally(name, entries))

    def take_logged(self, call: ReportedCall) -> None:
        """Count a call of a log."""
        name, label = call.labels.get("model", ""), self._chosen.label
        key = call.labels.get(label, "") if label else ""
        cell = self._cell(call.time, name, call.labels.get("provider", ""), key)
        if cell is None or call.denied:
            return
        tally = Tally(call.cost or ZERO, 1, unpriced=call.cost is None)
        tally.names[name] += 1
        if call.usage is not None:
            self._count(tally, name, call.usage, call.time, call.cost, {})
        self.cells.setdefault(cell, Tally()).include(tally)

    def _cell(self, at: datetime, name: str, stated: str, key: str) -> Cell | None:
        """Return where a call counts; None where the invoice is not about its provider."""
        provider, stem = provider_named(stated or self._prices.provider(name) or ""), self._stem(name)
        chosen = self._chosen
        is_known = chosen.providers is None or provider in chosen.providers
        if is_known or (not provider and stem in chosen.stems):
            return Cell(int(at.timestamp()) // HALF_HOUR, provider, stem, key)
        self._left_out[provider] += 1
        return None

    def take_correction(self, entry: Entry) -> None:
        """Count what an earlier reading of an invoice has corrected."""
        about = entry.facts.get(RECONCILED)
        if not isinstance(about, Mapping):
            self._by_hand += 1
            return
        at = Place(*(str(about.get(name, "")) for name in Place._fields))
        known = self.corrections.get((at, entry.account.name), Corrected())
        self.corrections[at, entry.account.name] = Corrected(known.amount + entry.amount, known.count + 1)
        self.targets[at] = Decimal(str(about.get("target", "0")))

    def _stem(self, name: str) -> str:
        if name not in self._stems:
            self._stems[name] = model_stem(name)
        return self._stems[name]

    def _key(self, entry: Entry) -> str:
        label = self._chosen.label
        if label in ("", "key"):
            return entry.account.key if label else ""
        value = recorded_labels(entry.facts).get(label, entry.facts.get(label))
        return "" if value is None else text_of(value)

    def _tally(self, name: str, entries: tuple[Entry, ...]) -> Tally:
        first, facts = entries[0], entries[0].facts
        cost = call_cost(facts, entries)
        tally = Tally(cost or ZERO, 1, unpriced=cost is None or "cost_usd" not in facts)
        tally.names[name] += 1
        for entry in entries:
            if entry.account.unit == "usd" and not entry.account.is_beside:
                tally.charged[entry.account] = entry.amount
        basis = facts.get("basis")
        if basis == "assumed":
            tally.assumed, tally.assumed_amount = 1, cost or ZERO
        tally.estimated = int(basis == "estimated")
        usage = call_usage(facts)
        if usage is not None:
            self._count(tally, name, usage, first.at, cost, facts)
        return tally

    def _count(
        self, tally: Tally, name: str, usage: Usage, at: datetime, cost: Decimal | None, facts: Mapping[str, Any]
    ) -> None:
        tally.usage = list(usage)
        if cost is not None:
            tally.known = cost
            self._reprice(tally, self._prices.model(name), usage, at, facts)

    def _reprice(self, tally: Tally, model: Model | None, usage: Usage, at: datetime, facts: Mapping[str, Any]) -> None:
        period = None if model is None else model.period_at(at)
        if model is None or period is None:
            return
        geo, speed = facts.get("inference_geo"), facts.get("speed")
        ways = {"standard": (usage, None), **{f"tier {name}": (usage, name) for name in period.service_tiers}}
        if any(getattr(usage, bucket) for bucket in _WRITES):
            written = sum(getattr(usage, bucket) for bucket in _WRITES)
            free = usage._replace(cache_write=0, cache_write_1h=0)
            ways |= {"writes free": (free, None), "writes as input": (free._replace(input=usage.input + written), None)}
        for way, (tokens, tier) in ways.items():
            priced = price_usage(model, tokens, at, terms=ServiceTerms(tier, geo, speed)).cost
            if priced is not None:
                tally.repriced[way] = priced
        rates = period.rates_for(usage.prompt_tokens).usd_per_million_tokens
        tally.by_kind = {bucket: per_million(rates[bucket], count) for bucket, count in usage.counted.items()}


def call_cost(facts: Mapping[str, Any], entries: tuple[Entry, ...]) -> Decimal | None:
    """Return what a call cost as it was computed, else its largest charge in US dollars; None where it has neither."""
    stated = facts.get("cost_usd")
    if isinstance(stated, str):
        try:
            return usd(stated)
        except ValueError:
            pass
    return max((decimal_of(entry.amount, "usd") for entry in entries if entry.account.unit == "usd"), default=None)


def call_usage(facts: Mapping[str, Any]) -> Usage | None:
    found = facts.get("usage")
    if not isinstance(found, Mapping):
        return None
    counts = {name: found[name] for name in BUCKETS if name in found}
    return Usage(**counts) if all(type(count) is int and count >= 0 for count in counts.values()) else None
