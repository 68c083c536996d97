"""What a stream of LiteLLM's shows the guard: the chunks, with the usage that the provider reported and no other.

In the streams of OpenAI's chat completions and completions, LiteLLM takes a provider's usage out of the chunks, and
sends one of its own at the end. Where the provider reported none, that one is LiteLLM's estimate, and must not count as
reported. What the provider sent is in the list ``chunks`` of the stream, if it has one: that of completions has none,
and is charged as a stream without usage. Streams of other APIs pass on the provider's events.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

__all__ = ["seen_by_guard"]


async def seen_by_guard(response: Any, passing: list[Any], *, doubtful: bool) -> AsyncIterator[Any]:
    """Yield what the guard is to see of each chunk, after putting the chunk itself into ``passing``.

    ``doubtful``: the usage in the chunks may be an estimate.
    """
    reported = _Reported(response if doubtful else None)
    async for chunk in response:
        passing.append(chunk)
        for usage in reported.more():
            yield {"choices": [], "usage": usage}
        yield _without_usage(chunk) if doubtful and getattr(chunk, "usage", None) is not None else chunk
    for usage in reported.more():
        yield {"choices": [], "usage": usage}


class _Reported:
    """The usages that a provider reported so far in a stream."""

    def __init__(self, response: Any) -> None:
        kept = getattr(response, "chunks", None)
        self._chunks: Final[list[Any]] = kept if isinstance(kept, list) else []
        self._seen = 0

    def more(self) -> Iterator[Any]:
        """Yield the usages that came since this was asked last."""
        while self._seen < len(self._chunks):
            usage = getattr(self._chunks[self._seen], "usage", None)
            self._seen += 1
            if usage is not None:
                yield usage


def _without_usage(chunk: Any) -> Any:
    if not getattr(chunk, "choices", None):
        return None
    return chunk.model_copy(update={"usage": None})
