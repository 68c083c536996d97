"""Telling shapes of usage apart, and reading them from dicts or from the objects of SDKs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from costlens_policy.usage.anthropic import read_anthropic
from costlens_policy.usage.gemini import read_gemini
from costlens_policy.usage.openai import read_chat, read_litellm, read_responses
from costlens_policy.usage.others import read_bedrock, read_cohere, read_otel
from costlens_policy.usage.report import Fields, Reported, UsageError

__all__ = ["SHAPES", "read_usage", "usage_fields"]

SHAPES: Final[dict[str, Callable[[Fields], Reported]]] = {
    "anthropic": read_anthropic,
    "bedrock": read_bedrock,
    "cohere": read_cohere,
    "gemini": read_gemini,
    "litellm": read_litellm,
    "openai-chat": read_chat,
    "openai-responses": read_responses,
    "opentelemetry": read_otel,
}
"""Readers by the name of the shape."""

_AROUND: Final = ("usage", "usageMetadata", "usage_metadata", "meta")
_TIER_NAMES: Final = ("service_tier", "serviceTier")
_GEMINI_NAMES: Final = {
    "prompt_token_count": "promptTokenCount",
    "candidates_token_count": "candidatesTokenCount",
    "thoughts_token_count": "thoughtsTokenCount",
    "tool_use_prompt_token_count": "toolUsePromptTokenCount",
    "cached_content_token_count": "cachedContentTokenCount",
    "prompt_tokens_details": "promptTokensDetails",
    "cache_tokens_details": "cacheTokensDetails",
    "candidates_tokens_details": "candidatesTokensDetails",
    "token_count": "tokenCount",
}


def read_usage(value: Any, shape: str | None = None) -> Reported:
    """Return the usage in a provider's usage object, or in a response that has one.

    ``value`` is a mapping, or an object of an SDK. ``shape`` is one of ``SHAPES``; without it the shape is told by
    the names. Raises ``UsageError`` for what has no known shape, or contradicts itself.
    """
    ask = _asking(value)
    inner = next((found for name in _AROUND if (found := ask(name)) is not None), value)
    fields = usage_fields(inner)
    if "prompt_token_count" in fields:
        fields = _respelled(fields)
    name = _shape(fields) if shape is None else shape
    if name not in SHAPES:
        raise UsageError(f"unknown shape `{shape}`; known are {', '.join(SHAPES)}")
    reported, tier = SHAPES[name](fields), _tier(fields.get) or _tier(ask)
    return reported if tier is None else replace(reported, service_tier=tier)


def _asking(value: Any) -> Callable[[str], Any]:
    """Return what gives a field of a mapping or an SDK's object, None where it has none of that name."""
    return value.get if isinstance(value, Mapping) else lambda name: getattr(value, name, None)


def _tier(ask: Callable[[str], Any]) -> str | None:
    """Return the provider's word for the service tier that served the call; None where it is not told."""
    for name in _TIER_NAMES:
        tier = ask(name)
        if tier is None:
            continue
        if isinstance(tier, Mapping):  # as Bedrock writes it
            tier = tier.get("type")
        tier = getattr(tier, "value", tier)  # an enumeration in Gemini's SDK
        if isinstance(tier, str):
            return tier
    return None


def _shape(fields: Fields) -> str:
    if "prompt_tokens" in fields or "completion_tokens" in fields:
        return "litellm" if "cache_creation_input_tokens" in fields else "openai-chat"
    if "promptTokenCount" in fields or "candidatesTokenCount" in fields:
        return "gemini"
    if "inputTokens" in fields or "outputTokens" in fields:
        return "bedrock"
    if "billed_units" in fields or "tokens" in fields:
        return "cohere"
    if any(str(name).startswith("gen_ai.usage.") for name in fields):
        return "opentelemetry"
    if "input_tokens" in fields or "output_tokens" in fields:
        of_responses = "input_tokens_details" in fields or "total_tokens" in fields
        return "openai-responses" if of_responses else "anthropic"
    raise UsageError("this is no usage object of a known shape; name one with `shape`")


def _respelled(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_GEMINI_NAMES.get(name, name): _respelled(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_respelled(item) for item in value]
    return getattr(value, "name", value)  # modalities are enumerations in the SDK


def usage_fields(value: Any) -> Fields:
    """Return the fields of a mapping or of an SDK's object, deeply as plain data where the object can give that."""
    if isinstance(value, Mapping):
        return value
    for method in ("model_dump", "to_dict", "dict"):
        dump = getattr(value, method, None)
        if callable(dump):
            dumped = dump()
            if isinstance(dumped, Mapping):
                return dumped
    if hasattr(value, "__dict__"):
        return {name: _plain(item) for name, item in vars(value).items() if not name.startswith("_")}
    raise UsageError(f"a value of type `{type(value).__name__}` is no usage, and no response that has one")


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return usage_fields(value) if hasattr(value, "__dict__") and not isinstance(value, type) else value
