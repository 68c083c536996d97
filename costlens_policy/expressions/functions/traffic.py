"""Custom functions for rules about LLM traffic."""

from __future__ import annotations

from costlens_policy.expressions.functions import costs
from costlens_policy.expressions.functions.rows import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "hash",
        "a sticky bucket from 0 to 9,999: the same key and salt always give the same one",
        cost=costs.hashing,
        bounds=(0, 9_999),
        hash_string="(string) -> int",
        hash_string_string="(string, string) -> int",
    ),
    function(
        "glob",
        "whether the whole string matches a shell pattern: `*` any characters, `?` one, `[a-c]` one of a set",
        cost=costs.glob,
        pattern="glob",
        glob_string="string.(string) -> bool",
    ),
    function(
        "sampled",
        "whether a key is in a sticky sample of so many percent, as `hash(key, salt) < percent * 100` says; another"
        " salt draws another sample",
        cost=costs.hashing,
        sampled_string_double="(string, double) -> bool",
        sampled_string_int="(string, int) -> bool",
        sampled_string_string_double="(string, string, double) -> bool",
        sampled_string_string_int="(string, string, int) -> bool",
    ),
    function(
        "digest",
        "the first 32 hexadecimal digits of the SHA-256 of a string: the same for the same string, and for hardly any"
        " other",
        cost=costs.digesting,
        digest_string="(string) -> string",
    ),
    function(
        "runAt",
        "the run at a depth on the path of a run, from 1 for its root on; the run itself where it is not that deep",
        cost=costs.short_text,
        runAt_string_int="(string, int) -> string",
    ),
    function(
        "runDepth",
        "how many runs are on the path of a run: 1 for a root, 0 for an empty string",
        cost=costs.scan,
        runDepth_string="(string) -> int",
    ),
    function(
        "tokens",
        "tokens of a string or of a list of messages, always by the built-in estimate",
        cost=costs.tokens,
        tokens_string="(string) -> int",
        tokens_list="(list(dyn)) -> int",
    ),
    function(
        "text",
        "all text of the request (system text, prompt, messages), of messages, of one message or of its content, "
        "with line breaks between parts: what the model reads, including tool calls and their results, without "
        "roles, ids, images and files",
        cost=costs.text,
        text_dyn="(dyn) -> string",
        text_request="(request) -> string",
    ),
    function(
        "usd",
        "cost of a number of tokens, in US dollars, at a price per million tokens",
        cost=costs.constant,
        usd_int_double="(int, double) -> double",
    ),
)
