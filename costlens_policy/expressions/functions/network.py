"""The network extension: addresses and their ranges."""

from __future__ import annotations

from costlens_policy.expressions.functions import costs
from costlens_policy.expressions.functions.rows import ReadLiteral, function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "ip",
        "an address, or that of a range",
        cost=costs.scan,
        constant_time=True,
        string_to_ip=ReadLiteral("(string) -> net.IP", "an address", 'write "10.0.0.1" or "2001:db8::1"'),
        cidr_ip="net.CIDR.() -> net.IP",
    ),
    function(
        "isIP",
        "whether a text is an address",
        cost=costs.scan,
        constant_time=True,
        is_ip="(string) -> bool",
    ),
    function(
        "ip.isCanonical",
        "whether an address is written the one canonical way",
        cost=costs.scan,
        constant_time=True,
        ip_is_canonical="(string) -> bool",
    ),
    function(
        "family",
        "4 or 6",
        cost=costs.constant,
        ip_family="net.IP.() -> int",
    ),
    function(
        "isUnspecified",
        "whether it is the address of nothing",
        cost=costs.constant,
        ip_is_unspecified="net.IP.() -> bool",
    ),
    function(
        "isLoopback",
        "whether it stays on the host",
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
        "whether it is multicast on the link",
        cost=costs.constant,
        ip_is_link_local_multicast="net.IP.() -> bool",
    ),
    function(
        "isLinkLocalUnicast",
        "whether it is unicast on the link",
        cost=costs.constant,
        ip_is_link_local_unicast="net.IP.() -> bool",
    ),
    function(
        "cidr",
        "a range of addresses",
        cost=costs.scan,
        constant_time=True,
        string_to_cidr=ReadLiteral(
            "(string) -> net.CIDR", "a range of addresses", 'write "10.0.0.0/8" or "2001:db8::/32"'
        ),
    ),
    function(
        "isCIDR",
        "whether a text is a range of addresses",
        cost=costs.scan,
        constant_time=True,
        is_cidr="(string) -> bool",
    ),
    function(
        "containsIP",
        "whether an address is within a range",
        cost=costs.scan,
        constant_time=True,
        cidr_contains_ip_ip="net.CIDR.(net.IP) -> bool",
        cidr_contains_ip_string="net.CIDR.(string) -> bool",
    ),
    function(
        "containsCIDR",
        "whether a range is within another",
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
        "number of fixed bits",
        cost=costs.constant,
        cidr_prefix_length="net.CIDR.() -> int",
    ),
)
