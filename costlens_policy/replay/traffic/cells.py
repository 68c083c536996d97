"""Values of a row, found by the name or path of a column and converted; and counts of tokens."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from collections.abc import Mapping as MappingType
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from costlens_policy.catalogue import Usage
from costlens_policy.expressions import STRING, Type
from costlens_policy.frozen import frozen
from costlens_policy.money import usd
from costlens_policy.replay.traffic.mapping import TimeUnit

__all__ = [
    "MISSING", "PARTS", "Counted", "attribute_of", "cell", "cost_of", "counted", "has_cell", "object_of", "outcome_of",
    "plain_numbers", "text_of", "timestamp_of", "tokens_of", "walk",
]  # fmt: skip

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS: Final[dict[str, Decimal]] = {
    "s": Decimal(1_000_000), "ms": Decimal(1000), "us": Decimal(1), "ns": Decimal("0.001"),
}  # fmt: skip
_FRACTION: Final = re.compile(r"(\.\d{6})\d+")
_THOUSANDS: Final = re.compile(r"\s*[+-]?[1-9][0-9]{0,2}\.000\s*")
"""A number whose dot may separate thousands."""
_LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_ZONE: Final = re.compile(r"\s+([+-][0-9]{2}(?::?[0-9]{2})?)$|\s*(?:UTC|GMT)$")
"""Zones as warehouses write them: `2026-11-02 09:00:00 UTC`, `2026-11-02 09:00:00.000 +0100`."""
_TRUTH: Final = {"true": 1.0, "false": 0.0}
MISSING: Final = object()


def cell(fields: MappingType[str, Any], column: str) -> Any:
    """Return the value of a column, or None where it is absent or empty.

    ``a|b`` is the first of two that is there, ``a.b`` the field ``b`` of ``a`` unless a column has that very name.
    """
    usual = fields.get(column)
    if usual is not None and usual != "":
        return usual
    if "|" not in column and "." not in column:
        return None
    for name in column.split("|"):
        value = walk(fields, name)
        if value is not MISSING and value is not None and value != "":
            return value
    return None


def has_cell(fields: MappingType[str, Any], column: str) -> bool:
    """Return whether a row has a column, or one of its alternatives, be it empty."""
    return column in fields or any(walk(fields, name) is not MISSING for name in column.split("|"))


@lru_cache(maxsize=8)
def _object(text: str) -> Any:
    """Return the object of JSON text, as databases export columns of objects; None if it is not one."""
    try:
        return json.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError):
        return None


def object_of(value: Any) -> Any:
    """Return the object of a cell with JSON text, and anything else unchanged."""
    found = _object(value) if isinstance(value, str) and value[:1] in ("{", "[") else None
    return value if found is None else found


def walk(value: Any, name: str) -> Any:
    """Return what stands at a path, or ``MISSING``: ``a.b`` is ``b`` of ``a``, unless a column has that very name."""
    value = object_of(value)
    if not isinstance(value, MappingType):
        return MISSING
    if name in value:
        return value[name]
    head, dot, rest = name.partition(".")
    while dot:
        if head in value:
            found = walk(value[head], rest)
            if found is not MISSING:
                return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return MISSING


def tokens_of(value: Any) -> int:
    """Read a count of tokens. Raises ``ValueError``."""
    if value.__class__ is int and 0 <= value < 10**18:
        return int(value)
    if isinstance(value, str) and _THOUSANDS.fullmatch(value):
        raise ValueError(f"`{value}` is ambiguous, since the dot may separate thousands; write it without the dot")
    number = _number(value)
    if number != int(number):
        raise ValueError(f"a number of tokens must be an integer, got `{value}`")
    if number < 0:
        raise ValueError(f"a number of tokens must be non-negative, got `{value}`")
    return int(number)


def cost_of(value: Any) -> Decimal:
    """Read an amount of US dollars. Raises ``ValueError``."""
    return usd(_number(value))


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"`{value}` is not a number")
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except ArithmeticError:
        raise ValueError(f"`{value}` is not a number") from None
    if not number.is_finite() or number.adjusted() > 18:
        raise ValueError(f"`{value}` is out of range")
    return number


def outcome_of(value: Any) -> float:
    """Read whether an answer was right, or how good it was from 0 to 1. Raises ``ValueError``."""
    if isinstance(value, bool):
        return float(value)
    known = _TRUTH.get(str(value).strip().lower())
    number = float(_number(value)) if known is None else known
    if not 0 <= number <= 1:
        raise ValueError(f"a quality must be from 0 to 1, got `{value}`")
    return number


def timestamp_of(value: Any, unit: TimeUnit, start: datetime | None) -> tuple[datetime, bool]:
    """Return the instant in UTC, and whether a time zone had to be assumed. Raises ``ValueError``.

    ``start`` is what a relative time counts from, None where times are absolute. Times before 1970 or from 2200 on
    cannot be times of calls: the field was not set, or has another unit.
    """
    if isinstance(value, datetime):
        instant, zoneless = _in_utc(value)
    elif isinstance(value, date):
        instant, zoneless = datetime(value.year, value.month, value.day, tzinfo=UTC), True
    elif start is None and isinstance(value, str) and not _is_number(value):
        instant, zoneless = _iso(value)
    else:
        instant, zoneless = _counted(value, unit, start or _EPOCH), False
    if start is None and not _EPOCH <= instant < _LAST:
        raise ValueError(f"`{value}` cannot be the time of a call; it would be in the year {instant.year}")
    return instant, zoneless


def _counted(value: Any, unit: TimeUnit, start: datetime) -> datetime:
    if unit == "iso":
        raise ValueError(f"`{value}` is not a timestamp; set `time_unit` to s, ms, us or ns")
    try:
        return start + timedelta(microseconds=int(_number(value) * _MICROSECONDS[unit]))
    except OverflowError:
        raise ValueError(f"`{value}` {unit} is out of range") from None


def _in_utc(value: datetime) -> tuple[datetime, bool]:
    return (value.replace(tzinfo=UTC), True) if value.tzinfo is None else (value.astimezone(UTC), False)


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _iso(value: str) -> tuple[datetime, bool]:
    try:
        text = _ZONE.sub(lambda found: found.group(1) or "+00:00", value.strip())
        return _in_utc(datetime.fromisoformat(_FRACTION.sub(r"\1", text)))
    except (ValueError, OverflowError):
        raise ValueError(f"`{value}` is not a timestamp such as 2026-11-02T09:00:00Z") from None


def text_of(value: Any) -> str:
    """Return a name or id as text, whatever type a file gave it; numbers keep their digits."""
    if isinstance(value, str | Decimal):
        return str(value)
    return json.dumps(value, default=str)


def plain_numbers(value: Any) -> Any:
    """Return a value whose decimals are ints where they are whole, else floats: what readers of JSON expect."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.adjusted() < 30 else float(value)
    if isinstance(value, MappingType):
        return {name: plain_numbers(item) for name, item in value.items()}
    return [plain_numbers(item) for item in value] if isinstance(value, list) else value


