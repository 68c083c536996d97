"""What a decided batch costs, summed by model, day and price, and what turns of a session read from its cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
from polars.dataframe.group_by import GroupBy

from costlens_policy.catalogue.rates import BUCKETS
from costlens_policy.compiler.plan import Plan
from costlens_policy.money import add, total, usd
from costlens_policy.replay.columns.batch import DAY, MINUTE, RECORDED, recorded_in
from costlens_policy.replay.columns.deciding import Facts, FactsTable
from costlens_policy.replay.columns.sums import Sums
from costlens_policy.replay.columns.units import UnitPrice, UnitPrices
from costlens_policy.replay.settings import Settings

__all__ = ["HELD", "Pricing", "SessionCaches", "cached", "lifetime_of"]

_PROMPT: Final = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "input_audio",
    "cache_read_audio",
    "input_image",
)
_CACHED: Final = ("cache_read", "cache_read_audio")
_ANSWER: Final = ("output", "reasoning", "output_audio", "output_image")
_NO_TEXT: Final = ("input_audio", "cache_read_audio", "input_image", "reasoning", "output_audio", "output_image")
_TOLD: Final = ("tier", "others")
_NONE: Final = pl.lit(0, pl.Int64)
_MOST_UNITS: Final = 2**110
"""Sums over a batch stay within 128 bits, also in the units of another plan."""


class Pricing:
    """Prices batches and counts them. ``recorded`` are the caches of the recorded models."""

    __slots__ = ("_facts", "_plan", "_prices", "_settings", "_write", "recorded")

    def __init__(
        self, plan: Plan, settings: Settings, facts: FactsTable, prices: UnitPrices, recorded: SessionCaches
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._facts = facts
        self._prices = prices
        self._write = "cache_write_1h" if settings.long_lived else "cache_write"
        self.recorded = recorded

    def settle(self, frame: pl.DataFrame, sums: Sums) -> None:
        """Count a batch.

        Beside the batch's own columns it has ``_code`` of its facts, and ``_chosen``, ``_sent`` and ``_read``: the
        model, the tokens of the prompt as sent, and those of them that are read from a cache.
        """
        frame = self._with_baseline(frame)
        buckets = recorded_in(frame.columns)
        served = self._buckets(buckets, "_chosen", "_sent", "_read")
        before = self._buckets(buckets, "_base", "prompt", "_base_read")
        groups = self._priced_alike(frame).agg(
            pl.len().alias("rows"),
            pl.col("_longer").sum().alias("longer"),
            pl.col("_sent").first().alias("length"),
            pl.col("prompt").first().alias("base length"),
            *(value.sum().alias(f"served {name}") for name, value in served.items()),
            *(value.sum().alias(f"before {name}") for name, value in before.items()),
        )
        for group in groups.iter_rows(named=True):
            self._count(group, tuple(served), sums)
        if "cost" in frame.columns:
            _count_logged(frame["cost"], sums)

    def costs(self, frame: pl.DataFrame) -> pl.Series:
        """Return what each call costs in units, null where its model has no price, or no model serves it.

        The batch is as ``settle`` takes it. Raises ``OverflowError`` for costs beyond every call.
        """
        buckets = self._buckets(recorded_in(frame.columns), "_chosen", "_sent", "_read")
        keyed, keys = self._price_keys(frame.with_columns(pl.lit(None, pl.String).alias("_base")))
        groups = keyed.group_by(keys, maintain_order=True).agg(pl.col("_sent").first()).with_row_index("_group")
        found = keyed.select(keys).join(groups, on=keys, how="left", nulls_equal=True, maintain_order="left")["_group"]
        prices = [self._group_price(group) for group in groups.iter_rows(named=True)]
        longest = int(frame.select(pl.max_horizontal("_sent", "output").max()).item())
        most = max(
            (sum(price.per_token.values()) * longest + fixed for price, fixed in filter(None, prices)), default=0
        )
        if most >= _MOST_UNITS:
            raise OverflowError
        cost = pl.lit(pl.Series([item and item[1] for item in prices], dtype=pl.Int128).gather(found))
        for name, tokens in buckets.items():
            each = pl.Series([item and item[0].per_token[name] for item in prices], dtype=pl.Int128)
            cost = cost + pl.lit(each.gather(found)) * tokens.cast(pl.Int128)
        return frame.select(cost.alias("_cost"))["_cost"]

    def weighed(self, frame: pl.DataFrame, weights: Mapping[str, int]) -> pl.Series:
        """Return what the tokens of each call come to, each at the weight of its kind; the batch is as for ``costs``.

        Raises ``OverflowError`` for amounts beyond every call.
        """
        buckets = self._buckets(recorded_in(frame.columns), "_chosen", "_sent", "_read")
        longest = int(frame.select(pl.max_horizontal("_sent", "output").max()).item())
        if sum(weights[name] for name in buckets) * longest >= _MOST_UNITS:
            raise OverflowError
        parts = (pl.lit(weights[name], pl.Int128) * tokens.cast(pl.Int128) for name, tokens in buckets.items())
        return frame.select(sum(parts, pl.lit(0, pl.Int128)).alias("_weighed"))["_weighed"]

    def _group_price(self, group: Mapping[str, Any]) -> tuple[UnitPrice, int] | None:
        """Return the price of calls that are priced alike, and what each costs beside its tokens."""
        model = self._facts[group["_code"]].winner
        price = None if model is None else self._price(model.model, group, group["_sent"])
        if price is None or model is None:
            return None
        others = group.get("others")
        more = 0
        if others is not None:
            day, minute, tier = group["_day"], group.get("_minute", 0), group.get("tier")
            more = self._prices.of_others(others, model.model, day, minute, tier)
        return price, price.per_request + more

    def _priced_alike(self, frame: pl.DataFrame) -> GroupBy:
        """Group the rows that have the same facts and prices, on both sides."""
        keyed, keys = self._price_keys(frame)
        return keyed.group_by(*keys, maintain_order=True)

    def _price_keys(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
        """Add what prices depend on; return the names of these columns, too."""
        limits = pl.Series([facts.winner.limit if facts.winner else 0 for facts in self._facts.rows], dtype=pl.Int64)
        starts = pl.Series(self._prices.starts, dtype=pl.Int64)
        keyed = frame.with_columns(
            (pl.col("time") // DAY).alias("_day"),
            starts.search_sorted(frame["_sent"], "left").alias("_segment"),
            starts.search_sorted(frame["prompt"], "left").alias("_base_segment"),
            (pl.col("output") > limits.gather(frame["_code"])).alias("_longer"),
        )
        keys = ["_code", "_day", "_segment", "model", "_base", "_base_segment"]
        keys += [name for name in _TOLD if name in frame.columns and frame[name].null_count() < frame.height]
        if self._prices.minutes:
            minutes = pl.Series(self._prices.minutes, dtype=pl.Int64)
            past = minutes.search_sorted(frame["time"] % DAY // MINUTE, "right")
            keyed = keyed.with_columns(
                pl.concat([pl.Series([0], dtype=pl.Int64), minutes]).gather(past).alias("_minute")
            )
            keys.append("_minute")
        return keyed, keys

    def _with_baseline(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add the recorded model where it can have served, and what it read from its cache."""
        known = self._plan.catalogue
        names = [name for name in frame["_model"].unique().to_list() if name is not None and name in known.models]
        windows = {name: known.models[name].context_window for name in names}
        most = pl.col("_model").replace_strict(
            {name: 2**62 if window is None else window for name, window in windows.items()}, default=-1,
            return_dtype=pl.Int64,
        ) if names else pl.lit(-1, pl.Int64)  # fmt: skip
        fits = (pl.col("prompt") + pl.col("output") <= most).fill_null(False)
        frame = frame.with_columns(pl.when(fits).then(pl.col("_model")).alias("_base"))
        return frame.with_columns(self.reads(frame, self.recorded, "_base", "prompt").alias("_base_read"))

    def reads(self, frame: pl.DataFrame, caches: SessionCaches, model: str, prompt: str) -> pl.Series:
        """Return what each call reads from the cache of its session; 0 where it goes by none."""
        if not self._settings.cache or frame["session"].null_count() == frame.height:
            return pl.repeat(0, frame.height, dtype=pl.Int64, eager=True)
        chosen = cached(self._settings, pl.col("session"), pl.col(prompt)) & pl.col(model).is_not_null()
        calls = frame.with_row_index("_row").filter(chosen)
        read = caches.read(
            calls.select("session", pl.col(model).alias("model"), pl.col(prompt).alias("prompt"), "time"),
            frame["time"][-1],
        )
        rows = pl.DataFrame({"_row": calls["_row"], "_read": read})
        every = pl.DataFrame({"_row": pl.int_range(frame.height, dtype=pl.UInt32, eager=True)})
        joined = every.join(rows, on="_row", how="left", maintain_order="left")
        return joined["_read"].fill_null(0)

    def _buckets(self, recorded: Sequence[str], model: str, prompt: str, read: str) -> Mapping[str, pl.Expr]:
        """Return the tokens of a call by bucket. Only text is cached: recorded tokens of other kinds stay so."""
        by_session = cached(self._settings, pl.col("session"), pl.col(prompt))
        length = pl.col(prompt)
        kinds = _kinds(recorded, length)
        text = length - sum((kinds[name] for name in kinds if name not in _ANSWER), _NONE)
        hit = pl.min_horizontal(pl.col(read), text)
        plain = {
            "input": pl.when(by_session).then(_NONE).otherwise(text),
            "cache_read": pl.when(by_session).then(hit).otherwise(_NONE),
            self._write: pl.when(by_session).then(text - hit).otherwise(_NONE),
            "output": pl.col("output") - sum((kinds[name] for name in kinds if name in _ANSWER), _NONE),
            **kinds,
        }
        if not recorded or not self._settings.cache:
            return plain
        as_recorded = (
            pl.col("session").is_null()
            & pl.col(f"{RECORDED}{recorded[0]}").is_not_null()
            & (pl.col(model) == pl.col("_model"))
            & (length == pl.col("prompt"))
        )
        names = [bucket for bucket in BUCKETS if bucket in plain or bucket in recorded]
        return {
            name: pl.when(as_recorded)
            .then(pl.col(f"{RECORDED}{name}") if name in recorded else _NONE)
            .otherwise(plain.get(name, _NONE))
            for name in names
        }

    def _count(self, group: Mapping[str, Any], buckets: Sequence[str], sums: Sums) -> None:
        facts, rows = self._facts[group["_code"]], group["rows"]
        sums.rows += rows
        _update(sums.errors, facts.errors, rows)
        cost = 0 if facts.winner is None else self._serve(group, facts, buckets, sums)
        base, recorded = group["_base"], None
        if base is not None:
            recorded = self._cost(base, group, group["base length"], "before", buckets)
        if recorded is None:
            if group["model"] is not None:
                sums.unknown_models[group["model"]] += rows
        elif cost is not None:
            sums.compared += rows
            sums.recorded_cost += recorded
            sums.compared_cost += cost
            if facts.winner is None:
                sums.saved_by_denying += recorded
        if facts.winner is None:
            sums.denied[facts.rule, facts.refused] += rows

    def _serve(self, group: Mapping[str, Any], facts: Facts, buckets: Sequence[str], sums: Sums) -> int | None:
        choice, rows = facts.choices[0], group["rows"]
        sums.allowed[facts.rule] += rows
        _update(sums.rewrites, choice.rewrites, rows)
        sums.longer += group["longer"]
        served = sums.model(choice.model)
        served.requests += rows
        served.prompt_tokens += _sum(group, _PROMPT, buckets)
        served.cached_tokens += _sum(group, _CACHED, buckets)
        served.output_tokens += _sum(group, _ANSWER, buckets)
        cost = self._cost(choice.model, group, group["length"], "served", buckets)
        if cost is None:
            served.unpriced += rows
            sums.unpriced += rows
            return None
        served.cost += cost
        sums.cost += cost
        price = self._price(choice.model, group, group["length"])
        assert price is not None, "what has a cost has a price"
        sums.written += sum(price.per_token[name] * group[f"served {name}"] for name in _ANSWER if name in buckets)
        return cost

    def _price(self, model: str, group: Mapping[str, Any], length: int) -> UnitPrice | None:
        return self._prices.of(model, group["_day"], length, group.get("_minute", 0), group.get("tier"))

    def _cost(self, model: str, group: Mapping[str, Any], length: int, side: str, buckets: Sequence[str]) -> int | None:
        """Return what the calls of a group cost on a model, with what they used on others; None without a price."""
        price = self._price(model, group, length)
        if price is None:
            return None
        units: int = price.per_request
        others = group.get("others")
        if others is not None:
            units += self._prices.of_others(others, model, group["_day"], group.get("_minute", 0), group.get("tier"))
        units *= group["rows"]
        for name in buckets:
            units += price.per_token[name] * group[f"{side} {name}"]
        return units


