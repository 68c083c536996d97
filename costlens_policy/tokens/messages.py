"""Tokens of chat messages in the shapes of OpenAI and of Anthropic."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from costlens_policy.errors import RequestError
from costlens_policy.tokens.counting import ESTIMATED, TokenCount, Tokenizer

__all__ = [
    "AUDIO_TOKENS",
    "FILE_TOKENS",
    "IMAGE_TOKENS",
    "MEDIA",
    "MESSAGE_TOKENS",
    "REPLY_TOKENS",
    "Tally",
    "count_messages",
]

MESSAGE_TOKENS: Final = 4
"""What a message takes beside its content: its role and the marks around it."""
REPLY_TOKENS: Final = 3
"""What a conversation takes beside its messages: the marks that open the reply."""
IMAGE_TOKENS: Final = 765
"""What an image counts as, whatever its size: a square of 1024 pixels in high detail. An estimate."""
AUDIO_TOKENS: Final = 600
"""What an audio clip counts as: one minute. An estimate."""
FILE_TOKENS: Final = 1500
"""What an attached file that is not text counts as: two pages. An estimate."""

MEDIA: Final[Mapping[str, int]] = {
    "image": IMAGE_TOKENS,
    "image_url": IMAGE_TOKENS,
    "input_image": IMAGE_TOKENS,
    "audio": AUDIO_TOKENS,
    "input_audio": AUDIO_TOKENS,
    "file": FILE_TOKENS,
    "input_file": FILE_TOKENS,
    "video_url": FILE_TOKENS,
}
"""Types of parts that are not text, and what each counts as."""

_TEXTS: Final = ("name", "refusal", "reasoning", "reasoning_content", "function_call")
"""Further keys of a message that the model reads."""


def count_messages(messages: Iterable[Any], tokenizer: Tokenizer) -> TokenCount:
    """Return the tokens of a conversation. What has an unknown shape is counted as its JSON text.

    The basis is ``estimate`` as soon as there is an image, a clip or a file. Raises ``RequestError`` for a message
    nested without end.
    """
    tally = Tally(tokenizer)
    total = REPLY_TOKENS + sum(tally.message(message) for message in messages)
    return TokenCount(total, tally.basis)


class Tally:
    """Counts the parts of one request, and remembers whether all of them could really be counted."""

    __slots__ = ("_count", "basis")

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._count = tokenizer.count
        self.basis = tokenizer.name

    def text(self, text: str) -> int:
        return self._count(text)

    def message(self, message: Any) -> int:
        """Return the tokens of one message with the marks around it."""
        if not isinstance(message, Mapping):
            return MESSAGE_TOKENS + self.value(message)
        total = MESSAGE_TOKENS + self.content(message.get("content"))
        calls = message.get("tool_calls")
        if isinstance(calls, Sequence) and not isinstance(calls, str):
            total += sum(self._call(call) for call in calls)
        for key in _TEXTS:
            if key in message:
                total += self.value(message[key])
        return total

    def content(self, content: Any) -> int:
        """Return the tokens of a text or of a list of parts."""
        if isinstance(content, Sequence) and not isinstance(content, str):
            return sum(self._part(part) for part in content)
        return self.value(content)

    def value(self, value: Any) -> int:
        """Return the tokens of any JSON value: a text as it is, nothing for none, all else as JSON."""
        if isinstance(value, str):
            return self._count(value)
        if value is None:
            return 0
        try:
            return self._count(json.dumps(value, ensure_ascii=False, default=str))
        except (TypeError, ValueError, RecursionError):
            raise RequestError(
                ("an object in the request is nested without end or has keys that are not text",)
            ) from None

    def _part(self, part: Any) -> int:
        if not isinstance(part, Mapping):
            return self.value(part)
        kind = part.get("type")
        if isinstance(kind, str) and kind in MEDIA:
            return self._media(MEDIA[kind])
        if isinstance(text := part.get("text"), str):
            return self._count(text)
        if kind == "tool_use":
            return MESSAGE_TOKENS + self.value(part.get("name")) + self.value(part.get("input"))
        if kind == "tool_result":
            return MESSAGE_TOKENS + self.content(part.get("content"))
        if kind == "document":
            return self._document(part)
        if kind == "thinking":
            return self.value(part.get("thinking"))
        return self.value(part)

    def _document(self, part: Mapping[str, Any]) -> int:
        source = part.get("source")
        if not isinstance(source, Mapping):
            return self.value(part)
        if source.get("type") not in ("text", "content"):
            return self._media(FILE_TOKENS)
        return self.content(source.get("data", source.get("content"))) + self.value(part.get("title"))

    def _call(self, call: Any) -> int:
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping):
            return MESSAGE_TOKENS + self.value(call)
        return MESSAGE_TOKENS + self.value(function.get("name")) + self.value(function.get("arguments"))

    def _media(self, tokens: int) -> int:
        self.basis = ESTIMATED
        return tokens