def _floats(value: Any) -> Any:
    """Return a value with the doubles that expressions see."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, MappingType):
        return {name: _floats(item) for name, item in value.items()}
    return [_floats(item) for item in value] if isinstance(value, list) else value


def attribute_of(value: Any, type: Type) -> Any:
    """Return a cell as a value of an attribute. Cells of CSV are texts; those of other types are read as JSON."""
    if type == STRING:
        return text_of(value)
    if not isinstance(value, str):
        return _floats(value)
    try:
        return json.loads(value.strip().lower() if value.strip().lower() in _TRUTH else value)
    except ValueError:
        return value  # the engine says what is wrong with it


PARTS: Final = ("uncached_tokens", "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens")
"""Counts beyond the length of the prompt and the answer."""


@frozen
class Counted:
    """The counts of one row.

    ``prompt`` includes what was read from and written to caches, ``output`` the reasoning; each is None if unknown.
    ``recorded`` is None if the row has only these two. ``beyond`` are tokens that only the total shows, part of
    ``output``; ``contradicted`` means that the total is less than the sum of its parts.
    """

    prompt: int | None
    output: int | None
    recorded: Usage | None = None
    cache_known: bool = False
    beyond: int = 0
    contradicted: bool = False


def counted(counts: Mapping[str, int | None]) -> Counted:
    """Return the counts of a row. Raises ``ValueError`` where they contradict each other.

    Reasoning lies inside the output, unless there is more of it or the total shows that it came on top. What the total
    shows beyond everything else may be anything, and is counted as output, the most expensive kind of text.
    """
    prompt, output, reasoning = _prompt(counts), counts.get("output_tokens"), counts.get("reasoning_tokens") or 0
    if prompt is None or output is None:
        return Counted(prompt, output)
    total = counts.get("total_tokens")
    if reasoning > output or (total is not None and total == prompt + output + reasoning):
        output += reasoning
    beyond = 0 if total is None else max(total - prompt - output, 0)
    contradicted = total is not None and total < prompt + output
    output += beyond
    cache_known = counts.get("cached_tokens") is not None
    if all(counts.get(name) is None for name in PARTS):
        return Counted(prompt, output, None, cache_known, beyond, contradicted)
    read, short, long = (counts.get(name) or 0 for name in PARTS[1:4])
    usage = Usage(
        input=prompt - read - short - long, cache_read=read, cache_write=short, cache_write_1h=long,
        output=output - reasoning, reasoning=reasoning,
    )  # fmt: skip
    return Counted(prompt, output, usage, cache_known, beyond, contradicted)


def _prompt(counts: Mapping[str, int | None]) -> int | None:
    prompt, uncached = counts.get("prompt_tokens"), counts.get("uncached_tokens")
    parts = sum(counts.get(name) or 0 for name in PARTS[1:4])
    if uncached is not None:
        if prompt is not None and prompt != uncached + parts:
            raise ValueError(f"{prompt} prompt tokens, but their parts add up to {uncached + parts}")
        return uncached + parts
    if prompt is not None and parts > prompt:
        raise ValueError(
            f"{parts} cached tokens in a prompt of {prompt}; map a count that excludes them as `uncached_tokens`, "
            "not `prompt_tokens`"
        )
    return prompt
