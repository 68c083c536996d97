"""International bank account numbers: the length of the country, and the remainder of 97 (ISO 13616)."""

from __future__ import annotations

from typing import Final

from costlens_policy.rewrites.personal_data.detector import Detector, Extent, alphanumeric_at, pattern

__all__ = ["IBAN"]

_LENGTHS: Final = {
    country: length
    for length, countries in (
        (15, "NO"), (16, "BE"), (18, "DK FI FK FO GL NL SD"), (19, "MK SI"),
        (20, "AT BA EE KZ LT LU MN XK"), (21, "CH HR LI LV"), (22, "BG BH CR DE GB GE IE ME RS VA"),
        (23, "AE GI IL IQ OM SO TL"), (24, "AD CZ ES MD PK RO SA SE SK TN VG"), (25, "LY PT ST"),
        (26, "IS TR"), (27, "BI DJ FR GR IT MC MR SM"), (28, "AL AZ BY CY DO GT HU LB NI PL SV"),
        (29, "BR EG PS QA UA"), (30, "JO KW MU YE"), (31, "MT SC"), (32, "LC"), (33, "RU"),
    )
    for country in countries.split()
}  # fmt: skip


def _accept(data: bytes, start: int, end: int) -> Extent | None:
    """Cut the candidate to the length of its country, and check it."""
    length = _LENGTHS.get(data[start : start + 2].decode("ascii").upper())
    if length is None:
        return None
    at = start
    taken = bytearray()
    while at < end and len(taken) < length:
        if data[at] != 0x20:
            taken.append(data[at])
        at += 1
    if len(taken) < length or alphanumeric_at(data, at):
        return None
    return (start, at) if _remainder(taken.decode("ascii")) == 1 else None


def _remainder(number: str) -> int:
    return int("".join(str(int(character, 36)) for character in number[4:] + number[:4])) % 97


IBAN: Final = Detector(pattern(r"(?i)\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,29}"), _accept)