def _kinds(recorded: Sequence[str], length: pl.Expr) -> dict[str, pl.Expr]:
    """Return the recorded tokens that are not plain text, of a prompt that may have become shorter."""
    found = {name: pl.col(f"{RECORDED}{name}").fill_null(0) for name in recorded if name in _NO_TEXT}
    kinds: dict[str, pl.Expr] = {name: found[name] for name in _ANSWER if name in found}
    sound = sum((found[name] for name in ("input_audio", "cache_read_audio") if name in found), _NONE)
    if "input_audio" in recorded:
        kinds["input_audio"] = pl.min_horizontal(sound, length)
    if "input_image" in found:
        kinds["input_image"] = pl.min_horizontal(found["input_image"], length - kinds.get("input_audio", _NONE))
    return kinds


def _update(counter: Any, names: Sequence[str], rows: int) -> None:
    for name in names:
        counter[name] += rows


def _sum(group: Mapping[str, Any], wanted: Sequence[str], buckets: Sequence[str]) -> int:
    return sum(group[f"served {name}"] for name in wanted if name in buckets)


def _count_logged(costs: pl.Series, sums: Sums) -> None:
    stated = costs.drop_nulls().to_list()
    amounts = map(usd, stated)
    sums.logged += len(stated)
    sums.logged_cost = add(sums.logged_cost, total(amounts))


