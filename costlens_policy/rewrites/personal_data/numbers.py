"""Numbers that banks and offices give out, each with a check that distinguishes it from other numbers.

Payment cards have the prefix and the length of a network and a check digit (Luhn), international bank account numbers
(IBAN) the length of their country and a remainder of 97 (ISO 13616); of social security numbers of the United States it
is known which are never issued.
"""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Iterator
from typing import Final

from costlens_policy.rewrites.personal_data.detector import Detector, Extent, alphanumeric_at, digit_at, pattern

__all__ = ["CREDIT_CARD", "IBAN", "US_SSN", "US_SSN_NAMED"]

_NETWORKS: Final = (
    (4, 4, (13, 16, 19)),
    (51, 55, (16,)), (2221, 2720, (16,)),
    (34, 34, (15,)), (37, 37, (15,)),
    (300, 305, (14, 16, 19)), (36, 36, (14, 16, 19)), (38, 39, (14, 16, 19)),
    (3528, 3589, (16, 17, 18, 19)),
    (50, 50, (16, 19)), (56, 58, (16, 19)), (60, 69, (16, 17, 18, 19)),
)  # fmt: skip
"""First and last prefix, and the lengths that its numbers have."""
_FORMS: Final = re.compile(rb"(?s)(?=(\x04\x04\x04\x04\x03?|\x04\x06[\x04\x05]|[\x0d-\x13]))")
"""The sizes of groups that people write; behind four of four, a security code may follow."""
_RUN: Final = re.compile(rb"[0-9]+(?:(?:[ \t-]|[ -]?\r?\n)[0-9]+)*")
_GAP: Final = r"(?:[ \t-]|[ -]?\r?\n)"
_GROUP: Final = re.compile(rb"[0-9]+")
_PLAIN: Final = bytes.maketrans(b"0123456789", bytes(range(10)))
_DOUBLED: Final = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))


def _scan_cards(data: bytes) -> Iterator[Extent]:
    for match in _RUN.finditer(data):
        if match.end() - match.start() >= 13:
            yield from _in_run(data, *match.span())


def _in_run(data: bytes, start: int, end: int) -> Iterator[Extent]:
    """Find the cards in groups of digits with one space, hyphen or line end between them."""
    groups = [group.span() for group in _GROUP.finditer(data, start, end)]
    sizes = [last - first for first, last in groups]
    offsets = list(itertools.accumulate(sizes, initial=0))
    digits = _Digits(data[start:end])
    after = 0
    for form in _FORMS.finditer(bytes([min(size, 255) for size in sizes])):
        index, until = form.span(1)
        if index < after:
            continue
        for last in range(until, until - (2 if until - index == 5 else 1), -1):
            if last - index == 5 and b"\n" in data[groups[last - 2][1] : groups[last - 1][0]]:
                continue  # a security code stands on the line of its number
            if digits.are_card(offsets[index], offsets[last]):
                found = groups[index][0], groups[last - 1][1]
                if _stands_alone(data, *found) and not _is_column(data, *found):
                    yield found
                    after = last
                    break


def _stands_alone(data: bytes, start: int, end: int) -> bool:
    """Return whether no longer number goes on before or after, as an amount or an id would."""
    if alphanumeric_at(data, start - 1) or alphanumeric_at(data, end):
        return False
    before = start and data[start - 1] in b".-" and digit_at(data, start - 2)
    return not before and not (data[end : end + 1] in (b".", b"-") and digit_at(data, end + 1))


def _is_column(data: bytes, start: int, end: int) -> bool:
    """Return whether groups on lines of their own are numbers of a column that goes on before or after."""
    if b"\n" not in data[start:end]:
        return False
    above, below = data[max(0, start - 3) : start].rstrip(b"\r\n"), data[end : end + 3].lstrip(b"\r\n")
    before = data[start - 1 : start] == b"\n" and above[-1:].isdigit()
    return before or (data[end : end + 1] in (b"\r", b"\n") and below[:1].isdigit())


class _Digits:
    """The digits of a run, with sums by which any stretch of them is checked at once."""

    __slots__ = ("_digits", "_sums")

    def __init__(self, run: bytes) -> None:
        self._digits = run.translate(None, b" -\t\r\n")
        plain, doubled = self._digits.translate(_PLAIN), self._digits.translate(_DOUBLED)
        even, odd = bytearray(plain), bytearray(doubled)
        even[1::2], odd[1::2] = doubled[1::2], plain[1::2]
        self._sums = [list(itertools.accumulate(values, initial=0)) for values in (even, odd)]

    def are_card(self, first: int, last: int) -> bool:
        """Check a stretch: counted from its end, every second digit is doubled."""
        sums = self._sums[(last - 1) % 2]
        if (sums[last] - sums[first]) % 10:
            return False
        length, prefix = last - first, int(self._digits[first : first + 4])
        return any(
            length in lengths and low <= prefix // 10 ** (4 - len(str(low))) <= high for low, high, lengths in _NETWORKS
        )


