"""Amazon Bedrock's, Cohere's and OpenTelemetry's shapes.

Sources: Bedrock API reference, ``TokenUsage`` of Converse (``inputTokens`` excludes the cache); Cohere API reference,
``usage`` (``billed_units`` is what is charged); OpenTelemetry semantic conventions for generative AI,
``gen_ai.usage.*`` (input tokens include the cached ones).
"""

from __future__ import annotations

from costlens_policy.catalogue import Usage
from costlens_policy.usage.report import Fields, Reported, UsageError, part, remainder, tokens

__all__ = ["read_bedrock", "read_cohere", "read_otel"]


def read_bedrock(fields: Fields) -> Reported:
    """Read the usage of Converse."""
    details = fields.get("cacheDetails") or ()
    if not isinstance(details, list | tuple):
        raise UsageError("`cacheDetails` is not a list")
    for_an_hour = sum(tokens(item, "inputTokens") for item in details if item.get("ttl") == "1h")
    written = tokens(fields, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    usage = Usage(
        input=tokens(fields, "inputTokens"),
        cache_read=tokens(fields, "cacheReadInputTokens", "cacheReadInputTokenCount"),
        cache_write=remainder(written, "cacheWriteInputTokens", for_an_hour),
        cache_write_1h=for_an_hour,
        output=tokens(fields, "outputTokens"),
    )
    return Reported(usage, "bedrock")


def read_cohere(fields: Fields) -> Reported:
    """Read what is billed; where that is not said, all tokens. Cached tokens are not billed."""
    counted = part(fields, "billed_units") or part(fields, "tokens")
    usage = Usage(
        input=tokens(counted, "input_tokens"),
        input_image=tokens(counted, "image_tokens"),
        output=tokens(counted, "output_tokens"),
    )
    return Reported(usage, "cohere")


def read_otel(fields: Fields) -> Reported:
    """Read the attributes of a span."""
    read = tokens(fields, "gen_ai.usage.cache_read.input_tokens")
    written = tokens(fields, "gen_ai.usage.cache_creation.input_tokens")
    reasoning = tokens(fields, "gen_ai.usage.reasoning.output_tokens")
    total = tokens(fields, "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
    output = tokens(fields, "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
    usage = Usage(
        input=remainder(total, "gen_ai.usage.input_tokens", read, written),
        cache_read=read,
        cache_write=written,
        output=remainder(output, "gen_ai.usage.output_tokens", reasoning),
        reasoning=reasoning,
    )
    return Reported(usage, "opentelemetry")