HELD: Final = {"session": pl.String, "model": pl.String, "prompt": pl.Int64, "time": pl.Int64}
"""The columns of what caches hold."""
_KEY: Final = ("session", "model")


def lifetime_of(settings: Settings) -> int:
    """Return for how many microseconds a prompt stays in a cache."""
    return settings.cache_lifetime // settings.cache_lifetime.resolution


def cached(settings: Settings, session: pl.Expr, prompt: pl.Expr) -> pl.Expr:
    """Return which calls use the cache of their session."""
    if not settings.cache:
        return pl.lit(False)
    return session.is_not_null() & (prompt >= settings.cache_min_tokens)


class SessionCaches:
    """What each model has seen of each session last: ``held`` has one row for each of them that is still alive.

    Batches come in time order.
    """

    __slots__ = ("_lifetime", "held")

    def __init__(self, settings: Settings, held: pl.DataFrame | None = None) -> None:
        self._lifetime = lifetime_of(settings)
        self.held = pl.DataFrame(schema=HELD) if held is None else held

    def read(self, calls: pl.DataFrame, now: int) -> pl.Series:
        """Return how many tokens each call reads from a cache, and remember what the caches hold afterwards.

        ``calls`` have ``session``, ``model``, ``prompt`` and ``time``, and nothing but calls that are cached. ``now``
        is the time of the batch's last row. What is read is what ``catalogue.read_from`` says.
        """
        calls = calls.select(*HELD)
        every = pl.concat([self.held, calls])
        order, repeats = _by_cache(every)
        turns = every.select("prompt", "time").select(pl.all().gather(order))
        before, last = (pl.col(name).shift(1) for name in ("prompt", "time"))
        alive = pl.lit(repeats) & (before <= pl.col("prompt")) & (pl.col("time") < last + self._lifetime)
        read = turns.select(pl.when(alive).then(before).otherwise(0).alias("read"))["read"]
        kept = every[order.filter(~repeats.shift(-1, fill_value=False)).sort()]
        self.held = kept.filter(pl.col("time") + self._lifetime > now)
        in_place = pl.repeat(0, every.height, dtype=pl.Int64, eager=True).scatter(order, read)
        return in_place.slice(every.height - calls.height)


def _by_cache(turns: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Return the places of turns, those of one cache together and in order, and which are not the first of theirs.

    Hashes bring them together, at a fifth of the time that comparing them takes; where two caches share one, they are
    compared after all.
    """
    hashes = turns.select((pl.col("session").hash(1) + pl.col("model").hash(2)).alias("hash"))
    order = hashes.select(pl.arg_sort_by("hash", maintain_order=True)).to_series()
    one = pl.col("hash") == pl.col("hash").shift(1)
    same = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in _KEY)
    found = turns.select(_KEY).hstack(hashes).select(pl.all().gather(order))
    told = found.select(one.fill_null(False).alias("one"), same.fill_null(False).alias("same"))
    if (told["one"] == told["same"]).all():
        return order, told["same"]
    order = turns.select(pl.arg_sort_by(_KEY, maintain_order=True)).to_series()
    return order, turns.select(pl.col(_KEY).gather(order)).select(same.fill_null(False)).to_series()
