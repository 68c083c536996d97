"""Tokens: how many a text or a conversation has. A plan names its tokenizer, so that it counts the same everywhere."""

from __future__ import annotations

from costlens_policy.tokens.messages import MESSAGE_TOKENS, REPLY_TOKENS, TOOLS_TOKENS, TokenCounter, count_messages
from costlens_policy.tokens.places import (
    IMAGE_TOKENS,
    KEY_KINDS,
    MEDIA_TYPES,
    PAYLOADS,
    KeyKind,
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
    "ESTIMATE", "IMAGE_TOKENS", "KEY_KINDS", "MEDIA_TYPES", "MESSAGE_TOKENS", "PAYLOADS", "REPLY_TOKENS",
    "TOOLS_TOKENS", "BpeOpenai", "BuiltinEstimate", "KeyKind", "TokenCount", "TokenCounter", "Tokenizer", "count",
    "count_messages", "is_data", "media_kind", "media_of_key", "text_in_data", "tokenizer_named", "with_text_in_data",
]  # fmt: skip
