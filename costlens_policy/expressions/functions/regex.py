"""RE2 patterns: `matches` of the specification, and the regex extension."""

from __future__ import annotations

from costlens_policy.expressions.functions import costs
from costlens_policy.expressions.functions.rows import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "matches",
        "whether an RE2 pattern matches anywhere in the string",
        cost=costs.search,
        pattern="regex",
        matches="(string, string) -> bool",
        matches_string="string.(string) -> bool",
    ),
    function(
        "regex.extract",
        "the first match, or what its only group matched",
        cost=costs.search,
        pattern="regex",
        regex_extract_string_string="(string, string) -> optional_type(string)",
    ),
    function(
        "regex.extractAll",
        "all matches, or what their only group matched",
        cost=costs.all_matches,
        pattern="regex",
        regex_extractAll_string_string="(string, string) -> list(string)",
    ),
    function(
        "regex.replace",
        "all matches replaced, or the first few; `\\1` stands for a group",
        cost=costs.match_replaced,
        pattern="regex",
        regex_replace_string_string_string="(string, string, string) -> string",
        regex_replace_string_string_string_int="(string, string, string, int) -> string",
    ),
)
