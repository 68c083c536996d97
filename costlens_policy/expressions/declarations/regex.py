"""The regex extension, by RE2."""

from __future__ import annotations

from costlens_policy.expressions.notation import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "regex.extract",
        "the first match, or its only group",
        regex_extract_string_string="(string, string) -> optional_type(string)",
    ),
    function(
        "regex.extractAll",
        "every match, or its only group",
        regex_extractAll_string_string="(string, string) -> list(string)",
    ),
    function(
        "regex.replace",
        "every match replaced, or the first few; `\\\\1` stands for a group",
        regex_replace_string_string_string="(string, string, string) -> string",
        regex_replace_string_string_string_int="(string, string, string, int) -> string",
    ),
)
