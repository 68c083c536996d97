"""Tokens: how many a text or a conversation has. A plan names its tokenizer, so that it counts the same everywhere."""

from __future__ import annotations

from typing import Final

from costlens_policy.errors import InputError
from costlens_policy.tokens.bpe import BpeOpenai
from costlens_policy.tokens.counting import TokenCount, Tokenizer, count
from costlens_policy.tokens.estimate import BuiltinEstimate
from costlens_policy.tokens.media import IMAGE_TOKENS, is_data, text_in_data, with_text_in_data
from costlens_policy.tokens.messages import MESSAGE_TOKENS, REPLY_TOKENS, TOOLS_TOKENS, Tally, count_messages
from costlens_policy.tokens.places import MEDIA_TYPES, PAYLOADS, PLACES, Place, media_kind, media_of_key

__all__ = [
    "ESTIMATE", "IMAGE_TOKENS", "MEDIA_TYPES", "MESSAGE_TOKENS", "PAYLOADS", "PLACES", "REPLY_TOKENS", "TOOLS_TOKENS",
    "BpeOpenai", "BuiltinEstimate", "Place", "Tally", "TokenCount", "Tokenizer", "count", "count_messages", "is_data",
    "media_kind", "media_of_key", "text_in_data", "tokenizer_named", "with_text_in_data",
]  # fmt: skip

ESTIMATE: Final = BuiltinEstimate()
"""The tokenizer that is always there."""


def tokenizer_named(name: str) -> Tokenizer:
    """Return a tokenizer by its name: ``estimate`` or ``o200k``.

    Raises ``InputError`` for another name, and for one whose extra is not installed: no other takes its place.
    """
    if name == BuiltinEstimate.name:
        return ESTIMATE
    if name == BpeOpenai.name:
        return BpeOpenai()
    raise InputError(f"unknown tokenizer `{name}`; known are `estimate` and `o200k`")
