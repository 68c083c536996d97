"""Phone numbers: international ones, and national ones in the forms in which people write them.

A number needs something that other numbers do not have: a leading ``+``, a trunk ``0`` with separators, an area code in
parentheses, the groups of North America or of Chinese mobiles, or a word such as ``phone`` before it. Dates, plain
numbers and what is called an order or an invoice are let through.

Where a policy names countries, the library ``phonenumbers`` (extra ``pii``) is asked, too: it knows which numbers a
country has given out, so it distinguishes ``612 345 678`` from an amount, which no pattern can. Without any, it is not
asked, so that decisions never depend on what is installed.
"""

from __future__ import annotations

import importlib
import itertools
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from costlens_policy.rewrites.content import NOT_FINISHED, RewriteError
from costlens_policy.rewrites.personal_data.detector import Detector, Extent, alphanumeric_at, digit_at, pattern

__all__ = ["PHONES", "numbers_of", "unknown_region"]

_GAP: Final = r"[ \x{a0}\x{2009}\x{202f}./\-\x{2010}-\x{2013}()]{0,3}"
_LOOSE: Final = re.compile(
    rb"(?:(?<!\+)\+(?=[1-9])|\((?=0[0-9])|(?<![0-9A-Za-z_])(?=0[0-9]))([0-9]+)"
    rb"(?:(?:[ ./()-]|\xc2\xa0|\xe2\x80[\x89\xaf\x90-\x93]){0,3}[0-9]){0,16}"
)
_NO_DIGITS: Final = bytes(byte for byte in range(256) if not 0x30 <= byte <= 0x39)
_DIGITS: Final = re.compile(rb"[0-9]+")
_NAMED: Final = re.compile(rb"\+?[0-9]+")
_OTHER_NUMBER: Final = re.compile(
    rb"(?i)(?:\b(?:order|invoice|ticket|ref|reference|id|sku|isbn|issn|serial|account|tracking|version|case|item|part)"
    rb"(?: ?(?:no|nr|number|id))?[.:#= ]{0,3}|[#@$/*^%_-]|[0-9](?:[.,:]|\xc2\xa0|\xe2\x80[\x89\xaf]))\Z"
)
"""What stands before numbers of other kinds."""
_LOOK_BACK: Final = 24
_LENGTHS: Final = {"+": (8, 15), "00": (10, 15), "0": (9, 12)}
"""Fewest and most digits, by what the number begins with."""

_MISSING: Final = "`regions` of `redact` needs the extra: `pip install 'costlens-policy[pii]'`"
_GROUPS_RUN: Final = re.compile(rb"(?<![\w+])[+(]?[0-9]+(?:[ ./()-]{1,3}[0-9]+)*(?!\w)")
_FEWEST_DIGITS: Final = 7
_MOST_DIGITS: Final = 15
_MOST_TRIES: Final = 20_000
"""Numbers of one text that the library is asked about: each takes about 25 µs and country."""


def _accept_written(data: bytes, start: int, end: int) -> Extent | None:
    """Decide about a number in one of the fixed forms."""
    digits = data[start:end].translate(None, b" .()-")
    if not 9 <= len(digits) <= 11 or len(set(digits)) < 3 or not _is_free(data, start):
        return None
    return (start, end) if _stops(data, end) else None


def _scan_loose(data: bytes) -> Iterator[Extent]:
    """Find the longest plausible numbers in digits and separators that begin with ``+``, ``(0`` or ``0``."""
    at = 0
    while (match := _LOOSE.search(data, at)) is not None:
        start, end = match.span()
        found = _number(data, start, end) if len(_distinct(data[start:end])) >= 3 else None
        if found is not None:
            yield found
        at = max(found[1], start + 1) if found is not None else match.end(1)


