"""The tokens of a span of OpenTelemetry, whatever names the instrumentation has for them.

Sources: OpenTelemetry semantic conventions for generative AI (``gen_ai.usage.*``; input tokens include the cached
ones); OpenInference (``llm.token_count.*``); OpenLLMetry (``gen_ai.usage.cache_read_input_tokens``,
``llm.usage.total_tokens``); pydantic-ai (``gen_ai.usage.details.*``); Vercel AI SDK (``ai.usage.*``); Langfuse
(``langfuse.observation.usage_details``, whose kinds are mutually exclusive unless they are a provider's own); MLflow
(``mlflow.chat.tokenUsage``); Braintrust, LangSmith and others, which keep usage objects as JSON texts. Names are
understood by their words, so that one that an instrumentation spells in its own way is understood, too.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from costlens_policy.frozen import frozen
from costlens_policy.replay.traffic.cells import Counted, counted, tokens_of

__all__ = ["SpanTokens", "has_tokens", "object_in", "texts_with_tokens", "tokens_in", "unread_tokens"]

_FAMILIES: Final = (
    "gen_ai.usage.", "llm.token_count.", "llm.usage.", "ai.usage.", "gen_ai.token_count.",
    "langfuse.observation.usage_details.", "mlflow.chat.tokenUsage.",
)  # fmt: skip
_OTHERS: Final = re.compile(
    r"(?!llm\.)(?:^|.*?\.)"
    r"(?:usage|(?:usage|token)_?(?:metadata|usage|details)|gen_ai\.response|braintrust\.metrics)\.",
    re.I,
)
"""What else may hold counts of tokens, beside numbers of other things. LiteLLM repeats bare answers under `llm.`."""
_TOKENS: Final = frozenset({"token", "tokens"})
_OF_EMBEDDINGS: Final = "ai.usage.tokens"
"""The only usage attribute of embeddings in the Vercel AI SDK."""
_DISJOINT: Final = "langfuse.observation.usage_details."
"""Its kinds are mutually exclusive, so that the input does not include the cached part."""
_LONGEST_TEXT: Final = 10_000
_COUNTS_IN_TEXT: Final = re.compile(
    r"""["'](?:prompt|completion|input|output|total|candidates)_?tokens?(?:_?count)?["']\s*:\s*[1-9]""", re.I
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SPLIT: Final = re.compile(r"[._\-\s]+")
_MONEY: Final = frozenset({"cost", "costs", "price", "usd", "spend", "credits"})
_RATES: Final = frozenset({"per", "rate", "ratio", "second", "seconds", "ms", "max", "limit", "hit", "hits"})
_NO_COUNTS: Final = _RATES | {"first", "min", "budget", "top", "aggregated", "id", "time"}
"""Words of limits, rates and sums; pydantic-ai calls the sums of its agents `gen_ai.aggregated_usage`."""
_WRITES: Final = frozenset({"creation", "creations", "created", "write", "writes", "written"})
_INPUT: Final = frozenset({"input", "prompt", "inputs", "prompts"})
_OUTPUT: Final = frozenset({"output", "completion", "outputs", "completions", "candidates", "generated"})
_REASONING: Final = frozenset({"reasoning", "thinking", "thought", "thoughts"})
_PARTS: Final = frozenset({"details", "text", "accepted", "rejected", "prediction"})
_NOT: Final = frozenset({"no", "non", "not", "without", "miss", "misses"})
_FRESH: Final = frozenset({"uncached", "nocache", "noncached"})
_PIXELS: Final = frozenset({"image", "images"})
_Counts = dict[str, int]


@frozen
class SpanTokens:
    """``unknown`` are names that look like tokens and are in no known kind; they are counted where they may be beyond.

    ``on_top`` is true where the cached tokens cannot lie inside the input, and were counted on top of it.
    """

    counted: Counted
    unknown: tuple[str, ...] = ()
    on_top: bool = False


def has_tokens(attributes: Mapping[str, Any]) -> bool:
    """Return whether a span reports how many tokens it used, under any name."""
    return any(_role(words) for _, words, _ in _reported(attributes))


def unread_tokens(attributes: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of numbers that look like tokens and are not among what is read."""
    for name, value in attributes.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and "token" in name.lower() and not _words(name) & _NO_COUNTS and _of_family(name) is None:
            yield name


def texts_with_tokens(attributes: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of texts that hold counts of tokens, such as the answer of a model in JSON."""
    yield from (name for name, value in attributes.items() if isinstance(value, str) and _COUNTS_IN_TEXT.search(value))


def object_in(name: str, value: Any) -> Any:
    """Return the object that an attribute holds as JSON text or Python, if it may contain tokens."""
    if not isinstance(value, str) or value[:1] != "{" or len(value) > _LONGEST_TEXT:
        return value
    if not name.startswith(_FAMILIES) and f"{name}." not in _FAMILIES and not _OTHERS.match(f"{name}."):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return found if isinstance(found, dict) else value
    return value


def tokens_in(attributes: Mapping[str, Any]) -> SpanTokens:
    """Read the tokens of a span. Raises ``ValueError`` for an invalid count, and if only a total is reported.

    By convention the input includes the cached tokens, unless there are more of them or the total shows otherwise.
    """
    reported: _Counts = {}
    unknown: _Counts = {}
    for name, words, value in _reported(attributes):
        role = "input" if name == _OF_EMBEDDINGS else _role(words)
        if role == "inside":
            continue
        try:
            number = tokens_of(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        if role == "unknown":
            unknown[name] = number
        else:
            reported[role] = max(reported.get(role, 0), number)
    return _read(reported, unknown, any(name.startswith(_DISJOINT) for name in attributes))


def _reported(attributes: Mapping[str, Any]) -> Iterator[tuple[str, frozenset[str], Any]]:
    """Yield the attributes that report tokens: their names, the words after the family's prefix, and values."""
    for name, value in attributes.items():
        words = None if value is None or isinstance(value, bool | dict | list) else _of_family(name)
        if words is not None and not words & (_MONEY | _RATES):
            yield name, words, value


@lru_cache(maxsize=4096)
def _of_family(name: str) -> frozenset[str] | None:
    """Return the words of an attribute name after its token prefix; None for any other name."""
    family = next((family for family in _FAMILIES if name.startswith(family)), None)
    if family is not None:
        return _words(name[len(family) :])
    other = _OTHERS.match(name)
    words = None if other is None else _words(name[other.end() :])
    return words if words is not None and words & _TOKENS and not words & _NO_COUNTS else None


def _words(name: str) -> frozenset[str]:
    return frozenset(_SPLIT.split(_CAMEL.sub("_", name).lower()))


def _role(words: frozenset[str]) -> str:
    cached = any(word.startswith("cach") for word in words)
    if words & _FRESH or (cached and words & _NOT):
        return "fresh"
    into, out = bool(words & _INPUT), bool(words & _OUTPUT)
    audio, pixels = "audio" in words, bool(words & _PIXELS)
    if cached and not words & _PARTS - {"details"}:
        if words & _WRITES:
            return "write 1h" if "1h" in words else "write 5m" if "5m" in words else "write"
        return "read audio" if audio else "read"
    if words & _REASONING:
        return "reasoning"
    if (audio or pixels) and into != out:
        return f"{'audio' if audio else 'image'} {'in' if into else 'out'}"
    if "tool" in words or audio or pixels:
        return "unknown"
    if words & _PARTS:
        return "inside"
    if into != out:
        return "input" if into else "output"
    return "total" if "total" in words or words <= _TOKENS else "unknown"


def _read(reported: _Counts, unknown: _Counts, disjoint: bool) -> SpanTokens:
    if not {"input", "fresh"} & reported.keys() and not (disjoint and {"read", "write"} & reported.keys()):
        raise ValueError("tokens are reported, but no input tokens")
    given, output, total = reported.get("input", 0), reported.get("output", 0), reported.get("total")
    long = reported.get("write 1h", 0)
    short = max(reported.get("write", 0) - long, reported.get("write 5m", 0))
    caches = reported.get("read", 0) + short + long
    if "fresh" in reported:
        given = max(given, reported["fresh"] + caches)
    on_top = caches > given or (total is not None and caches > 0 and total == given + caches + output)
    if disjoint and (total is None or total != given + output):
        on_top = caches > 0
        output += reported.get("reasoning", 0)
    if total is None:
        output += sum(unknown.values())
    found = counted({
        "prompt_tokens": given + caches if on_top else given,
        "cached_tokens": reported.get("read"), "cache_write_tokens": short, "cache_write_1h_tokens": long,
        "output_tokens": output, "reasoning_tokens": reported.get("reasoning"), "total_tokens": total,
    })  # fmt: skip
    return SpanTokens(_with_media(found, reported), tuple(unknown), on_top and not disjoint)


def _with_media(found: Counted, reported: _Counts) -> Counted:
    """Take audio and images out of the kinds of text, where they fit into them."""
    usage = found.recorded
    assert usage is not None, "writes are always reported, even if 0"
    audio_read = min(reported.get("read audio", 0), usage.cache_read)
    into = min(reported.get("audio in", 0), usage.input)
    seen = min(reported.get("image in", 0), usage.input - into)
    out = min(reported.get("audio out", 0), usage.output)
    drawn = min(reported.get("image out", 0), usage.output - out)
    return replace(found, recorded=usage._replace(
        input=usage.input - into - seen, input_audio=into, input_image=seen,
        cache_read=usage.cache_read - audio_read, cache_read_audio=audio_read,
        output=usage.output - out - drawn, output_audio=out, output_image=drawn,
    ))  # fmt: skip
