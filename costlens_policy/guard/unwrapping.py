"""What SDKs put around a response or a stream: raw responses, managers of streams, and how they are closed."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.streams import StreamMeter

__all__ = ["aclose_stream", "aopened", "check_not_over", "close_stream", "opened", "unwrapped"]


def unwrapped(response: Any) -> Any:
    """Return what is in a raw response: ``with_raw_response`` of two SDKs, httpx, requests; a body.

    Never raises: what cannot be taken out stays as it is.
    """
    if isinstance(response, dict) or response is None:
        return response
    if isinstance(response, str | bytes | bytearray):  # the body of one
        with suppress(ValueError, RecursionError):
            return json.loads(response)
        return response
    for method in ("parse", "json"):
        with suppress(Exception):  # no such method, no JSON, or an object that raises whatever is asked of it
            unwrap = getattr(response, method) if hasattr(response, "headers") else None
            if callable(unwrap) and not inspect.iscoroutinefunction(unwrap):
                return unwrap()
    return response


@contextmanager
def opened(chunks: Any) -> Iterator[Any]:
    """Give what yields the chunks, entering a stream's manager, and taking a stream out of a raw response."""
    if hasattr(type(chunks), "__iter__"):
        yield chunks
    elif hasattr(type(chunks), "__enter__"):
        with chunks as inner, opened(inner) as stream:
            yield stream
    else:
        yield chunks.parse() if hasattr(chunks, "parse") else chunks


@asynccontextmanager
async def aopened(chunks: Any) -> AsyncIterator[Any]:
    """As ``opened``, and a stream that is still awaited is awaited here."""
    if inspect.isawaitable(chunks) and not hasattr(type(chunks), "__aiter__"):
        chunks = await chunks
    if hasattr(type(chunks), "__aiter__"):
        yield chunks
    elif hasattr(type(chunks), "__aenter__"):
        async with chunks as inner, aopened(inner) as stream:
            yield stream
    else:
        parsed = chunks.parse() if hasattr(chunks, "parse") else chunks
        yield await parsed if inspect.isawaitable(parsed) else parsed


def check_not_over(meter: StreamMeter) -> None:
    """Raise ``GuardError`` where the call was charged already, so that what follows would be free."""
    if meter.over:
        raise GuardError("the block of the call is over, and the stream is charged; read a stream within the block")


def close_stream(source: Any) -> None:
    """Close a stream that nobody will read on, so that the provider stops. Never raises."""
    with suppress(Exception):  # it is being read by another thread, or cannot be closed
        source.close()


async def aclose_stream(source: Any) -> None:
    """Close a stream that nobody will read on, so that the provider stops. Never raises but when cancelled."""
    with suppress(Exception):  # it is being read by another task, or cannot be closed
        close = getattr(source, "aclose", None) or source.close
        closing = close()
        if inspect.isawaitable(closing):
            await closing
