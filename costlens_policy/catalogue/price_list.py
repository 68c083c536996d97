"""The price list of the installed ``genai-prices`` package, as models.

Semantics taken over from the package, and held by a differential test: the last condition that is active wins; a tier
applies to **all** tokens of a call whose whole prompt is longer than its start; a kind of token without a price costs
as the kind that it belongs to. Prices of batches, ``flex``, ``priority`` and ``speed: fast`` are service tiers.
What is not billed by tokens or by request (searches, pages, hours of audio), or depends on anything else, is left out,
and named in ``price_source``. A model that has no price for both input and output tokens is unpriced.

The package is imported when the first name is looked up, and read once per process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from costlens_policy.catalogue.catalogue import LONG_AGO, Model
from costlens_policy.catalogue.rates import MINUTES_OF_A_DAY, Period, Rates, Tariff, dearest_of
from costlens_policy.catalogue.service_tiers import USUAL, tier_named
from costlens_policy.catalogue.versions import LATEST, Versions, matches, provider_named, spelling
from costlens_policy.catalogue.writing import document_text
from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen
from costlens_policy.money import ZERO, multiply

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice, PriceVariant, TimeOfDateConstraint

__all__ = [
    "import_genai_prices", "listed_model", "matching", "meant_by", "nearest_pattern", "other_dates", "priced_alike",
]  # fmt: skip

_PACKAGE: Final = "genai-prices"

_MOST_KEPT: Final = 4_096

_MAKERS: Final = frozenset(
    ("anthropic", "cohere", "deepseek", "google", "mistral", "moonshotai", "openai", "perplexity", "x-ai", "zai")
)

_MONTH: Final = re.compile(r"(?:-preview-[0-9]{2}-[0-9]{4}|-[0-9]{2}-[0-9]{4}|-[0-9]{4}|-latest)$")

"""How a name ends where it states a version by a month or a number, which ``catalogue.versions`` alone cannot read."""

_FAMILY: Final = re.compile(
    "(?:chatgpt|claude|codestral|command|deepseek|gemini|glm|gpt|grok|kimi|ministral|mistral|o[134](?:-|$)|sonar|text-emb)"
)

_Raw: TypeAlias = dict[str, dict[int, Decimal]]

"""Price of each kind of token by the prompt length that it starts above; 0 is always there."""

_BUCKET_OF: Final = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "input_audio",
    "cache_audio_read_mtok": "cache_read_audio",
    "output_audio_mtok": "output_audio",
    "input_image_mtok": "input_image",
    "output_image_mtok": "output_image",
}

_BUCKETS: Final = frozenset(_BUCKET_OF.values())

_REQUESTS: Final = "requests_kcount"

_ANY_DAY: Final = date(1970, 1, 2)

_THOUSANDTH: Final = Decimal("0.001")


@cache
def _entries() -> Mapping[str, tuple[str, ModelInfo]]:
    """Return (provider, entry) by ``provider/name``. The bundled data are read, never a snapshot set at run time."""
    from genai_prices.data import providers  # it takes a quarter of a second, and only imports need it

    return {f"{provider.id}/{entry.id}": (provider.id, entry) for provider in providers for entry in provider.models}


def matching(pattern: str) -> tuple[str, ...]:
    """Return every ``provider/name`` that fits the pattern, in order.

    Without ``*``, a dated name is one of its own: it costs what the model that it is a version of does.
    """
    if "*" not in pattern:
        return (pattern,) if _version(pattern) is not None else ()
    return tuple(sorted(name for name in _entries() if matches(pattern, name)))


@lru_cache(_MOST_KEPT)
def meant_by(name: str, provider: str | None = None) -> str | None:
    """Return the ``provider/name`` that a provider's own name of a model means, by the patterns of the list.

    Names that only ``catalogue.versions`` can read, such as those of Bedrock without their provider, come last. None
    where the list knows no such model.
    """
    if name in _entries():
        return name
    before, slash, rest = name.partition("/")
    read = spelling(name)
    asked: list[tuple[str, str | None]] = [(rest, before)] if slash else []
    asked += [(name, provider or None), (name, None)]
    if read.provider:
        asked.append((name.rpartition("/")[2], read.provider))
    for reference, whose in asked:
        if (found := _found(reference, whose)) is not None:
            return f"{found[0]}/{found[1].id}"
    own = f"{read.provider}/{read.stem}"
    return own if own in _entries() else None


def priced_alike(name: str, provider: str | None) -> Model | None:
    """Return the model of the list that a catalogue's own entry is most likely about, to hold its prices against.

    Without a provider it is the maker's. None where it is about another provider's, or a model that nobody else has.
    The list is read only where the name or the provider is one that it may know.
    """
    asked = provider_named(provider) if provider else spelling(name).provider
    if asked not in _MAKERS and (asked or _FAMILY.match(name.lower()) is None):
        return None
    found = _makers().find(f"{asked}/{name.rpartition('/')[2]}" if asked else name)
    return None if found is None else listed_model(found.name)


@frozen
class _Named:
    name: str
    provider: str
    aliases: tuple[str, ...]
    other_versions: tuple[str, ...] = ()


@cache
def _makers() -> Versions[_Named]:
    return Versions([
        _Named(full, provider, tuple(_written(entry.match)))
        for full, (provider, entry) in _entries().items()
        if provider in _MAKERS and not (provider == "google" and "claude" in entry.id)
    ])  # fmt: skip


def _found(reference: str, provider: str | None) -> tuple[str, ModelInfo] | None:
    try:
        found, entry = _snapshot().find_provider_model(reference, None, provider, None)
    except LookupError:
        return None
    return found.id, entry


@cache
def _snapshot() -> DataSnapshot:
    from genai_prices.data import providers
    from genai_prices.data_snapshot import DataSnapshot

    return DataSnapshot(providers, False)


def other_dates(full: str) -> tuple[str, ...]:
    """Return the names that the list writes out for a model, and that differ from its own by a month or a number only.

    ``grok-4`` is one of ``x-ai/grok-4-0709``, ``command-a-03-2025`` one of ``cohere/command-a``. What the list merely
    prices alike, such as ``gpt-5-codex`` with ``gpt-5``, is another model; what it takes for another provider's, too.
    """
    if full not in _entries():
        return ()
    provider, entry = _entries()[full]
    own = spelling(f"{provider}/{entry.id}").stem
    dated = (name for name in _written(entry.match) if _MONTH.sub("", name) == _MONTH.sub("", entry.id))
    return tuple(name for name in dated if spelling(f"{provider}/{name}").stem != own and meant_by(name) == full)


@lru_cache(_MOST_KEPT)
def _version(full: str) -> tuple[str, ModelInfo] | None:
    """Return (provider, entry) of ``provider/name``, also where the name is a version of one that the list has.

    The patterns of the list are wider than that: a name that is neither written there nor differs by a date is none.
    """
    if full in _entries():
        return _entries()[full]
    provider, slash, reference = full.partition("/")
    found = _found(reference, provider) if slash else None
    if found is None:
        return None
    owner, entry = found
    read = spelling(f"{owner}/{reference}")
    known = (spelling(f"{owner}/{name}") for name in (entry.id, *_written(entry.match)))
    same = any(name.stem in (read.stem, read.stem.removesuffix("-preview")) and
               name.version in ("", LATEST, read.version) for name in known)  # fmt: skip
    return found if same else None


def _written(match: Any) -> Iterator[str]:
    """Yield the names that a pattern of the list gives in full."""
    if hasattr(match, "equals"):
        yield match.equals
    for part in getattr(match, "or_", ()):
        yield from _written(part)


@cache
def listed_model(full_name: str) -> Model:
    """Return the model that the list calls ``provider/name``, or knows a version of; ``KeyError`` where it has none.

    A model that the list marks as deprecated, without a day, is deprecated from ``LONG_AGO`` on.
    """
    found = _version(full_name)
    if found is None:
        raise KeyError(full_name)
    provider, entry = found
    periods, remarks = _periods_of(entry)
    if full_name not in _entries():
        remarks = (f"as {_owners()[id(entry)]}", *remarks)
    return Model(
        name=full_name,
        provider=provider,
        periods=periods,
        context_window=entry.context_window,
        deprecated=LONG_AGO if entry.deprecated else None,
        other_versions=_others(full_name),
        price_source=_source(remarks),
    )


@cache
def _owners() -> Mapping[int, str]:
    """Return ``provider/name`` by the identity of the entry: some providers serve the entries of others."""
    return {id(entry): full for full, (_, entry) in _entries().items()}


def _others(full: str) -> tuple[str, ...]:
    """Return the names that differ from a model's by a date, and are priced apart from it."""
    read = spelling(full)
    if read.version not in ("", LATEST) or full not in _entries():
        return ()
    return tuple(sorted(name for name, owner in _versions().get((read.provider, read.stem), ()) if owner != full))


