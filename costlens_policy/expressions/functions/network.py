"""The network extension: IP addresses and CIDR ranges."""

from __future__ import annotations

from costlens_policy.expressions.functions import costs
from costlens_policy.expressions.functions.rows import ReadLiteral, function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "ip",
        "an IP address, from text or of a range",
        cost=costs.scan,
        constant_time=True,
        string_to_ip=ReadLiteral("(string) -> net.IP", "an address", 'write "10.0.0.1" or "2001:db8::1"'),
        cidr_ip="net.CIDR.() -> net.IP",
    ),
    function(
        "isIP",
        "whether a string is an IP address",
        cost=costs.scan,
        constant_time=True,
        is_ip="(string) -> bool",
    ),
    function(
        "ip.isCanonical",
        "whether a string is an IP address in canonical form",
        cost=costs.scan,
        constant_time=True,
        ip_is_canonical="(string) -> bool",
    ),
    function(
        "family",
        "4 for IPv4, 6 for IPv6",
        cost=costs.constant,
        ip_family="net.IP.() -> int",
    ),
    function(
        "isUnspecified",
        "whether it is the unspecified address",
        cost=costs.constant,
        ip_is_unspecified="net.IP.() -> bool",
    ),
    function(
        "isLoopback",
        "whether it is a loopback address",
        cost=costs.constant,
        ip_is_loopback="net.IP.() -> bool",
    ),
    function(
        "isGlobalUnicast",
        "whether it is a global unicast address",
        cost=costs.constant,
        ip_is_global_unicast="net.IP.() -> bool",
    ),
    function(
        "isLinkLocalMulticast",
        "whether it is a link-local multicast address",
        cost=costs.constant,
        ip_is_link_local_multicast="net.IP.() -> bool",
    ),
    function(
        "isLinkLocalUnicast",
        "whether it is a link-local unicast address",
        cost=costs.constant,
        ip_is_link_local_unicast="net.IP.() -> bool",
    ),
    function(
        "cidr",
        "a CIDR range",
        cost=costs.scan,
        constant_time=True,
        string_to_cidr=ReadLiteral(
            "(string) -> net.CIDR", "a range of addresses", 'write "10.0.0.0/8" or "2001:db8::/32"'
        ),
    ),
    function(
        "isCIDR",
        "whether a string is a CIDR range",
        cost=costs.scan,
        constant_time=True,
        is_cidr="(string) -> bool",
    ),
    function(
        "containsIP",
        "whether the range contains an address",
        cost=costs.scan,
        constant_time=True,
        cidr_contains_ip_ip="net.CIDR.(net.IP) -> bool",
        cidr_contains_ip_string="net.CIDR.(string) -> bool",
    ),
    function(
        "containsCIDR",
        "whether the range contains another",
        cost=costs.scan,
        constant_time=True,
        cidr_contains_cidr_cidr="net.CIDR.(net.CIDR) -> bool",
        cidr_contains_cidr_string="net.CIDR.(string) -> bool",
    ),
    function(
        "masked",
        "the range with its host bits cleared",
        cost=costs.constant,
        cidr_masked="net.CIDR.() -> net.CIDR",
    ),
    function(
        "prefixLength",
        "length of the prefix, in bits",
        cost=costs.constant,
        cidr_prefix_length="net.CIDR.() -> int",
    ),
)
