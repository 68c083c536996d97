"""Telephone numbers: international ones, and national ones in the forms in which people write them.

A number needs something that other numbers do not have: a leading ``+``, a trunk ``0`` with separators, an area code in
parentheses, the groups of North America or of Chinese mobiles, or a word such as ``phone`` before it. Dates, plain
numbers and what is called an order or an invoice are let through.
"""

from __future__ import annotations

import itertools
import re
from typing import Final, TypeAlias

from costlens_policy.rewrites.personal_data.detector import Detector, Extent, alphanumeric_at, digit_at, pattern

__all__ = ["PHONES"]

_Groups: TypeAlias = list[Extent]
"""The runs of digits in a candidate."""

_GAP: Final = r"[ \x{a0}\x{2009}\x{202f}./\-\x{2010}-\x{2013}()]{0,3}"
_DIGITS: Final = re.compile(rb"[0-9]+")
_NAMED: Final = re.compile(rb"\+?[0-9]+")
_OTHER_NUMBER: Final = re.compile(
    rb"(?i)(?:\b(?:order|invoice|ticket|ref|reference|id|sku|isbn|issn|serial|account|tracking|version|case|item|part)"
    rb"(?: ?(?:no|nr|number|id))?[.:#= ]{0,3}|[#@$/*^%_-]|[0-9][.,])\Z"
)
"""What stands before numbers of other kinds."""
_LOOK_BACK: Final = 24


def _accept_written(data: bytes, start: int, end: int) -> Extent | None:
    """Decide about a number in one of the fixed forms."""
    digits = data[start:end].translate(None, b" .()-")
    if not 9 <= len(digits) <= 11 or len(set(digits)) < 3 or not _is_free(data, start):
        return None
    return None if data[end : end + 1] in (b".", b"-", b"/") and digit_at(data, end + 1) else (start, end)


def _accept_loose(data: bytes, start: int, end: int) -> Extent | None:
    """Find the longest plausible number in digits and separators that begin with ``+``, ``(0`` or ``0``."""
    if not _is_free(data, start):
        return None
    groups = [match.span() for match in _DIGITS.finditer(data, start, end)]
    for count in range(_before_date(data, groups), 0, -1):
        if _may_end(data, groups, count) and _is_plausible(data, start, groups[:count]):
            last = groups[count - 1][1]
            bare = data[start] == 0x28 and b")" not in data[start:last]
            return (start + 1 if bare else start), last
    return None


def _accept_named(data: bytes, start: int, end: int) -> Extent | None:
    """Return the digits behind the word."""
    digits = _NAMED.search(data, start, end)
    return digits.span() if digits else None


def _is_free(data: bytes, start: int) -> bool:
    """Say whether nothing before shows that this is, or belongs to, another kind of number."""
    return not alphanumeric_at(data, start - 1) and not _OTHER_NUMBER.search(data, max(0, start - _LOOK_BACK), start)


def _may_end(data: bytes, groups: _Groups, count: int) -> bool:
    """Say whether the number may end after so many groups, though others may follow."""
    end = groups[count - 1][1]
    if count == len(groups):
        return not alphanumeric_at(data, end) and not (data[end : end + 1] in b"./-" and digit_at(data, end + 1))
    following = groups[count]
    if data[end : end + 1] not in (b" ", b"\xc2", b"\xe2"):
        return False
    if data[groups[0][0] - 1] == 0x2B or count == _before_date(data, groups):
        return True
    starts_anew = data[following[0]] == 0x30 and following[1] - following[0] > 1
    return starts_anew or b" " not in data[groups[0][0] : end]


def _is_plausible(data: bytes, start: int, groups: _Groups) -> bool:
    """Check the digits, and for national numbers the separators."""
    digits = b"".join(data[first:last] for first, last in groups)
    if len(set(digits)) < 3:
        return False
    if data[start] == 0x2B:
        return 8 <= len(digits) <= 15
    if digits.startswith(b"00"):
        return (
            10 <= len(digits) <= 15
            and digits[2] != 0x30
            and len(groups) > 1
            and b"-" not in data[start : groups[-1][1]]
        )
    return 9 <= len(digits) <= 12 and _has_national_form(data, groups)


def _has_national_form(data: bytes, groups: _Groups) -> bool:
    sizes = [last - first for first, last in groups]
    gaps = {data[one[1] : two[0]] for one, two in itertools.pairwise(groups)}
    if gaps == {b"."}:
        return len(groups) > 2 and not (len(groups) == 4 and max(sizes) <= 3)
    if set(sizes) == {2}:
        return len(groups) == 5
    return len(groups) > 1


def _before_date(data: bytes, groups: _Groups) -> int:
    """Return how many groups stand before the first calendar date; all of them where there is none."""
    for index in range(len(groups) - 2):
        first, second, third = groups[index : index + 3]
        gap = data[first[1] : second[0]]
        if gap in (b"-", b".", b"/") and gap == data[second[1] : third[0]]:
            parts = [data[start:end] for start, end in (first, second, third)]
            if _is_date([len(part) for part in parts], [int(part) for part in parts]):
                return index
    return len(groups)


def _is_date(sizes: list[int], numbers: list[int]) -> bool:
    if sizes[0] == 4:
        year, month, day = numbers
        return sizes[1:] == [2, 2] and 0 < month <= 12 and 0 < day <= 31 and 1000 <= year < 2200
    one, other, year = numbers
    return (
        max(sizes[:2]) <= 2
        and sizes[2] == 4
        and 1000 <= year < 2200
        and 0 < min(one, other) <= 12
        and max(one, other) <= 31
    )


PHONES: Final = (
    Detector(
        pattern(
            r"(?:\b1[ .-])?(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}\b"  # North America
            r"|\b1[3-9][0-9][ -][0-9]{4}[ -][0-9]{4}\b"  # Chinese mobiles
            r"|\([1-9][0-9]{1,2}\) ?[0-9]{3,5}(?:[ -][0-9]{2,4}){1,3}\b"
        ),
        _accept_written,
    ),
    Detector(pattern(rf"(?:\+[1-9]|(?:\(|\b)0)(?:{_GAP}[0-9]){{7,24}}"), _accept_loose),
    Detector(
        pattern(
            r"(?i)\b(?:tel|telephone|telefon|phone|mobile|cell|fax|whatsapp|handy)(?: ?(?:no|nr|number|nummer|is))?"
            r"[.:#\"'= ]{1,5}\+?[0-9]{7,15}\b"
        ),
        _accept_named,
    ),
)
