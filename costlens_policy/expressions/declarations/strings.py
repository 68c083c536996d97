"""The strings extension."""

from __future__ import annotations

from costlens_policy.expressions.notation import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function("charAt", "the character at a position", string_char_at_int="string.(int) -> string"),
    function(
        "indexOf",
        "position of the first occurrence, or -1",
        string_index_of_string="string.(string) -> int",
        string_index_of_string_int="string.(string, int) -> int",
    ),
    function(
        "lastIndexOf",
        "position of the last occurrence, or -1",
        string_last_index_of_string="string.(string) -> int",
        string_last_index_of_string_int="string.(string, int) -> int",
    ),
    function(
        "join",
        "the texts of a list, with a separator between them",
        list_join="list(string).() -> string",
        list_join_string="list(string).(string) -> string",
    ),
    function("lowerAscii", "A to Z in lower case", string_lower_ascii="string.() -> string"),
    function("upperAscii", "a to z in upper case", string_upper_ascii="string.() -> string"),
    function(
        "replace",
        "every occurrence replaced, or the first few",
        string_replace_string_string="string.(string, string) -> string",
        string_replace_string_string_int="string.(string, string, int) -> string",
    ),
    function(
        "split",
        "the texts between separators",
        string_split_string="string.(string) -> list(string)",
        string_split_string_int="string.(string, int) -> list(string)",
    ),
    function(
        "substring",
        "the text from a position, up to another",
        string_substring_int="string.(int) -> string",
        string_substring_int_int="string.(int, int) -> string",
    ),
    function("trim", "without white space at both ends", string_trim="string.() -> string"),
    function(
        "reverse",
        "the characters or elements from last to first",
        string_reverse="string.() -> string",
        list_reverse="list(<A>).() -> list(<A>)",
    ),
    function("format", "`%s`, `%d`, `%.2f` and their like filled in", string_format="string.(list(dyn)) -> string"),
    function("strings.quote", "a literal that is safe to print", strings_quote="(string) -> string"),
)
