"""Strings: those of the specification, the strings extension and the encoders extension."""

from __future__ import annotations

from costlens_policy.expressions.functions import costs
from costlens_policy.expressions.functions.rows import ReadLiteral, function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "contains",
        "whether the string contains another",
        cost=costs.scan,
        contains_string="string.(string) -> bool",
    ),
    function(
        "startsWith",
        "whether the string starts with another",
        cost=costs.scan,
        constant_time=True,
        starts_with_string="string.(string) -> bool",
    ),
    function(
        "endsWith",
        "whether the string ends with another",
        cost=costs.scan,
        constant_time=True,
        ends_with_string="string.(string) -> bool",
    ),
    function(
        "charAt",
        "the character at an index",
        cost=costs.character,
        constant_time=True,
        string_char_at_int="string.(int) -> string",
    ),
    function(
        "indexOf",
        "index of the first occurrence, or -1",
        cost=costs.scan,
        bounds=(-1, 2**48),
        string_index_of_string="string.(string) -> int",
        string_index_of_string_int="string.(string, int) -> int",
    ),
    function(
        "lastIndexOf",
        "index of the last occurrence, or -1",
        cost=costs.scan,
        bounds=(-1, 2**48),
        string_last_index_of_string="string.(string) -> int",
        string_last_index_of_string_int="string.(string, int) -> int",
    ),
    function(
        "join",
        "the strings of a list, joined by a separator",
        cost=costs.joining,
        list_join="list(string).() -> string",
        list_join_string="list(string).(string) -> string",
    ),
    function(
        "lowerAscii",
        "the string with A to Z in lower case",
        cost=costs.same,
        string_lower_ascii="string.() -> string",
    ),
    function(
        "upperAscii",
        "the string with a to z in upper case",
        cost=costs.same,
        string_upper_ascii="string.() -> string",
    ),
    function(
        "replace",
        "the string with all occurrences replaced, or the first few",
        cost=costs.replaced,
        string_replace_string_string="string.(string, string) -> string",
        string_replace_string_string_int="string.(string, string, int) -> string",
    ),
    function(
        "split",
        "the parts between separators, at most as many as given",
        cost=costs.split,
        string_split_string="string.(string) -> list(string)",
        string_split_string_int="string.(string, int) -> list(string)",
    ),
    function(
        "substring",
        "the characters from one index up to, but not including, another",
        cost=costs.same,
        string_substring_int="string.(int) -> string",
        string_substring_int_int="string.(int, int) -> string",
    ),
    function(
        "trim",
        "the string without leading and trailing white space",
        cost=costs.same,
        string_trim="string.() -> string",
    ),
    function(
        "reverse",
        "the characters or elements in reverse order",
        cost=costs.same,
        string_reverse="string.() -> string",
        list_reverse="list(<A>).() -> list(<A>)",
    ),
    function(
        "format",
        "the format string with its clauses, such as `%s`, `%d` and `%.2f`, filled in",
        cost=costs.formatted,
        string_format="string.(list(dyn)) -> string",
    ),
    function(
        "strings.quote",
        "the string as a literal that is safe to print",
        cost=costs.doubled,
        strings_quote="(string) -> string",
    ),
    function(
        "base64.decode",
        "bytes decoded from base64",
        cost=costs.doubled,
        base64_decode_string=ReadLiteral("(string) -> bytes", "base64", ""),
    ),
    function(
        "base64.encode",
        "bytes encoded as base64",
        cost=costs.doubled,
        base64_encode_bytes="(bytes) -> string",
    ),
)
