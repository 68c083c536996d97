"""OpenAI's shapes, which many providers share. Cached tokens are part of the prompt, reasoning is part of the output.

Sources: OpenAI API reference, "usage" of chat completions and of responses; OpenRouter "Usage accounting" (cache
writes are part of the prompt); DeepSeek (``prompt_cache_hit_tokens``), Mistral (``num_cached_tokens``), Moonshot
(``cached_tokens``).
"""

from __future__ import annotations

from costlens_policy.catalogue import Usage
from costlens_policy.usage.report import Fields, Reported, part, remainder, tokens

__all__ = ["read_chat", "read_litellm", "read_responses"]


def read_chat(fields: Fields, shape: str = "openai-chat") -> Reported:
    """Read ``prompt_tokens``, ``completion_tokens`` and their details."""
    prompt, completion = part(fields, "prompt_tokens_details"), part(fields, "completion_tokens_details")
    cached = tokens(prompt, "cached_tokens") or tokens(
        fields, "prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens"
    )
    return _reported(
        fields,
        shape,
        total_input=tokens(fields, "prompt_tokens"),
        total_output=tokens(fields, "completion_tokens"),
        cached=cached,
        written=tokens(prompt, "cache_write_tokens"),
        input_details=prompt,
        output_details=completion,
    )


def read_responses(fields: Fields) -> Reported:
    """Read ``input_tokens``, ``output_tokens`` and their details."""
    details = part(fields, "input_tokens_details")
    return _reported(
        fields,
        "openai-responses",
        total_input=tokens(fields, "input_tokens"),
        total_output=tokens(fields, "output_tokens"),
        cached=tokens(details, "cached_tokens"),
        written=tokens(details, "cache_write_tokens"),
        input_details=details,
        output_details=part(fields, "output_tokens_details"),
    )


def read_litellm(fields: Fields) -> Reported:
    """Read LiteLLM's usage: OpenAI's shape, with Anthropic's cache counts beside it, both part of the prompt."""
    details = part(fields, "prompt_tokens_details")
    return _reported(
        fields,
        "litellm",
        total_input=tokens(fields, "prompt_tokens"),
        total_output=tokens(fields, "completion_tokens"),
        cached=tokens(fields, "cache_read_input_tokens") or tokens(details, "cached_tokens"),
        written=tokens(fields, "cache_creation_input_tokens") or tokens(details, "cache_creation_tokens"),
        input_details=details,
        output_details=part(fields, "completion_tokens_details"),
    )


def _reported(
    fields: Fields,
    shape: str,
    *,
    total_input: int,
    total_output: int,
    cached: int,
    written: int,
    input_details: Fields,
    output_details: Fields,
) -> Reported:
    audio_in, image_in = tokens(input_details, "audio_tokens"), tokens(input_details, "image_tokens")
    audio_out, image_out = tokens(output_details, "audio_tokens"), tokens(output_details, "image_tokens")
    reasoning = tokens(output_details, "reasoning_tokens")
    usage = Usage(
        input=remainder(total_input, "the prompt", cached, written, audio_in, image_in),
        cache_read=cached,
        cache_write=written,
        input_audio=audio_in,
        input_image=image_in,
        output=remainder(total_output, "the output", reasoning, audio_out, image_out),
        reasoning=reasoning,
        output_audio=audio_out,
        output_image=image_out,
    )
    return Reported(usage, shape)