@cache
def _versions() -> Mapping[tuple[str, str], list[tuple[str, str]]]:
    """Return (name, ``provider/name`` of its entry) by provider and name without a date."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for full, (provider, entry) in _entries().items():
        for name in dict.fromkeys((entry.id, *_written(entry.match))):
            read = spelling(f"{provider}/{name}")
            if not name.endswith("-"):  # some ids are only the beginning of names
                written = f"{provider}/{name}" if "/" in name else name
                found.setdefault((read.provider, read.stem), []).append((written, full))
    return found


def import_genai_prices(patterns: Iterable[str], on: date) -> str:
    """Return a catalogue of the installed price list's models that match, with their prices from a day on.

    Raises ``InputError`` where a pattern matches nothing.
    """
    full_names: dict[str, None] = {}
    for pattern in patterns:
        found = matching(pattern)
        if not found:
            meant = nearest_pattern(pattern)
            raise InputError(
                f"`{pattern}` matches no model of the price list" + (f"; did you mean `{meant}`?" if meant else "")
            )
        full_names.update(dict.fromkeys(found))
    from costlens_policy.catalogue.names import Names  # it knows documents, which take a tenth of a second

    names = Names(full_names)
    models = [replace(_from_day(listed_model(full), on), name=names.find(full) or full) for full in full_names]
    head = {"name": "genai-prices", "version": f"{on:%Y.%m.%d}", "description": f"Prices of genai-prices from {on} on."}
    return document_text(head, sorted(models, key=lambda model: model.name))


def _from_day(model: Model, on: date) -> Model:
    """Leave out the prices that ended before a day."""
    current = model.period_on(on)
    return replace(
        model,
        periods=tuple(
            period
            for period in model.periods
            if period is current or (period.effective is not None and period.effective > on)
        ),
    )


def nearest_pattern(pattern: str) -> str | None:
    """Return what a pattern that matches nothing may have meant, or None."""
    provider, slash, name = pattern.partition("/")
    if not slash:
        return _with_provider(pattern)
    providers = sorted({owner for owner, _ in _entries().values()})
    if provider not in providers:
        closest = get_close_matches(provider, providers, n=3, cutoff=0.6)
        return next((f"{owner}/{name}" for owner in closest if matching(f"{owner}/{name}")), None)
    names = [full.partition("/")[2] for full in _entries() if full.startswith(f"{provider}/")]
    found = get_close_matches(name.replace("*", ""), names, n=1, cutoff=0.7)
    return f"{provider}/{found[0]}" if found else _with_provider(name)


def _with_provider(pattern: str) -> str | None:
    """Complete a pattern without a provider; the maker of a model comes before those who resell it."""
    from genai_prices.data import providers

    text = pattern.replace("*", "")
    makers = [provider.id for provider in providers if provider.model_match and provider.model_match.is_match(text)]
    owners = dict.fromkeys([*makers, *sorted({owner for owner, _ in _entries().values()})])
    return next((f"{owner}/{pattern}" for owner in owners if matching(f"{owner}/{pattern}")), None)


@cache
def _package() -> str:
    return f"{_PACKAGE} {version(_PACKAGE)}"


def _source(remarks: tuple[str, ...]) -> str:
    return _package() + (f" ({'; '.join(remarks)})" if remarks else "")


def _periods_of(entry: ModelInfo) -> tuple[tuple[Period, ...], tuple[str, ...]]:
    """Return the periods, none where the model is not priced by tokens, and remarks for its ``price_source``."""
    prices = entry.prices if isinstance(entry.prices, list) else [_Always(prices=entry.prices)]
    conditions = [(condition.constraint, _raw(condition.prices)) for condition in prices] or [(None, {})]
    variants = list(_variants(entry.price_variants or ()))
    constraints = [constraint for constraint, _ in conditions] + [item.constraint for item in variants]
    starts = sorted({constraint.start_date for constraint in constraints if hasattr(constraint, "start_date")})
    days: list[date | None] = [None, *starts]
    in_force = {day: _day(conditions, day or date.min) for day in days}
    remarks = _remarks([raw for _, raw in conditions], entry.price_variants or ())
    if not all({"input", "output"} <= raw.keys() for hours in in_force.values() for _, raw in hours):
        return (), ("no price for both input and output tokens", *remarks)
    if any(len(hours) > 1 for hours in in_force.values()):
        remarks = ("by the time of day; estimates take the highest", *remarks)
    return _merged([_period(day, hours, variants) for day, hours in in_force.items()]), remarks


def _day(conditions: Sequence[tuple[Any, _Raw]], day: date) -> list[tuple[int, _Raw]]:
    """Return (from this minute of a day on, prices): the last active condition wins, else the first."""
    limits = [_minutes(constraint) for constraint, _ in conditions if hasattr(constraint, "start_time")]
    found: list[tuple[int, _Raw]] = []
    for minute in sorted({0, *(limit % MINUTES_OF_A_DAY for pair in limits for limit in pair)}):
        active = (raw for constraint, raw in reversed(conditions) if _is_active(constraint, day, minute))
        raw = next(active, conditions[0][1])
        if not found or found[-1][1] != raw:
            found.append((minute, raw))
    return found


def _is_active(constraint: Any, day: date, minute: int) -> bool:
    if hasattr(constraint, "start_time"):
        start, end = _minutes(constraint)
        return start <= minute < end if start <= end else minute >= start or minute < end
    return constraint is None or constraint.start_date <= day


def _minutes(constraint: TimeOfDateConstraint) -> tuple[int, int]:
    """Return an interval of the day in minutes of UTC; a time without a zone is in UTC."""
    start, end = (
        datetime.combine(_ANY_DAY, limit, limit.tzinfo or UTC).astimezone(UTC)
        for limit in (constraint.start_time, constraint.end_time)
    )
    return _minute(start), _minute(end)


def _minute(limit: datetime) -> int:
    return limit.hour * 60 + limit.minute + bool(limit.second)  # 23:59:59 ends with the day


@frozen
class _Always:
    prices: ModelPrice
    constraint: None = None


@frozen
class _Variant:
    """Prices of a service tier, which stand for those of the model where they are given."""

    tier: str
    raw: _Raw
    constraint: Any


def _variants(variants: Iterable[PriceVariant]) -> Iterator[_Variant]:
    for variant in variants:
        tier, raw = _tier(variant), _raw(variant.prices)
        if tier and raw and not hasattr(variant.constraint, "start_time"):
            yield _Variant(tier, raw, variant.constraint)


def _tier(variant: PriceVariant) -> str:
    """Return the service tier that a variant is for; empty where a catalogue cannot hold it, or it is the usual one."""
    ((key, value), *more) = variant.when.items()
    if more or key not in ("service_tier", "processing", "speed"):
        return USUAL
    return tier_named(value)


def _raw(prices: ModelPrice) -> _Raw:
    found: _Raw = {}
    for key, value in vars(prices).items():
        if value is not None:
            found[_BUCKET_OF.get(key, key)] = _steps(value)
    return found


def _steps(value: Any) -> dict[int, Decimal]:
    if isinstance(value, Decimal):
        return {0: value}
    return {0: value.base} | {tier.start: tier.price for tier in value.tiers}


def _period(day: date | None, hours: list[tuple[int, _Raw]], variants: Sequence[_Variant]) -> Period:
    active = [item for item in variants if _is_active(item.constraint, day or date.min, 0)]
    tiers: dict[str, _Raw] = {}
    for item in active:
        tiers[item.tier] = {**item.raw, **tiers.get(item.tier, {})}  # the first that matches wins, key by key
    starts = {start for _, raw in hours for start in _starts(raw)}
    tariffs = [(minute, _tariff(raw, starts)) for minute, raw in hours]
    usual = dearest_of([tariff for _, tariff in tariffs])
    named = {
        name: dearest_of([_tariff({**raw, **own}, starts) for _, raw in hours]) for name, own in sorted(tiers.items())
    }
    whole = Period(day, usual.rates, usual.long_context, named)
    if len(hours) == 1:
        return whole
    by_hour = ((minute, replace(whole, rates=own.rates, long_context=own.long_context)) for minute, own in tariffs)
    return replace(whole, hours=tuple(by_hour))


def _tariff(raw: _Raw, starts: Set[int]) -> Tariff:
    """Return the prices by length, beside its own from all these ``starts`` on."""
    return Tariff(_rates(raw, 0), tuple((start, _rates(raw, start)) for start in sorted(starts | _starts(raw))))


def _starts(raw: _Raw) -> set[int]:
    return {start for steps in raw.values() for start in steps} - {0}


def _rates(raw: _Raw, prompt: int) -> Rates:
    """Return the rates of a prompt just longer than this."""
    given = {bucket: _step(raw[bucket], prompt) for bucket in raw if bucket in _BUCKETS}
    return Rates(given, multiply(_step(raw.get(_REQUESTS, {0: ZERO}), prompt), _THOUSANDTH))


def _step(steps: dict[int, Decimal], prompt: int) -> Decimal:
    return steps[max(start for start in steps if start <= prompt)]


def _merged(periods: list[Period]) -> tuple[Period, ...]:
    """Leave out periods that change nothing."""
    kept = periods[:1]
    for period in periods[1:]:
        if replace(period, effective=None, hours=()) != replace(kept[-1], effective=None, hours=()) or [
            (minute, replace(hour, effective=None)) for minute, hour in period.hours
        ] != [(minute, replace(hour, effective=None)) for minute, hour in kept[-1].hours]:
            kept.append(period)
    return tuple(kept)


def _remarks(raws: list[_Raw], variants: Iterable[PriceVariant]) -> tuple[str, ...]:
    others = {key for raw in raws for key in raw if key not in _BUCKETS and key != _REQUESTS}
    for variant in variants:
        raw = _raw(variant.prices)
        if raw and (not _tier(variant) or hasattr(variant.constraint, "start_time")):
            others.add(" and ".join(f"{key}: {value}" for key, value in variant.when.items()))
    return (f"not counted: {', '.join(sorted(others))}",) if others else ()
