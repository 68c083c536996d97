"""What a stream of LiteLLM's shows the guard: the chunks, with the usage that the provider reported and no other.

LiteLLM keeps a provider's usage out of the chunks that it passes on, and sends one of its own at the end. Where the
provider reported none, that one is LiteLLM's estimate, which must not count as reported. What the provider sent is in
the list ``chunks`` of the stream. Streams of other APIs pass on events as they are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

__all__ = ["seen_by_guard"]


async def seen_by_guard(response: Any, passing: list[Any]) -> AsyncIterator[Any]:
    """Yield what the guard is to see of each chunk, after putting the chunk itself into ``passing``."""
    reported = _Reported(response)
    async for chunk in response:
        passing.append(chunk)
        for usage in reported.more():
            yield {"choices": [], "usage": usage}
        yield chunk if not reported.is_kept or getattr(chunk, "usage", None) is None else _without_usage(chunk)
    for usage in reported.more():
        yield {"choices": [], "usage": usage}


class _Reported:
    """The usages that a provider reported so far in a stream. ``is_kept``: LiteLLM keeps them apart."""

    def __init__(self, response: Any) -> None:
        holders = (response, getattr(response, "completion_stream", None))
        kept = (getattr(holder, "chunks", None) for holder in holders)
        self._chunks: Final[list[Any] | None] = next((item for item in kept if isinstance(item, list)), None)
        self._seen = 0

    @property
    def is_kept(self) -> bool:
        return self._chunks is not None

    def more(self) -> Iterator[Any]:
        """Yield the usages that came since this was asked last."""
        chunks = self._chunks or ()
        while self._seen < len(chunks):
            usage = getattr(chunks[self._seen], "usage", None)
            self._seen += 1
            if usage is not None:
                yield usage


def _without_usage(chunk: Any) -> Any:
    if not getattr(chunk, "choices", None):
        return None
    return chunk.model_copy(update={"usage": None})