def _number(data: bytes, start: int, end: int) -> Extent | None:
    run = _Run(data, start, [match.span() for match in _DIGITS.finditer(data, start, end)])
    for count in range(run.before_date, 0, -1):
        if run.has_fitting_length(count) and run.may_end(count) and run.is_plausible(count):
            if not _is_free(data, start):
                return None
            last = run.groups[count - 1][1]
            bare = data[start] == 0x28 and b")" not in data[start:last]
            return (start + 1 if bare else start), last
    return None


def _distinct(text: bytes) -> set[int]:
    return set(text.translate(None, _NO_DIGITS))


def _accept_named(data: bytes, start: int, end: int) -> Extent | None:
    """Return the digits behind the word."""
    digits = _NAMED.search(data, start, end)
    return digits.span() if digits else None


def _is_free(data: bytes, start: int) -> bool:
    """Return whether nothing before shows that this is, or belongs to, another kind of number."""
    return not alphanumeric_at(data, start - 1) and not _OTHER_NUMBER.search(data, max(0, start - _LOOK_BACK), start)


def _stops(data: bytes, end: int) -> bool:
    """Return whether no longer number or time goes on here."""
    return not alphanumeric_at(data, end) and not (data[end : end + 1] in b"./-:" and digit_at(data, end + 1))


class _Run:
    """Groups of digits with separators between them; the number may be all of them, or only the first ones."""

    __slots__ = ("before_date", "data", "first", "groups", "kind", "lengths")

    def __init__(self, data: bytes, start: int, groups: list[Extent]) -> None:
        self.data = data
        self.first = groups[0][0]
        self.groups = groups
        self.before_date = _before_date(data, groups)
        self.lengths = tuple(itertools.accumulate(last - first for first, last in groups))
        """How many digits the first groups have together."""
        if data[start] == 0x2B:
            self.kind = "+"
        else:
            self.kind = "00" if data.startswith(b"00", self.first) else "0"

    def has_fitting_length(self, count: int) -> bool:
        """Return whether the first groups have as many digits as a number of this kind."""
        fewest, most = _LENGTHS[self.kind]
        return fewest <= self.lengths[count - 1] <= most

    def may_end(self, count: int) -> bool:
        """Return whether the number may end after so many groups, though others may follow."""
        end = self.groups[count - 1][1]
        if count == len(self.groups):
            return _stops(self.data, end)
        if self.data[end : end + 1] not in (b" ", b"\xc2", b"\xe2"):
            return False
        first, last = self.groups[count]
        starts_anew = self.data[first] == 0x30 and last - first > 2
        if self.kind == "+" or count == self.before_date or starts_anew:
            return True
        return b" " not in self.data[self.first : end]

    def is_plausible(self, count: int) -> bool:
        """Check the digits, and for numbers without a ``+`` the separators."""
        groups = self.groups[:count]
        if len(set(b"".join(self.data[first:last] for first, last in groups))) < 3:
            return False
        if self.kind == "+":
            return True
        if count == 1:
            return False
        if self.kind == "00":
            return b"-" not in self.data[self.first : groups[-1][1]] and not self.data.startswith(b"000", self.first)
        return self._has_national_form(groups)

    def _has_national_form(self, groups: list[Extent]) -> bool:
        sizes = [last - first for first, last in groups]
        gaps = {self.data[one[1] : two[0]] for one, two in itertools.pairwise(groups)}
        if gaps == {b"."}:
            return len(groups) > 2 and not (len(groups) == 4 and max(sizes) <= 3)
        if len(set(sizes)) == 1 and digit_at(self.data, self.first - 2):
            return False  # the rest of a longer list, or of a number in groups of three
        if set(sizes) == {2}:
            return len(groups) == 5
        return sizes != [5, 4]  # a ZIP code


def _before_date(data: bytes, groups: list[Extent]) -> int:
    """Return how many groups stand before the first calendar date; all of them where there is none."""
    if not any(sign in data[groups[0][0] : groups[-1][1]] for sign in (b"-", b".", b"/")):
        return len(groups)
    for index in range(len(groups) - 2):
        first, second, third = groups[index : index + 3]
        gap = data[first[1] : second[0]]
        if gap in (b"-", b".", b"/") and gap == data[second[1] : third[0]]:
            parts = [data[start:end] for start, end in (first, second, third)]
            if _is_date([len(part) for part in parts], [int(part) for part in parts]):
                return index
    return len(groups)


