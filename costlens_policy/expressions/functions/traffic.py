"""Our own functions for the rules of LLM traffic."""

from __future__ import annotations

from costlens_policy.expressions.functions import costs
from costlens_policy.expressions.functions.rows import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "hash",
        "a sticky bucket from 0 to 9999: the same text and salt give the same one, always",
        cost=costs.hashing,
        bounds=(0, 9_999),
        hash_string="(string) -> int",
        hash_string_string="(string, string) -> int",
    ),
    function(
        "glob",
        "whether the whole text matches a shell pattern: `*` any characters, `?` one, `[a-c]` one of a set",
        cost=costs.glob,
        pattern="glob",
        glob_string="string.(string) -> bool",
    ),
    function(
        "sampled",
        "whether a key is within a sticky share of the traffic, in percent, as `hash(key, salt) < percent * 100` says; "
        "another salt draws another share",
        cost=costs.hashing,
        sampled_string_double="(string, double) -> bool",
        sampled_string_int="(string, int) -> bool",
        sampled_string_string_double="(string, string, double) -> bool",
        sampled_string_string_int="(string, string, int) -> bool",
    ),
    function(
        "tokens",
        "tokens of a text, or of a list of messages, by the built-in estimate",
        cost=costs.tokens,
        tokens_string="(string) -> int",
        tokens_list="(list(dyn)) -> int",
    ),
    function(
        "text",
        "all text of the request (system text, prompt, messages), of messages, of one message or of its content, with "
        "line ends between parts: what the model reads, tool calls and results too, but no roles, ids, images or files",
        cost=costs.text,
        text_dyn="(dyn) -> string",
        text_request="(request) -> string",
    ),
    function(
        "usd",
        "US dollars that tokens cost at a price per million of them",
        cost=costs.constant,
        usd_int_double="(int, double) -> double",
    ),
)
