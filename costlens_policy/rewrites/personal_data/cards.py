"""Numbers of payment cards: prefix and length of a network, and the check digit (Luhn)."""

from __future__ import annotations

from typing import Final

from costlens_policy.rewrites.personal_data.detector import Detector, Extent, digit_at, pattern

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


def _accept(data: bytes, start: int, end: int) -> Extent | None:
    if (start and data[start - 1] in b".-" and digit_at(data, start - 2)) or _goes_on(data, end):
        return None
    if _is_card(data[start:end]):
        return start, end
    shorter = max(data.rfind(b" ", start, end), start)  # the security code may follow
    return (start, shorter) if _is_card(data[start:shorter]) else None


def _goes_on(data: bytes, end: int) -> bool:
    return data[end : end + 1] in (b".", b"-") and digit_at(data, end + 1)


def _is_card(text: bytes) -> bool:
    digits = text.translate(None, b" -").decode("ascii")
    known = any(
        len(digits) in lengths and low <= int(digits[: len(str(low))]) <= high for low, high, lengths in _NETWORKS
    )
    return known and _luhn(digits)


def _luhn(digits: str) -> bool:
    odd = sum(map(int, digits[-1::-2]))
    even = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (odd + even) % 10 == 0


CREDIT_CARD: Final = Detector(
    pattern(
        r"\b(?:[2-6][0-9]{12,18}"
        r"|[2-6][0-9]{3}[ -][0-9]{4}[ -][0-9]{4}[ -][0-9]{4}(?:[ -][0-9]{3})?"
        r"|3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5})\b"
    ),
    _accept,
)
