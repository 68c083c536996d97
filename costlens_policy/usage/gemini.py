"""Gemini's shape. The prompt includes the cached part; thoughts and prompts of tools come on top.

Source: Gemini API reference, ``UsageMetadata``.
"""

from __future__ import annotations

from collections import Counter

from costlens_policy.catalogue import Usage
from costlens_policy.usage.report import Fields, Reported, UsageError, remainder, tokens

__all__ = ["read_gemini"]

_IMAGES = ("IMAGE", "DOCUMENT")


def read_gemini(fields: Fields) -> Reported:
    """Read ``usageMetadata``. Tokens of video count as text, which is how they are priced."""
    prompt, cache = _modalities(fields, "promptTokensDetails"), _modalities(fields, "cacheTokensDetails")
    answer = _modalities(fields, "candidatesTokensDetails")
    cached = tokens(fields, "cachedContentTokenCount")
    cached_audio = min(cache["AUDIO"], cached)
    audio = max(prompt["AUDIO"] - cached_audio, 0)
    images = max(sum(prompt[kind] for kind in _IMAGES) - sum(cache[kind] for kind in _IMAGES), 0)
    total = tokens(fields, "promptTokenCount") + tokens(fields, "toolUsePromptTokenCount")
    written = tokens(fields, "candidatesTokenCount")
    usage = Usage(
        input=remainder(total, "promptTokenCount", cached, audio, images),
        cache_read=cached - cached_audio,
        cache_read_audio=cached_audio,
        input_audio=audio,
        input_image=images,
        output=remainder(written, "candidatesTokenCount", answer["AUDIO"], answer["IMAGE"]),
        output_audio=answer["AUDIO"],
        output_image=answer["IMAGE"],
        reasoning=tokens(fields, "thoughtsTokenCount"),
    )
    return Reported(usage, "gemini")


def _modalities(fields: Fields, name: str) -> Counter[str]:
    details = fields.get(name) or ()
    counted: Counter[str] = Counter()
    for detail in details:
        if not isinstance(detail, dict):
            raise UsageError(f"`{name}` is not a list of objects")
        counted[str(detail.get("modality", ""))] += tokens(detail, "tokenCount")
    return counted
