"""Social security numbers of the United States."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from costlens_policy.rewrites.personal_data.detector import Detector, Extent, digit_at, pattern

__all__ = ["US_SSN", "US_SSN_NAMED"]


_NAMED: Final = re.compile(rb"(?i)(?:ssn|social security)[^0-9]*\Z")
_WRITTEN: Final = re.compile(rb"\b(?=(?:[0-9]{3}-[0-9]{2}-|[0-9]{3} [0-9]{2} )[0-9]{4}\b)")
_LOOK_BACK: Final = 32


def _accept(data: bytes, start: int, end: int) -> Extent | None:
    """Refuse what is never issued, parts of longer numbers, and numbers with spaces that nothing names."""
    if data[start + 3] == 0x20 and not _NAMED.search(data, max(0, start - _LOOK_BACK), start):
        return None
    area, group, serial = data[start : start + 3], data[start + 4 : start + 6], data[start + 7 : end]
    if area in (b"000", b"666") or area[0] == 0x39 or group == b"00" or serial == b"0000":
        return None
    linked = data[start - 1 : start] == b"-" and digit_at(data, start - 2)
    goes_on = data[end : end + 1] == b"-" and digit_at(data, end + 1)
    return None if linked or goes_on else (start, end)


def _accept_named(data: bytes, start: int, end: int) -> Extent | None:
    """Return the digits behind the name."""
    digits = end - 9
    area, group, serial = data[digits : digits + 3], data[digits + 3 : digits + 5], data[digits + 5 : end]
    issued = area not in (b"000", b"666") and area[0] != 0x39 and group != b"00" and serial != b"0000"
    return (digits, end) if issued else None


def _scan(data: bytes) -> Iterator[Extent]:
    end = 0
    for match in _WRITTEN.finditer(data):
        if match.start() >= end and (found := _accept(data, match.start(), match.start() + 11)) is not None:
            yield found
            end = found[1]


US_SSN: Final = Detector(
    pattern(r"\b(?:[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{3} [0-9]{2} [0-9]{4})\b"),
    scan=_scan,
)
US_SSN_NAMED: Final = Detector(
    pattern(
        r"(?i)\b(?:ssn|social[ _-]security)(?:[ _-]?(?:no\.?|number))?(?:[ \t]+is)?[ \t]*[:#=]{0,2}[ \t]*[0-9]{9}\b"
    ),
    _accept_named,
)
"""The same without hyphens, behind a word that says what it is."""
