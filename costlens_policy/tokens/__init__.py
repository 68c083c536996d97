"""Tokens: how many a text or a conversation has. A plan names its tokenizer, so that it counts the same everywhere."""

from __future__ import annotations

from costlens_policy.tokens.messages import MESSAGE_TOKENS, REPLY_TOKENS, TOOLS_TOKENS, Tally, count_messages
from costlens_policy.tokens.places import (
    IMAGE_TOKENS,
    MEDIA_TYPES,
    PAYLOADS,
    PLACES,
    Place,
    is_data,
    media_kind,
    media_of_key,
    text_in_data,
    with_text_in_data,
)
from costlens_policy.tokens.tokenizers import (
    ESTIMATE,
    BpeOpenai,
    BuiltinEstimate,
    TokenCount,
    Tokenizer,
    count,
    tokenizer_named,
)

__all__ = [
    "ESTIMATE", "IMAGE_TOKENS", "MEDIA_TYPES", "MESSAGE_TOKENS", "PAYLOADS", "PLACES", "REPLY_TOKENS", "TOOLS_TOKENS",
    "BpeOpenai", "BuiltinEstimate", "Place", "Tally", "TokenCount", "Tokenizer", "count", "count_messages", "is_data",
    "media_kind", "media_of_key", "text_in_data", "tokenizer_named", "with_text_in_data",
]  # fmt: skip
