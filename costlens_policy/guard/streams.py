"""Reading usage and text out of the chunks of a streamed response, whoever's SDK made them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from costlens_policy.usage import usage_fields

__all__ = ["StreamMeter"]

_LAST: Final = ("message_delta", "response.completed", "response.incomplete", "response.failed")
"""Types of the chunks whose usage is that of the whole response (Anthropic, OpenAI responses)."""


class StreamMeter:
    """Sees each chunk of one response.

    ``is_complete`` says that ``usage`` covers the whole response: Anthropic tells a part at the start.
    """

    def __init__(self) -> None:
        self._told: dict[str, Any] = {}
        self._tier: Any = None
        self.is_complete = False
        self.started = False
        self._texts: list[str] = []

    @property
    def usage(self) -> dict[str, Any]:
        """What the chunks told so far, later ones over earlier ones, with the service tier that some of them name."""
        return self._told if self._tier is None else {"service_tier": self._tier, **self._told}

    @property
    def text(self) -> str:
        """All the text that arrived."""
        return "".join(self._texts)

    def see(self, chunk: Any) -> None:
        self.started = True
        kind = _get(chunk, "type")
        if (tier := _tier_of(chunk)) is not None:
            self._tier = tier
        usage = _usage_of(chunk)
        if usage is not None:
            self._told.update((name, value) for name, value in usage_fields(usage).items() if value is not None)
            self.is_complete = kind is None or kind in _LAST
        self._texts.extend(text for text in _texts_of(chunk) if isinstance(text, str))


def _usage_of(chunk: Any) -> Any:
    for holder in (chunk, _get(chunk, "message"), _get(chunk, "response"), _get(chunk, "metadata")):
        for name in ("usage", "usage_metadata", "usageMetadata"):
            usage = _get(holder, name)
            if usage is not None:
                return usage
    return None


def _tier_of(chunk: Any) -> Any:
    """Return the service tier that a chunk of OpenAI's names, beside its usage or around it."""
    return _get(chunk, "service_tier") or _get(_get(chunk, "response"), "service_tier")


def _texts_of(chunk: Any) -> Iterator[Any]:
    delta = _get(chunk, "delta")
    yield delta if isinstance(delta, str) else _get(delta, "text")  # OpenAI responses; Anthropic
    yield _get(_get(_get(chunk, "contentBlockDelta"), "delta"), "text")  # Bedrock
    for choice in _items(chunk, "choices"):
        part = _get(choice, "delta")
        yield from (_get(part, "content"), _get(part, "reasoning_content"))
        for call in _items(part, "tool_calls"):
            yield _get(_get(call, "function"), "arguments")
    for candidate in _items(chunk, "candidates"):  # Gemini
        yield from (_get(part, "text") for part in _items(_get(candidate, "content"), "parts"))


def _get(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def _items(holder: Any, name: str) -> tuple[Any, ...]:
    items = _get(holder, name)
    return tuple(items) if isinstance(items, list | tuple) else ()
