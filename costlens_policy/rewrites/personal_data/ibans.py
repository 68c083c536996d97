"""International bank account numbers: the length of the country, and the remainder of 97 (ISO 13616)."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from typing import Final

from costlens_policy.rewrites.personal_data.detector import Detector, Extent, alphanumeric_at, pattern

__all__ = ["IBAN"]

_LENGTHS: Final = {
    country.encode(): length
    for length, countries in (
        (15, "NO"), (16, "BE"), (18, "DK FI FK FO GL NL SD"), (19, "MK SI"),
        (20, "AT BA EE KZ LT LU MN XK"), (21, "CH HR LI LV"), (22, "BG BH CR DE GB GE IE ME RS VA"),
        (23, "AE GI IL IQ OM SO TL"), (24, "AD CZ ES MD PK RO SA SE SK TN VG"), (25, "LY PT ST"),
        (26, "IS TR"), (27, "BI DJ FR GR IT MC MR SM"), (28, "AL AZ BY CY DO GT HU LB NI PL SV"),
        (29, "BR EG PS QA UA"), (30, "JO KW MU YE"), (31, "MT SC"), (32, "LC"), (33, "RU"),
    )
    for country in countries.split()
}  # fmt: skip


_START: Final = re.compile(rb"\b[A-Za-z]{2}[0-9]{2}(?= ?[A-Za-z0-9])")
_WRITTEN: Final = re.compile(rb"[A-Za-z0-9](?: ?[A-Za-z0-9])*")
_LONGEST: Final = 2 * 34
_VALUES: Final = {ord(character): str(int(character, 36)) for character in string.ascii_letters}


def _scan(data: bytes) -> Iterator[Extent]:
    end = 0
    for start in _START.finditer(data):
        if start.start() >= end and (found := _at(data, start.start())) is not None:
            yield found
            end = found[1]


def _at(data: bytes, start: int) -> Extent | None:
    """Cut what begins here to the length of its country, and check it."""
    length = _LENGTHS.get(data[start : start + 2].upper())
    written = _WRITTEN.match(data, start, start + _LONGEST) if length else None
    if length is None or written is None:
        return None
    end = start + length
    while (missing := length - (end - start) + data.count(b" ", start, end)) and end <= written.end():
        end += missing
    number = data[start:end].replace(b" ", b"")
    if end > written.end() or len(number) != length or alphanumeric_at(data, end):
        return None
    return (start, end) if _remainder(number.decode("ascii")) == 1 else None


def _remainder(number: str) -> int:
    return int((number[4:] + number[:4]).translate(_VALUES)) % 97


IBAN: Final = Detector(pattern(r"(?i)\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11}"), scan=_scan)
