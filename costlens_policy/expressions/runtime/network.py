"""The network extension: addresses, and ranges of them."""

from __future__ import annotations

import re
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_interface,
)
from typing import Any, Final, TypeAlias

from costlens_policy.expressions.errors import BAD_CONVERSION, CelError
from costlens_policy.expressions.runtime.functions import implements

__all__ = ["parse_cidr", "parse_ip"]

Address: TypeAlias = IPv4Address | IPv6Address
Range: TypeAlias = IPv4Interface | IPv6Interface

_LONGEST_TEXT: Final = 64
_PREFIX: Final = re.compile(r"[^/%]+/(0|[1-9]\d{0,2})", re.ASCII)
_BROADCAST: Final = IPv4Address("255.255.255.255")
_LINK_LOCAL_MULTICAST: Final = {4: (8, 0xE00000), 6: (112, 0xFF02)}
"""By family: how many low bits are free, and what the others are."""


@implements("string_to_ip")
def parse_ip(text: str) -> Address:
    """Read an address: no zone, and no IPv4 address inside an IPv6 one. Raises CelError."""
    if _is_strict(text) and "/" not in text:
        try:
            return ip_address(text)
        except ValueError:
            pass  # its message repeats the text
    raise CelError(BAD_CONVERSION, "the text is not an IP address")


@implements("string_to_cidr")
def parse_cidr(text: str) -> Range:
    """Read a range such as ``10.0.0.0/8``; host bits may be set. Raises CelError."""
    if _is_strict(text) and _PREFIX.fullmatch(text):
        try:
            return ip_interface(text)
        except ValueError:
            pass  # its message repeats the text
    raise CelError(BAD_CONVERSION, "the text is not a CIDR range")


def _is_strict(text: str) -> bool:
    return len(text) <= _LONGEST_TEXT and "%" not in text and not (":" in text and "." in text)


@implements("is_ip")
def is_ip(text: str) -> bool:
    try:
        return bool(parse_ip(text))
    except CelError:
        return False


@implements("is_cidr")
def is_cidr(text: str) -> bool:
    try:
        return bool(parse_cidr(text))
    except CelError:
        return False


@implements("ip_is_canonical")
def is_canonical(text: str) -> bool:
    return str(parse_ip(text)) == text


@implements("ip_family")
def family(address: Address) -> int:
    return address.version


@implements("ip_is_unspecified")
def is_unspecified(address: Address) -> bool:
    return address.is_unspecified


@implements("ip_is_loopback")
def is_loopback(address: Address) -> bool:
    return address.is_loopback


@implements("ip_is_link_local_unicast")
def is_link_local_unicast(address: Address) -> bool:
    return address.is_link_local


@implements("ip_is_link_local_multicast")
def is_link_local_multicast(address: Address) -> bool:
    free, fixed = _LINK_LOCAL_MULTICAST[address.version]
    return int(address) >> free == fixed


@implements("ip_is_global_unicast")
def is_global_unicast(address: Address) -> bool:
    """Return whether it is an address of one host; private ones are, as RFC 4291 counts."""
    return not (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
        or address == _BROADCAST
    )


@implements("cidr_ip")
def address_of(within: Range) -> Address:
    return within.ip


@implements("cidr_masked")
def masked(within: Range) -> Range:
    return ip_interface(within.network)


@implements("cidr_prefix_length")
def prefix_length(within: Range) -> int:
    return within.network.prefixlen


@implements("cidr_contains_ip_ip")
def contains_ip(within: Range, address: Any) -> bool:
    return address in within.network


@implements("cidr_contains_ip_string")
def contains_ip_text(within: Range, text: str) -> bool:
    return contains_ip(within, parse_ip(text))


@implements("cidr_contains_cidr_cidr")
def contains_cidr(within: Range, other: Any) -> bool:
    return within.version == other.version and bool(other.network.subnet_of(within.network))


@implements("cidr_contains_cidr_string")
def contains_cidr_text(within: Range, text: str) -> bool:
    return contains_cidr(within, parse_cidr(text))
