"""Strings: what the specification has, the strings extension and the encoders extension."""

from __future__ import annotations

from costlens_policy.expressions.functions import costs
from costlens_policy.expressions.functions.rows import ReadLiteral, function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "contains",
        "whether a text stands in it",
        cost=costs.scan,
        contains_string="string.(string) -> bool",
    ),
    function(
        "startsWith",
        "whether it begins with a text",
        cost=costs.scan,
        constant_time=True,
        starts_with_string="string.(string) -> bool",
    ),
    function(
        "endsWith",
        "whether it ends with a text",
        cost=costs.scan,
        constant_time=True,
        ends_with_string="string.(string) -> bool",
    ),
    function(
        "charAt",
        "the character at a position",
        cost=costs.character,
        constant_time=True,
        string_char_at_int="string.(int) -> string",
    ),
    function(
        "indexOf",
        "position of the first occurrence, or -1",
        cost=costs.scan,
        bounds=(-1, 2**48),
        string_index_of_string="string.(string) -> int",
        string_index_of_string_int="string.(string, int) -> int",
    ),
    function(
        "lastIndexOf",
        "position of the last occurrence, or -1",
        cost=costs.scan,
        bounds=(-1, 2**48),
        string_last_index_of_string="string.(string) -> int",
        string_last_index_of_string_int="string.(string, int) -> int",
    ),
    function(
        "join",
        "the texts of a list, with a separator between them",
        cost=costs.joining,
        list_join="list(string).() -> string",
        list_join_string="list(string).(string) -> string",
    ),
    function(
        "lowerAscii",
        "A to Z in lower case",
        cost=costs.same,
        string_lower_ascii="string.() -> string",
    ),
    function(
        "upperAscii",
        "a to z in upper case",
        cost=costs.same,
        string_upper_ascii="string.() -> string",
    ),
    function(
        "replace",
        "every occurrence replaced, or the first few",
        cost=costs.replaced,
        string_replace_string_string="string.(string, string) -> string",
        string_replace_string_string_int="string.(string, string, int) -> string",
    ),
    function(
        "split",
        "the texts between separators",
        cost=costs.split,
        string_split_string="string.(string) -> list(string)",
        string_split_string_int="string.(string, int) -> list(string)",
    ),
    function(
        "substring",
        "the text from a position, up to another",
        cost=costs.same,
        string_substring_int="string.(int) -> string",
        string_substring_int_int="string.(int, int) -> string",
    ),
    function(
        "trim",
        "without white space at both ends",
        cost=costs.same,
        string_trim="string.() -> string",
    ),
    function(
        "reverse",
        "the characters or elements from last to first",
        cost=costs.same,
        string_reverse="string.() -> string",
        list_reverse="list(<A>).() -> list(<A>)",
    ),
    function(
        "format",
        "`%s`, `%d`, `%.2f` and their like filled in",
        cost=costs.formatted,
        string_format="string.(list(dyn)) -> string",
    ),
    function(
        "strings.quote",
        "a literal that is safe to print",
        cost=costs.doubled,
        strings_quote="(string) -> string",
    ),
    function(
        "base64.decode",
        "bytes from base64 text",
        cost=costs.doubled,
        base64_decode_string=ReadLiteral("(string) -> bytes", "base64", ""),
    ),
    function(
        "base64.encode",
        "base64 text of bytes",
        cost=costs.doubled,
        base64_encode_bytes="(bytes) -> string",
    ),
)
