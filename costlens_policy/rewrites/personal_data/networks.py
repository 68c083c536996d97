"""Addresses of the internet protocol, and credentials inside URLs."""

from __future__ import annotations

import ipaddress
from typing import Final

from costlens_policy.rewrites.personal_data.detector import Detector, Extent, alphanumeric_at, digit_at, pattern

__all__ = ["IPV4", "IPV6", "URL_CREDENTIALS"]

_LONGEST_IPV6: Final = 45


def _accept_ipv4(data: bytes, start: int, end: int) -> Extent | None:
    """Refuse what goes on with further numbers, such as a version or an object identifier."""
    before = start and data[start - 1] == 0x2E and digit_at(data, start - 2)
    after = data[end : end + 1] == b"." and digit_at(data, end + 1)
    if before or after or any(int(number) > 255 for number in data[start:end].split(b".")):
        return None
    return start, end


def _accept_ipv6(data: bytes, start: int, end: int) -> Extent | None:
    """Trim the punctuation of the sentence, then let the standard library decide."""
    text = data[start:end]
    if text.startswith(b":") and not text.startswith(b"::"):
        start += 1
    while end > start and (data[end - 1] == 0x2E or (data[end - 1] == 0x3A and data[end - 2 : end] != b"::")):
        end -= 1
    if end - start > _LONGEST_IPV6 or alphanumeric_at(data, start - 1) or alphanumeric_at(data, end):
        return None
    text = data[start:end]
    if not any(0x30 <= byte <= 0x39 for byte in text) or (len(text) < 4 and text != b"::1"):
        return None  # `a::b` and `[::2]` are words of programming languages
    try:
        ipaddress.IPv6Address(text.decode("ascii"))
    except ValueError:
        return None
    return start, end


def _accept_credentials(data: bytes, start: int, end: int) -> Extent | None:
    """Return what stands between ``://`` and ``@``."""
    return data.index(b"://", start, end) + 3, end - 1


IPV4: Final = Detector(pattern(r"\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\b"), _accept_ipv4)
IPV6: Final = Detector(
    pattern(r"[0-9A-Fa-f:]*::[0-9A-Fa-f:.]*|:?(?:[0-9A-Fa-f]{1,4}:){6,7}[0-9A-Fa-f.]+:?"), _accept_ipv6, lengthy=True
)
URL_CREDENTIALS: Final = Detector(
    pattern(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#\"'<>\[\]:@]*:[^\s/?#\"'<>\[\]]+@"), _accept_credentials, lengthy=True
)
