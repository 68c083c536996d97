"""A catalogue written as the text of a document; a lock has everything in it, so that decisions can be repeated.

Each model becomes an entry that leaves nothing to imports, overrides or inheritance. Reading the text back gives the
same values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final, TypeAlias

from costlens_policy.catalogue.catalogue import USUAL_LEVEL, Catalogue, Model
from costlens_policy.catalogue.rates import BUCKETS, MINUTES_OF_A_DAY, Period, Tariff, complete
from costlens_policy.money import ZERO, plain

__all__ = [
    "DIGEST_LABEL",
    "Value",
    "comment",
    "digest_label",
    "document_text",
    "explicit_entry",
    "flow",
    "lock",
    "quoted",
    "yaml_lines",
]

DIGEST_LABEL: Final = "costlens-policy/digest"
"""Label of a locked catalogue; its value is checked when the document is read."""


def digest_label(catalogue: Catalogue) -> str:
    """Return the value of ``DIGEST_LABEL`` for a catalogue."""
    return f"sha256:{catalogue.digest}"


def lock(catalogue: Catalogue, on: date | None = None) -> str:
    """Return the text of a Catalogue document that alone resolves to an equal catalogue, with an equal digest.

    It has every model with all its facts, names and periods. ``on`` is the day of the lock; it becomes the document's
    version, and changes nothing else.
    """
    head: dict[str, Value] = {
        "name": "catalogue-lock",
        "version": f"{on:%Y.%m.%d}" if on is not None else "1",
        "description": "Every model with all facts and prices. Do not edit: change the sources, and lock again.",
        "labels": {DIGEST_LABEL: digest_label(catalogue)},
    }
    return document_text(head, catalogue)


def document_text(head: Mapping[str, Value], models: Iterable[Model], notes: Iterable[str] = ()) -> str:
    """Return the text of a Catalogue document with this ``metadata``; ``notes`` become comments under it."""
    lines = [
        *yaml_lines({"apiVersion": "costlens-policy/v1", "kind": "Catalogue", "metadata": head}),
        *map(comment, notes),
        *_models(list(models)),
    ]
    return "\n".join(lines) + "\n"


def _models(models: list[Model]) -> Iterator[str]:
    if not models:
        yield "models: {}"
        return
    yield "models:"
    for model in models:
        if model.price_source:
            yield comment(f"prices: {model.price_source}", 2)
        yield from yaml_lines({model.name: explicit_entry(model)}, 2)


def explicit_entry(model: Model) -> dict[str, Value]:
    """Return the entry; read alone, it gives an equal model. Unpriced models say so with an empty list of prices."""
    entry: dict[str, Value | None] = {
        "provider": model.provider,
        "family": model.family,
        "aliases": model.aliases or None,
        "other_versions": model.other_versions or None,
        "fine_tuned": _fine_tuned(model),
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "capabilities": None if model.capabilities is None else sorted(model.capabilities),
        "latency_ms": _latency(model),
        "quality": {task: _quality(task, model) for task in sorted(model.quality)} or None,
        "regions": model.regions,
        "external": model.external,
        "deprecated": model.deprecated,
        "retired": model.retired,
        "prompt_cache": _prompt_cache(model),
        "usd_per_tool_use": dict(sorted(model.usd_per_tool_use.items())) or None,
        "labels": _labels(model),
        "prices": [_period_entry(period) for period in model.periods],
    }
    return {name: value for name, value in entry.items() if value is not None}


def _labels(model: Model) -> Mapping[str, Value] | None:
    """Leave empty labels out, but not where those of a base would take their place."""
    return dict(sorted(model.labels.items())) if model.labels or model.base else None


def _fine_tuned(model: Model) -> Value | None:
    if model.base is None:
        return None
    return {"base": model.base, "tasks": model.trained_for} if model.trained_for else {"base": model.base}


def _latency(model: Model) -> Value | None:
    if model.latency_p50_ms is None:
        return None
    latency: dict[str, Value] = {"p50": _decimal(model.latency_p50_ms)}
    if model.latency_p95_ms is not None:
        latency["p95"] = _decimal(model.latency_p95_ms)
    return latency


def _prompt_cache(model: Model) -> Value | None:
    cache = model.prompt_cache
    if cache is None:
        return None
    return {
        "lifetime": f"{cache.lifetime:g}s", "min_tokens": cache.min_tokens, "step_tokens": cache.step_tokens,
        "automatic": cache.automatic,
    }  # fmt: skip


def _quality(task: str, model: Model) -> Value:
    """Return the quality in a task as an entry has it: a number, or one with its evidence."""
    value, evidence = _decimal(model.quality[task]), model.evidence.get(task)
    if evidence is None:
        return value
    entry: dict[str, Value | None] = {
        "value": value,
        "low": None if evidence.low is None else _decimal(evidence.low),
        "high": None if evidence.high is None else _decimal(evidence.high),
        "level": None if evidence.level == USUAL_LEVEL else _decimal(evidence.level),
        "cases": evidence.cases,
        "measured": evidence.measured,
        "source": evidence.source,
        "data": evidence.data,
    }
    return {name: item for name, item in entry.items() if item is not None}


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value))


def _period_entry(period: Period) -> Value:
    given: dict[str, Decimal] = {}
    entry = _tariff_entry(period.tariff(), given, ZERO)
    if period.service_tiers:
        entry["service_tiers"] = {
            name: _tariff_entry(tariff, dict(given), period.rates.usd_per_request)
            for name, tariff in sorted(period.service_tiers.items())
        }
    if period.hours:
        entry["hours"] = list(_hour_entries(period, given))
    return {"effective": period.effective, **entry} if period.effective is not None else entry


def _hour_entries(period: Period, given: Mapping[str, Decimal]) -> Iterator[Value]:
    """Yield the prices by the time of day; what is left out there costs as the highest of the day."""
    ends = [start for start, _ in period.hours[1:]] + [MINUTES_OF_A_DAY]
    for (start, prices), end in zip(period.hours, ends, strict=True):
        if prices.tariff() != period.tariff():
            varied = _tariff_entry(prices.tariff(), dict(given), period.rates.usd_per_request)
            yield {"start": _time(start), "end": _time(end % MINUTES_OF_A_DAY), **varied}


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _tariff_entry(tariff: Tariff, given: dict[str, Decimal], per_request: Decimal) -> dict[str, Value]:
    """Return the entry of prices where these are ``given``; those of short prompts are added to them."""
    entry: dict[str, Value] = {"usd_per_million_tokens": _step_entry(given, tariff.rates.usd_per_million_tokens)}
    if tariff.rates.usd_per_request != per_request:
        entry["usd_per_request"] = tariff.rates.usd_per_request
    if tariff.long_context:
        so_far = dict(given)
        entry["long_context"] = [
            {"above_input_tokens": above, "usd_per_million_tokens": _step_entry(so_far, rates.usd_per_million_tokens)}
            for above, rates in tariff.long_context
        ]
    return entry


def _step_entry(given: dict[str, Decimal], wanted: Mapping[str, Decimal]) -> Mapping[str, Value]:
    """Add to ``given`` what makes it complete to ``wanted``, and return what was added, ``input`` at least.

    A kind of token only depends on kinds before it in ``BUCKETS``, so one pass is enough.
    """
    step = {bucket: wanted[bucket] for bucket in ("input", "output") if given.get(bucket) != wanted[bucket]}
    given.update(step)
    for bucket in BUCKETS:
        if complete(given)[bucket] != wanted[bucket]:
            given[bucket] = step[bucket] = wanted[bucket]
    step = step or {"input": wanted["input"]}
    return {bucket: step[bucket] for bucket in BUCKETS if bucket in step}


Value: TypeAlias = "str | int | bool | Decimal | date | Sequence[Value] | Mapping[str, Value]"

_WIDTH: Final = 120
_LONGEST_NUMBER: Final = 60
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_READ_AS_OTHERS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_ESCAPED: Final = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")
"""What a YAML text may not hold."""


def yaml_lines(value: Mapping[str, Value], indent: int = 0) -> Iterator[str]:
    """Yield the lines of a mapping in block style; what fits on its line is written in flow style."""
    space = " " * indent
    for key, item in value.items():
        head = f"{space}{_text(key)}:"
        flat = f"{head} {flow(item)}"
        if _is_scalar(item) or not item or (_holds_scalars(item) and len(flat) <= _WIDTH):
            yield flat
        elif isinstance(item, Mapping):
            yield head
            yield from yaml_lines(item, indent + 2)
        else:
            assert isinstance(item, Sequence), "neither scalar nor mapping"
            yield head
            yield from _items(item, indent + 2)


def comment(text: str, indent: int = 0) -> str:
    """Return a comment of one line."""
    return " " * indent + "# " + _ESCAPED.sub(" ", " ".join(text.split()))


def _items(items: Sequence[Value], indent: int) -> Iterator[str]:
    space = " " * indent
    for item in items:
        if isinstance(item, Mapping) and item:
            first, *rest = yaml_lines(item, indent + 2)
            yield f"{space}- {first[indent + 2 :]}"
            yield from rest
        else:
            yield f"{space}- {flow(item)}"


def _holds_scalars(value: Value) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_scalar, value.values()))
    return isinstance(value, Sequence) and all(map(_is_scalar, value))


def _is_scalar(value: Value) -> bool:
    return isinstance(value, str | int | Decimal | date)


def flow(value: Value) -> str:
    """Return a value in flow style, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(flow, value)) + "]"
    return _scalar(value)


def _scalar(value: str | int | bool | Decimal | date) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Decimal):
        return text if len(text := plain(value)) <= _LONGEST_NUMBER else f"{value:e}"
    return value.isoformat() if isinstance(value, date) else str(value)


def _text(text: str) -> str:
    """Write a string plainly where nobody can read it as anything else, in double quotes otherwise."""
    if _PLAIN.fullmatch(text) and text.lower() not in _READ_AS_OTHERS:
        return text
    return quoted(text)


def quoted(text: str) -> str:
    """Return a string in double quotes, as YAML and CEL read it."""
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
