"""Messages and tools in the shapes of providers: examples for a search, never a proof."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from costlens_policy.assurance.domain.trees import Read

__all__ = ["example_lists"]

_MOST_WORDS: Final = 8
_URL: Final = "https://example.com/1"
_PARTS: Final[tuple[dict[str, Any], ...]] = (
    {"type": "image_url", "image_url": {"url": _URL}},
    {"type": "input_image", "image_url": _URL},
    {"type": "image", "source": {"type": "url", "url": _URL}},
    {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
    {"type": "file", "file": {"file_id": "file-1"}},
    {"type": "input_file", "file_id": "file-1"},
    {"type": "document", "source": {"type": "url", "url": _URL}},
    {"type": "text", "text": "Hello."},
)
"""Parts of messages of OpenAI's and Anthropic's."""


def example_lists(read: Read, words: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield lists that an attribute such as ``messages`` may have, the usual one last; none for any other attribute.

    ``words`` are texts that conditions look for anywhere inside.
    """
    named = list(islice(sorted(word for word in words if isinstance(word, str)), _MOST_WORDS))
    if read == ("request", "messages"):
        for message in _messages(named):
            yield [message]
    elif read == ("request", "tools"):
        for tool in _tools(named):
            yield [tool]


def _messages(words: list[str]) -> Iterator[dict[str, Any]]:
    for word in words:
        yield {"role": word, "content": "Hello."}
        yield {"role": "user", "content": [{"type": word}]}
        yield {"role": "user", "content": [{"type": "text", "text": f"other {word} other"}]}
        yield {"role": "user", "content": f"other {word} other"}
        yield {"role": "user", "content": word}
    for role in ("system", "tool", "assistant"):
        yield {"role": role, "content": "Hello."}
    for part in _PARTS:
        yield {"role": "user", "content": [part]}
    yield {"role": "user", "content": "Hello."}


def _tools(words: list[str]) -> Iterator[dict[str, Any]]:
    for word in words:
        yield {"type": word, "name": "other"}
        yield {"name": word, "input_schema": {"type": "object"}}
        yield {"type": "function", "function": {"name": word}}
    yield {"name": "other", "input_schema": {"type": "object"}}
    yield {"type": "function", "function": {"name": "other"}}