CREDIT_CARD: Final = Detector(
    pattern(
        r"\b(?:[2-6][0-9]{12,18}"
        rf"|[2-6][0-9]{{3}}{_GAP}[0-9]{{4}}{_GAP}[0-9]{{4}}{_GAP}[0-9]{{4}}"
        rf"|3[0-9]{{3}}{_GAP}[0-9]{{6}}{_GAP}[0-9]{{4,5}})\b"
    ),
    scan=_scan_cards,
)

_IBAN_LENGTHS: Final = {
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

_IBAN_START: Final = re.compile(rb"\b[A-Za-z]{2}[0-9]{2}(?= ?[A-Za-z0-9])")
_IBAN_WRITTEN: Final = re.compile(rb"[A-Za-z0-9](?: ?[A-Za-z0-9])*")
_LONGEST_IBAN: Final = 2 * 34
_LETTER_VALUES: Final = {ord(character): str(int(character, 36)) for character in string.ascii_letters}


def _scan_iban(data: bytes) -> Iterator[Extent]:
    end = 0
    for start in _IBAN_START.finditer(data):
        if start.start() >= end and (found := _iban_at(data, start.start())) is not None:
            yield found
            end = found[1]


def _iban_at(data: bytes, start: int) -> Extent | None:
    """Cut what begins here to the length of its country, and check it."""
    length = _IBAN_LENGTHS.get(data[start : start + 2].upper())
    written = _IBAN_WRITTEN.match(data, start, start + _LONGEST_IBAN) if length else None
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
    return int((number[4:] + number[:4]).translate(_LETTER_VALUES)) % 97


IBAN: Final = Detector(pattern(r"(?i)\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11}"), scan=_scan_iban)

_SSN_NAMED: Final = re.compile(rb"(?i)(?:ssn|social security)[^0-9]*\Z")
_SSN_WRITTEN: Final = re.compile(rb"\b(?=(?:[0-9]{3}-[0-9]{2}-|[0-9]{3} [0-9]{2} )[0-9]{4}\b)")
_LOOK_BACK: Final = 32


def _accept_ssn(data: bytes, start: int, end: int) -> Extent | None:
    """Refuse what is never issued, parts of longer numbers, and numbers with spaces that nothing names."""
    if data[start + 3] == 0x20 and not _SSN_NAMED.search(data, max(0, start - _LOOK_BACK), start):
        return None
    area, group, serial = data[start : start + 3], data[start + 4 : start + 6], data[start + 7 : end]
    if area in (b"000", b"666") or area[0] == 0x39 or group == b"00" or serial == b"0000":
        return None
    linked = data[start - 1 : start] == b"-" and digit_at(data, start - 2)
    goes_on = data[end : end + 1] == b"-" and digit_at(data, end + 1)
    return None if linked or goes_on else (start, end)


def _accept_named_ssn(data: bytes, start: int, end: int) -> Extent | None:
    """Return the digits behind the name."""
    digits = end - 9
    area, group, serial = data[digits : digits + 3], data[digits + 3 : digits + 5], data[digits + 5 : end]
    issued = area not in (b"000", b"666") and area[0] != 0x39 and group != b"00" and serial != b"0000"
    return (digits, end) if issued else None


def _scan_ssn(data: bytes) -> Iterator[Extent]:
    end = 0
    for match in _SSN_WRITTEN.finditer(data):
        if match.start() >= end and (found := _accept_ssn(data, match.start(), match.start() + 11)) is not None:
            yield found
            end = found[1]


US_SSN: Final = Detector(
    pattern(r"\b(?:[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{3} [0-9]{2} [0-9]{4})\b"),
    scan=_scan_ssn,
)
US_SSN_NAMED: Final = Detector(
    pattern(
        r"(?i)\b(?:ssn|social[ _-]security)(?:[ _-]?(?:no\.?|number))?(?:[ \t]+is)?[ \t]*[:#=]{0,2}[ \t]*[0-9]{9}\b"
    ),
    _accept_named_ssn,
)
"""The same without hyphens, behind a word that says what it is."""
