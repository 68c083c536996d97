"""The network extension: addresses and their ranges."""

from __future__ import annotations

from costlens_policy.expressions.notation import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "ip", "an address, or that of a range", string_to_ip="(string) -> net.IP", cidr_ip="net.CIDR.() -> net.IP"
    ),
    function("isIP", "whether a text is an address", is_ip="(string) -> bool"),
    function(
        "ip.isCanonical", "whether an address is written the one canonical way", ip_is_canonical="(string) -> bool"
    ),
    function("family", "4 or 6", ip_family="net.IP.() -> int"),
    function("isUnspecified", "whether it is the address of nothing", ip_is_unspecified="net.IP.() -> bool"),
    function("isLoopback", "whether it stays on the host", ip_is_loopback="net.IP.() -> bool"),
    function("isGlobalUnicast", "whether it is a global unicast address", ip_is_global_unicast="net.IP.() -> bool"),
    function(
        "isLinkLocalMulticast",
        "whether it is multicast on the link",
        ip_is_link_local_multicast="net.IP.() -> bool",
    ),
    function("isLinkLocalUnicast", "whether it is unicast on the link", ip_is_link_local_unicast="net.IP.() -> bool"),
    function("cidr", "a range of addresses", string_to_cidr="(string) -> net.CIDR"),
    function("isCIDR", "whether a text is a range of addresses", is_cidr="(string) -> bool"),
    function(
        "containsIP",
        "whether an address is within a range",
        cidr_contains_ip_ip="net.CIDR.(net.IP) -> bool",
        cidr_contains_ip_string="net.CIDR.(string) -> bool",
    ),
    function(
        "containsCIDR",
        "whether a range is within another",
        cidr_contains_cidr_cidr="net.CIDR.(net.CIDR) -> bool",
        cidr_contains_cidr_string="net.CIDR.(string) -> bool",
    ),
    function("masked", "the range with its host bits cleared", cidr_masked="net.CIDR.() -> net.CIDR"),
    function("prefixLength", "number of fixed bits", cidr_prefix_length="net.CIDR.() -> int"),
)
