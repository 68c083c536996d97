"""Numbers of payment cards: prefix and length of a network, and the check digit (Luhn)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Final

from costlens_policy.rewrites.personal_data.detector import Detector, Extent, alphanumeric_at, digit_at, pattern

__all__ = ["CREDIT_CARD"]

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


def _scan(data: bytes) -> Iterator[Extent]:
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
    """Say whether no longer number goes on before or after, as an amount or an id would."""
    if alphanumeric_at(data, start - 1) or alphanumeric_at(data, end):
        return False
    before = start and data[start - 1] in b".-" and digit_at(data, start - 2)
    return not before and not (data[end : end + 1] in (b".", b"-") and digit_at(data, end + 1))


def _is_column(data: bytes, start: int, end: int) -> bool:
    """Say whether groups on lines of their own are numbers of a column that goes on before or after."""
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
    scan=_scan,
)
