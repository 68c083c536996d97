"""Telephone numbers by the numbering plans of countries, with the library ``phonenumbers`` (extra ``pii``).

It knows which numbers a country has given out, so it tells ``612 345 678`` from an amount, which no pattern can. A
policy names the countries; without any, the library is not asked, so that decisions never depend on what is installed.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from costlens_policy.rewrites.errors import NOT_FINISHED, RewriteError
from costlens_policy.rewrites.personal_data.detector import Detector, Extent, pattern
from costlens_policy.rewrites.personal_data.phone import before_date, is_free, stops

__all__ = ["MISSING", "numbers_of", "unknown_region"]

MISSING: Final = "`regions` of `redact` needs the extra: `pip install 'costlens-policy[pii]'`"
_RUN: Final = re.compile(rb"(?<![\w+])[+(]?[0-9]+(?:[ ./()-]{1,3}[0-9]+)*(?!\w)")
_GROUP: Final = re.compile(rb"[0-9]+")
_FEWEST: Final = 7
_MOST: Final = 15
_MOST_TRIES: Final = 20_000
"""Numbers of one text that the library is asked about: each takes about 25 µs and country."""


def _library() -> Any:
    try:
        return importlib.import_module("phonenumbers")
    except ImportError:
        raise RewriteError(NOT_FINISHED, MISSING) from None


def unknown_region(regions: Sequence[str]) -> str | None:
    """Return the first code that is no country of the library. Raises ``RewriteError`` where it is not installed."""
    known = _library().SUPPORTED_REGIONS
    return next((region for region in regions if region not in known), None)


@lru_cache(64)
def numbers_of(regions: tuple[str, ...]) -> Detector:
    """Return what finds the numbers of countries, in groups as people write them."""
    return Detector(pattern(r"[0-9](?:[ ./()-]{0,3}[0-9]){6}"), scan=lambda data: _scan(data, regions))


def _scan(data: bytes, regions: Sequence[str]) -> Iterator[Extent]:
    library = _library()
    tries = 0
    for run in _RUN.finditer(data):
        groups = [group.span() for group in _GROUP.finditer(data, *run.span())]
        index = 0
        while index < len(groups):
            taken = 0
            for count in _counts(data, groups, index):
                start, end = groups[index][0], groups[index + count - 1][1]
                start -= data[start - 1 : start] in (b"+", b"(") and start > run.start()
                tries += len(regions)
                if tries > _MOST_TRIES:
                    raise RewriteError(NOT_FINISHED, "a text has more numbers than telephone numbers are looked for in")
                if _is_number(library, data[start:end].decode("ascii"), regions) and is_free(data, start):
                    bare = data[start] == 0x28 and b")" not in data[start:end]
                    yield start + bare, end
                    taken = count
                    break
            index += taken or 1


def _counts(data: bytes, groups: Sequence[Extent], index: int) -> Iterator[int]:
    """Yield how many groups from one on may be a number, most first; a plain number without groups is none."""
    sizes = [last - first for first, last in groups[index : index + _MOST]]
    date = before_date(data, list(groups[index : index + _MOST]))
    fitting = [count for count in range(1, date + 1) if _FEWEST <= sum(sizes[:count]) <= _MOST]
    signed = data[groups[index][0] - 1 : groups[index][0]] in (b"+", b"(")
    for count in reversed(fitting):
        if (count > 1 or signed) and (index + count < len(groups) or stops(data, groups[index + count - 1][1])):
            yield count


def _is_number(library: Any, text: str, regions: Sequence[str]) -> bool:
    for region in regions:
        try:
            number = library.parse(text, region)
        except library.NumberParseException:
            continue
        if library.is_valid_number(number):
            return True
    return False
