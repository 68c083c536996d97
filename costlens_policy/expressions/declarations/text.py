"""What the specification itself says of strings and of sizes."""

from __future__ import annotations

from costlens_policy.expressions.notation import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "size",
        "number of code points, bytes, elements or entries",
        size_string="(string) -> int",
        size_bytes="(bytes) -> int",
        size_list="(list(<A>)) -> int",
        size_map="(map(<A>, <B>)) -> int",
        string_size="string.() -> int",
        bytes_size="bytes.() -> int",
        list_size="list(<A>).() -> int",
        map_size="map(<A>, <B>).() -> int",
    ),
    function("contains", "whether a text stands in it", contains_string="string.(string) -> bool"),
    function("startsWith", "whether it begins with a text", starts_with_string="string.(string) -> bool"),
    function("endsWith", "whether it ends with a text", ends_with_string="string.(string) -> bool"),
    function(
        "matches",
        "whether an RE2 pattern is found anywhere in it",
        matches="(string, string) -> bool",
        matches_string="string.(string) -> bool",
    ),
)
