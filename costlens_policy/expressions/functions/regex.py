"""Patterns, by RE2: the specification's `matches` and the regex extension."""

from __future__ import annotations

from costlens_policy.expressions.functions import costs
from costlens_policy.expressions.functions.rows import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "matches",
        "whether an RE2 pattern is found anywhere in it",
        cost=costs.search,
        pattern="regex",
        matches="(string, string) -> bool",
        matches_string="string.(string) -> bool",
    ),
    function(
        "regex.extract",
        "the first match, or its only group",
        cost=costs.search,
        pattern="regex",
        regex_extract_string_string="(string, string) -> optional_type(string)",
    ),
    function(
        "regex.extractAll",
        "every match, or its only group",
        cost=costs.all_matches,
        pattern="regex",
        regex_extractAll_string_string="(string, string) -> list(string)",
    ),
    function(
        "regex.replace",
        "every match replaced, or the first few; `\\\\1` stands for a group",
        cost=costs.match_replaced,
        pattern="regex",
        regex_replace_string_string_string="(string, string, string) -> string",
        regex_replace_string_string_string_int="(string, string, string, int) -> string",
    ),
)