def _is_date(sizes: list[int], numbers: list[int]) -> bool:
    if sizes[0] == 4 and sizes[1:] == [2, 2]:
        year, one, other = numbers
    elif max(sizes[:2]) <= 2 and sizes[2] == 4:
        one, other, year = numbers
    else:
        return False
    return 1000 <= year < 2200 and 0 < min(one, other) <= 12 and max(one, other) <= 31


PHONES: Final = (
    Detector(pattern(rf"(?:\+[1-9]|(?:\(|\b)0[0-9])(?:{_GAP}[0-9]){{7}}"), scan=_scan_loose),
    Detector(
        pattern(
            r"(?:\b1[ .-])?(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}\b"  # North America
            r"|\b1[3-9][0-9][ -][0-9]{4}[ -][0-9]{4}\b"  # Chinese mobiles
            r"|\([1-9][0-9]{1,2}\) ?[0-9]{3,5}(?:[ -][0-9]{2,4}){1,3}\b"
        ),
        _accept_written,
    ),
    Detector(
        pattern(
            r"(?i)\b(?:tel|telephone|telefon|phone|mobile|cell|fax|whatsapp|handy)(?: ?(?:no|nr|number|nummer|is))?"
            r"[.:#\"'= ]{1,5}\+?[0-9]{7,15}\b"
        ),
        _accept_named,
    ),
)


def _library() -> Any:
    try:
        return importlib.import_module("phonenumbers")
    except ImportError:
        raise RewriteError(NOT_FINISHED, _MISSING) from None


def unknown_region(regions: Sequence[str]) -> str | None:
    """Return the first code that is no country of the library. Raises ``RewriteError`` where it is not installed."""
    known = _library().SUPPORTED_REGIONS
    return next((region for region in regions if region not in known), None)


@lru_cache(64)
def numbers_of(regions: tuple[str, ...]) -> Detector:
    """Return what finds the numbers of countries, in groups as people write them."""
    return Detector(pattern(r"[0-9](?:[ ./()-]{0,3}[0-9]){6}"), scan=lambda data: _scan_numbers(data, regions))


def _scan_numbers(data: bytes, regions: Sequence[str]) -> Iterator[Extent]:
    library = _library()
    tries = 0
    for run in _GROUPS_RUN.finditer(data):
        groups = [group.span() for group in _DIGITS.finditer(data, *run.span())]
        index = 0
        while index < len(groups):
            taken = 0
            for count in _counts(data, groups, index):
                start, end = groups[index][0], groups[index + count - 1][1]
                start -= data[start - 1 : start] in (b"+", b"(") and start > run.start()
                tries += len(regions)
                if tries > _MOST_TRIES:
                    raise RewriteError(NOT_FINISHED, "a text has too many numbers to look for phone numbers")
                if _is_number(library, data[start:end].decode("ascii"), regions) and _is_free(data, start):
                    bare = data[start] == 0x28 and b")" not in data[start:end]
                    yield start + bare, end
                    taken = count
                    break
            index += taken or 1


def _counts(data: bytes, groups: Sequence[Extent], index: int) -> Iterator[int]:
    """Yield how many groups from one on may be a number, most first; a plain number without groups is none."""
    sizes = [last - first for first, last in groups[index : index + _MOST_DIGITS]]
    date = _before_date(data, list(groups[index : index + _MOST_DIGITS]))
    fitting = [count for count in range(1, date + 1) if _FEWEST_DIGITS <= sum(sizes[:count]) <= _MOST_DIGITS]
    signed = data[groups[index][0] - 1 : groups[index][0]] in (b"+", b"(")
    for count in reversed(fitting):
        if (count > 1 or signed) and (index + count < len(groups) or _stops(data, groups[index + count - 1][1])):
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
