"""Our own functions for the rules of LLM traffic."""

from __future__ import annotations

from costlens_policy.expressions.notation import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "hash",
        "a sticky bucket from 0 to 9999: the same text and salt give the same one, always",
        hash_string="(string) -> int",
        hash_string_string="(string, string) -> int",
    ),
    function(
        "glob",
        "whether the whole text matches a shell pattern: `*` any characters, `?` one, `[a-c]` one of a set",
        glob_string="string.(string) -> bool",
    ),
)
