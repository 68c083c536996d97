"""What is known of a model's prompt cache: how long it keeps a prompt, and which prompts it keeps at all.

A provider promises little of this, so that each number is the least that it documents: what is told of a cache may then
be too little, never too much. Sources, as of November 2026:

- Anthropic, *Prompt caching*: on request (``cache_control``), 5 minutes from the last use, or an hour for ``ttl: 1h``;
  1,024 to 4,096 tokens at least, by model. On Amazon Bedrock and Vertex AI the same.
- OpenAI, *Prompt caching*: automatic, from 1,024 tokens on in steps of 128, "5 to 10 minutes of inactivity, up to one
  hour" (longer where ``prompt_cache_retention`` asks for it). Azure OpenAI documents the same.
- Google, *Context caching* of the Gemini API: implicit for Gemini 2.5 and newer, from 2,048 or 4,096 tokens on, "in a
  short amount of time", which no page states: the shortest lifetime of any provider stands in for it.
- DeepSeek, *Context caching*: automatic, in units of 64 tokens, "usually within a few hours to a few days" cleared.
- Groq, *Prompt caching*: automatic, from 128 to 1,024 tokens on by model, two hours without use.

For every other provider nothing is known, and nothing is ever warm unless a catalogue says so (``prompt_cache``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from costlens_policy.frozen import frozen

__all__ = ["LONG_LIFETIME", "PromptCache", "documented_cache", "read_from"]

LONG_LIFETIME: Final = 3600.0
"""Seconds for which a prompt is kept that was written for an hour (``cache_write_1h``)."""


def read_from(held: int, prompt: int) -> int:
    """Return how many tokens of a session's prompt are read from a cache that holds the prompt of an earlier turn.

    A turn repeats what came before it. One that is shorter than what is held does not: the session was made shorter,
    and what it still has in common with the held prompt is not known.
    """
    return held if held <= prompt else 0


@frozen
class PromptCache:
    """A cache: it keeps prompts of ``min_tokens`` and more for ``lifetime`` seconds from their last use.

    ``automatic`` says that it keeps every such prompt, in whole steps of ``step_tokens``; otherwise it keeps what a
    request marks. ``lifetime`` is that of a prompt which does not ask for more.
    """

    lifetime: float
    min_tokens: int = 0
    step_tokens: int = 1
    automatic: bool = False

    def kept(self, tokens: int) -> int:
        """Return how many of the leading tokens of a prompt it keeps if the prompt is cached as a whole."""
        return 0 if tokens < self.min_tokens else tokens - tokens % self.step_tokens


_ANTHROPIC: Final = PromptCache(300.0, 1024)
_OPENAI: Final = PromptCache(300.0, 1024, 128, automatic=True)
_BY_PROVIDER: Final[Mapping[str, PromptCache]] = MappingProxyType({
    "anthropic": _ANTHROPIC,
    "openai": _OPENAI,
    "azure": _OPENAI,
    "google": PromptCache(300.0, 4096, automatic=True),
    "deepseek": PromptCache(3600.0, 64, 64, automatic=True),
    "groq": PromptCache(7200.0, 1024, automatic=True),
})  # fmt: skip
"""By the names that price lists have for providers."""
_RESELLERS: Final = frozenset({"aws", "azure", "google", "openrouter"})
"""Providers that serve models of Anthropic's, too, whose cache they pass on."""


def documented_cache(provider: str | None, model: str) -> PromptCache | None:
    """Return what the provider of a model documents of its cache; None where nothing is known."""
    if provider in _RESELLERS and "claude" in model.lower():
        return _ANTHROPIC
    return _BY_PROVIDER.get(provider or "")
