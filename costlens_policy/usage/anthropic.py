"""Anthropic's shape. ``input_tokens`` excludes what was read from and written to the cache.

Source: Anthropic API reference, "usage" of messages; "Prompt caching" for the lifetimes of cache writes.
"""

from __future__ import annotations

from collections.abc import Iterator

from costlens_policy.catalogue import Usage
from costlens_policy.usage.report import Fields, Reported, UsageError, part, remainder, tokens

__all__ = ["read_anthropic"]


def read_anthropic(fields: Fields) -> Reported:
    """Read a message's usage. Iterations on other models, such as an advisor's, are kept apart under their names."""
    tools = part(fields, "server_tool_use")
    return Reported(
        _usage(fields),
        "anthropic",
        web_searches=tokens(tools, "web_search_requests"),
        web_fetches=tokens(tools, "web_fetch_requests"),
        other_models=tuple(_other_models(fields)),
    )


def _usage(fields: Fields) -> Usage:
    by_lifetime = part(fields, "cache_creation")
    for_an_hour = tokens(by_lifetime, "ephemeral_1h_input_tokens")
    written = max(
        tokens(fields, "cache_creation_input_tokens"),
        for_an_hour + tokens(by_lifetime, "ephemeral_5m_input_tokens"),
    )
    reasoning = tokens(part(fields, "output_tokens_details"), "thinking_tokens")
    return Usage(
        input=tokens(fields, "input_tokens"),
        cache_read=tokens(fields, "cache_read_input_tokens"),
        cache_write=written - for_an_hour,
        cache_write_1h=for_an_hour,
        output=remainder(tokens(fields, "output_tokens"), "output_tokens", reasoning),
        reasoning=reasoning,
    )


def _other_models(fields: Fields) -> Iterator[tuple[str, Usage]]:
    iterations = fields.get("iterations") or ()
    if not isinstance(iterations, list | tuple):
        raise UsageError("`iterations` is not a list")
    for iteration in iterations:
        model = iteration.get("model") if isinstance(iteration, dict) else None
        if isinstance(model, str):
            yield model, _usage(iteration)
