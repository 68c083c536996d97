"""Rows of logs as calls in columns: what is plainly right of a batch; the rest is left to the reader of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from costlens_policy.catalogue import BUCKETS, Model, Usage
from costlens_policy.frozen import frozen
from costlens_policy.money import MAX_FRACTION_DIGITS, multiply, to_units, usd
from costlens_policy.replay.columns.batch import DAY, MINUTE, RECORDED, instant
from costlens_policy.replay.columns.units import steps_of
from costlens_policy.replay.stream.layout import PLAIN_COST, Layout
from costlens_policy.replay.stream.tables import RawBatch
from costlens_policy.report.calls import HIGH, LABEL, LIMB, LOW
from costlens_policy.report.prices import Prices
from costlens_policy.usage import USUAL_TERMS, Rate, ServiceTerms, period_of, rate_of

__all__ = ["REFUSED", "CallColumns", "PlainCalls"]

REFUSED: Final = frozenset({"1", "true", "yes", "deny", "denied", "refused", "blocked", "rejected"})
_PER_MICROSECOND: Final = {"latency_ms": 10**12, "latency_s": 10**9}
"""How many of the femto-units of a latency are a microsecond."""
_LAST: Final = 7_258_118_400_000_000
_MOST: Final = 2**62
_MOST_WIDE: Final = 2**126
_PER_MILLION_DIGITS: Final = MAX_FRACTION_DIGITS - 6
_PLAIN_AMOUNT: Final = f"^{PLAIN_COST.pattern}$"


@frozen
class PlainCalls:
    """``frame`` has the calls of a batch that are plainly right as ``calls.Columns`` holds them.

    ``plain`` says which rows were plainly right, be they in the time range or not, and ``ids`` are the hashes of their
    ids; so many of them are ``silent``, and so many times are ``zoneless``.
    """

    frame: pl.DataFrame
    plain: pl.Series
    ids: pl.Series
    silent: int
    zoneless: int


@dataclass(slots=True)
class CallColumns:
    """Reads batches of one file. ``columns`` are those of labels and of what only reports read, by field.

    What is counted on the way: ``counts`` as a source has them, ``unpriced`` calls by model, ``doubts`` by note, and
    ``named`` the names of models that were priced, with the providers that the log names for them.
    """

    layout: Layout
    columns: Mapping[str, tuple[str, ...]]
    constants: Mapping[str, str]
    dimensions: Sequence[str]
    prices: Prices
    costs: str
    baseline: Model | None
    counts: Counter[str] = field(default_factory=Counter)
    unpriced: Counter[str | None] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)
    named: dict[tuple[str, str | None], None] = field(default_factory=dict)
    shows_denials: bool = False

    def calls(self, batch: RawBatch, repeated: pl.Series | None, since: int | None, until: int | None) -> PlainCalls:
        """Return the calls of a batch. Rows whose ids have a hash in ``repeated`` are none of them.

        Calls outside of a time range are counted as ``outside``, and nothing else of them is.
        """
        fields, plain = self.layout.split(batch, 0)
        extra = {value.meta.output_name(): value for value in self._extra()}
        every = batch.frame.with_columns(**extra).select(*extra).get_columns() if extra else []
        fields = fields.with_columns(every)
        plain = plain & self._is_plain(fields)
        ids = fields["id"].hash()
        if repeated is not None:
            plain = plain & ~(fields["id"].is_not_null() & ids.is_in(repeated.implode()))
        rows = fields.filter(plain)
        kept = ids.filter(plain & fields["id"].is_not_null())
        silent, zoneless = int((rows["output"] == 0).sum()), self.layout.zoneless(batch.frame.filter(plain))
        within = pl.col("time") >= (since if since is not None else 0)
        if until is not None:
            within &= pl.col("time") < until
        inside = rows.filter(within)
        self.counts["outside"] += rows.height - inside.height
        return PlainCalls(self._frame(inside), plain, kept, silent, zoneless)

    def _extra(self) -> Iterator[pl.Expr]:
        """Yield what only reports read: labels as texts, amounts as two columns each, and the end of the call."""
        for name in self.dimensions:
            if name != "model":
                value, constant = self._text(name), self.constants.get(name)
                yield (value if constant is None else pl.coalesce(value, pl.lit(constant))).alias(f"{LABEL}{name}")
        for name in ("latency_ms", "latency_s", "baseline_cost"):
            if self.columns.get(name):
                yield self._text(name).alias(f"_{name}")
        if self.columns.get("denied"):
            yield self._text("denied").alias("_denied")
        if self.columns.get("end_time"):
            column = self.columns["end_time"][0]
            yield self.layout.instant(column).alias("_end")
            yield (pl.col(column).is_not_null() & (pl.col(column).cast(pl.String) != "")).alias("_ends")

    def _text(self, name: str) -> pl.Expr:
        texts = [pl.col(option).cast(pl.String) for option in self.columns.get(name, ())]
        return pl.coalesce(*(pl.when(text != "").then(text) for text in texts)) if texts else pl.lit(None, pl.String)

    def _is_plain(self, rows: pl.DataFrame) -> pl.Series:
        """Return which rows have nothing that only the reader of rows understands."""
        wrong = [pl.lit(False)]
        for name in ("_latency_ms", "_latency_s", "_baseline_cost"):
            if name in rows.columns:
                wrong.append(pl.col(name).is_not_null() & ~pl.col(name).str.contains(_PLAIN_AMOUNT))
        if "_denied" in rows.columns:
            self.shows_denials = self.shows_denials or rows["_denied"].null_count() < rows.height
            word = pl.col("_denied").str.strip_chars().str.to_lowercase()
            wrong.append(word.is_in(list(REFUSED)).fill_null(False))
        if "_ends" in rows.columns:
            after = pl.col("_end").is_between(pl.col("time"), _LAST, closed="left").fill_null(False)
            wrong.append(pl.col("_ends") & ~after)
        return rows.with_columns((~pl.any_horizontal(wrong)).alias("_right"))["_right"]

    def _frame(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return rows as calls."""
        known = pl.col("_cached_tokens").is_not_null()
        cached = pl.col(f"{RECORDED}cache_read") if f"{RECORDED}cache_read" in rows.columns else pl.lit(0, pl.Int64)
        rows = rows.with_columns(known.alias("_cache_known"))
        money = self._money(rows)
        labels = self._labels(rows)
        return rows.select(
            "time", pl.lit(False).alias("denied"), pl.col("prompt").alias("input"),
            pl.when(known).then(cached).alias("cached"), "output", self._latency(rows.columns),
        ).with_columns(*money.get_columns(), *labels)  # fmt: skip

    def _latency(self, columns: Sequence[str]) -> pl.Expr:
        found = []
        for name, size in _PER_MICROSECOND.items():
            if f"_{name}" in columns:
                high, _ = _limbs_of(pl.col(f"_{name}"))
                found.append((high // size).cast(pl.Int64))
        if "_end" in columns:
            found.append(pl.col("_end") - pl.col("time"))
        return (pl.coalesce(*found) if found else pl.lit(None, pl.Int64)).alias("latency")

    def _labels(self, rows: pl.DataFrame) -> Iterator[pl.Series]:
        for name in self.dimensions:
            if name == "model":
                label = rows["model"]
            elif name == "provider":
                label = self._providers(rows)
            else:
                label = rows[f"{LABEL}{name}"]
            yield label.cast(pl.Categorical).alias(f"{LABEL}{name}")

    def _providers(self, rows: pl.DataFrame) -> pl.Series:
        given = rows[f"{LABEL}provider"]
        names = [name for name in rows["model"].unique().to_list() if name is not None]
        by_name = {name: provider for name in names if (provider := self.prices.provider(name)) is not None}
        if not by_name:
            return given
        own = rows["model"].replace_strict(by_name, default=None, return_dtype=pl.String)
        return pl.select(pl.coalesce(given, own)).to_series()

    def _money(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the two columns each of the cost, the baseline and what was held."""
        stated = _written_out(rows["cost"].cast(pl.String))
        by_log = stated.is_not_null() if self.costs != "computed" else pl.repeat(False, rows.height, eager=True)
        self.counts["recorded"] += int(by_log.sum())
        columns = pl.DataFrame([stated.alias("stated")]).select(
            *(limb.alias(f"stated{part}") for limb, part in zip(_limbs_of(pl.col("stated")), (HIGH, LOW), strict=True))
        )
        priced = self._priced(rows, by_log)
        both = pl.concat([columns, priced, pl.DataFrame([by_log.alias("by log")])], how="horizontal")
        cost = [
            pl.when(pl.col("by log")).then(pl.col(f"stated{part}")).otherwise(pl.col(f"computed{part}")).cast(kind)
            .alias(f"cost{part}") for part, kind in _KINDS
        ]  # fmt: skip
        return both.select(*cost, *(pl.col(f"baseline{part}").cast(kind) for part, kind in _KINDS),
                           *(pl.lit(None, kind).alias(f"held{part}") for part, kind in _KINDS))  # fmt: skip

    def _priced(self, rows: pl.DataFrame, by_log: pl.Series) -> pl.DataFrame:
        """Return what the calls cost at the prices of their time, where the log does not say, and at the baseline."""
        groups, places = self._alike(rows, by_log)
        computed, baseline = list[Rate | None](), list[Rate | None]()
        for group in groups.iter_rows(named=True):
            computed.append(None if group["_by_log"] else self._computed(group))
            terms = ServiceTerms.of(group["tier"])
            baseline.append(None if self.baseline is None else _rate(self.baseline, group, terms))
        if self.baseline is None and "_baseline_cost" in rows.columns:
            limbs = zip(_limbs_of(pl.col("_baseline_cost")), _KINDS, strict=True)
            other = rows.select(limb.alias(f"baseline{part}") for limb, (part, _) in limbs).get_columns()
        else:
            other = _cost(rows, places, baseline, "baseline")
            window = None if self.baseline is None else self.baseline.context_window
            if window is not None:
                fits = rows["prompt"] + rows["output"] <= window
                other = [pl.select(pl.when(fits).then(item)).to_series().alias(item.name) for item in other]
        return pl.DataFrame([*_cost(rows, places, computed, "computed"), *other])

    def _alike(self, rows: pl.DataFrame, by_log: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
        """Return groups of rows with the same prices, and the group of each row."""
        provider = f"{LABEL}provider"
        given = (
            rows[provider] if provider in rows.columns else pl.repeat(None, rows.height, dtype=pl.String, eager=True)
        )
        tier = rows["tier"] if "tier" in rows.columns else pl.repeat(None, rows.height, dtype=pl.String, eager=True)
        keys = pl.DataFrame([rows["model"], given.alias("_given"), tier.alias("tier"), by_log.alias("_by_log"),
                             (rows["time"] // DAY).alias("_day")])  # fmt: skip
        models = [self.prices.model(name, provider) for name, provider in
                  keys.select("model", "_given").unique().iter_rows() if name is not None]  # fmt: skip
        starts, minutes = steps_of([model for model in (*models, self.baseline) if model is not None])
        keys = keys.with_columns(
            pl.Series(starts, dtype=pl.Int64).search_sorted(rows["prompt"], "left").alias("_segment"),
            pl.Series(minutes, dtype=pl.Int64).search_sorted(rows["time"] % DAY // MINUTE, "right").alias("_part"),
        )
        names = keys.columns
        every = keys.with_columns(rows["time"], rows["prompt"], rows["_cache_known"])
        groups = every.group_by(names, maintain_order=True).agg(
            pl.col("time", "prompt").first(), pl.len().alias("rows"), (~pl.col("_cache_known")).sum().alias("uncached")
        ).with_row_index("_place")  # fmt: skip
        places = keys.join(groups.select(*names, "_place"), on=names, how="left", nulls_equal=True,
                           maintain_order="left")["_place"]  # fmt: skip
        return groups, places

    def _computed(self, group: Mapping[str, Any]) -> Rate | None:
        """Return at which rates calls that are alike are priced; count them."""
        name, rows = group["model"], group["rows"]
        if self.costs == "recorded":
            self.counts["unstated"] += rows
            return None
        model, terms = (
            None if name is None else self.prices.model(name, group["_given"]),
            ServiceTerms.of(group["tier"]),
        )
        rate = None if model is None else _rate(model, group, terms)
        if rate is None:
            self.unpriced[name] += rows
            return None
        if rate.note:
            self.doubts[rate.note] += rows
        self.counts["computed"] += rows
        self.counts["tiered"] += rows if terms != USUAL_TERMS else 0
        self.counts["uncached"] += group["uncached"]
        self.named.setdefault((name or "", group["_given"]))
        return rate


_KINDS: Final = ((HIGH, pl.Int128), (LOW, pl.Int64))


def _rate(model: Model, group: Mapping[str, Any], terms: ServiceTerms) -> Rate | None:
    """Return the rates of calls that are alike, by the first of them."""
    period = period_of(model, instant(group["time"]))
    return None if period is None else rate_of(model, period, Usage(input=group["prompt"]), terms)


def _cost(rows: pl.DataFrame, places: pl.Series, rates: Sequence[Rate | None], name: str) -> list[pl.Series]:
    """Return what calls come to, each at the rates of its group, as two columns."""
    if not any(rates):
        return [pl.repeat(None, rows.height, dtype=kind, eager=True).alias(f"{name}{part}") for part, kind in _KINDS]
    units = [None if rate is None else _units_of(rate) for rate in rates]
    known = [item for item in units if item is not None]
    whole = all(not amount % LIMB for item in known for amount in item)
    divisor = LIMB if whole else 1
    tokens = _tokens(rows)
    longest = int(rows.select(pl.max_horizontal("prompt", "output").max()).item() or 0)
    most = max(sum(item[:-1]) * longest + item[-1] for item in known) // divisor
    assert most < _MOST_WIDE, "a call of so many tokens is not plain"
    kind = pl.Int64 if whole and most < _MOST else pl.Int128
    cost = pl.lit(0, kind)
    for place, bucket in enumerate((*BUCKETS, "request")):
        count = pl.lit(1) if bucket == "request" else tokens.get(bucket)
        if count is None or not any(item[place] for item in known):
            continue
        each = pl.Series([None if item is None else item[place] // divisor for item in units], dtype=kind)
        cost = cost + pl.lit(each.gather(places)) * count.cast(kind)
    priced = pl.Series([item is not None for item in units], dtype=pl.Boolean).gather(places)
    cost = pl.when(priced).then(cost)
    high, low = (cost, cost * 0) if whole else (cost // LIMB, cost % LIMB)
    found = rows.select(high.cast(pl.Int128).alias(f"{name}{HIGH}"), low.cast(pl.Int64).alias(f"{name}{LOW}"))
    return found.get_columns()


def _units_of(rate: Rate) -> tuple[int, ...]:
    """Return what a token of each bucket costs, and the request itself, in units of 1e-30 US dollars."""
    prices, multiple = rate.rates.usd_per_million_tokens, rate.multiple
    tokens = (to_units(multiply(prices[bucket], multiple), _PER_MILLION_DIGITS) for bucket in BUCKETS)
    return *tokens, to_units(rate.rates.usd_per_request, MAX_FRACTION_DIGITS)


def _tokens(rows: pl.DataFrame) -> dict[str, pl.Expr]:
    """Return the tokens of each bucket that any call has; without parts, the prompt is input."""
    usual = {"input": pl.col("prompt"), "output": pl.col("output")}
    recorded = {name.removeprefix(RECORDED): pl.col(name) for name in rows.columns if name.startswith(RECORDED)}
    return usual | {
        name: pl.coalesce(column, usual.get(name, pl.lit(0, pl.Int64))) for name, column in recorded.items()
    }


def _written_out(texts: pl.Series) -> pl.Series:
    """Return amounts without exponents."""
    short = texts.filter(texts.str.contains("e", literal=True)).unique()
    return (
        texts.replace(short, pl.Series([f"{usd(text):f}" for text in short], dtype=pl.String)) if len(short) else texts
    )


def _limbs_of(text: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return amounts that are plain decimal texts in femto-units, and what remains of them in units of 1e-30."""
    whole, fraction = text.str.extract(r"^([0-9]+)"), text.str.extract(r"\.([0-9]+)$").fill_null("")
    digits = fraction.str.pad_end(MAX_FRACTION_DIGITS, "0")
    high = whole.cast(pl.Int128) * LIMB + digits.str.slice(0, 15).cast(pl.Int128)
    return high, pl.when(text.is_not_null()).then(digits.str.slice(15, 15).cast(pl.Int64))
