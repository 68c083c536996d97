"""Settling what an SDK returned: a parsed response, a raw one, or a stream that its caller still has to read.

A stream is metered where it is read: a ``Stream`` of the SDK stays one, and gives the chunks that the guard passes on;
of a response that is read as bytes, the bytes are metered. Whoever leaves a stream, by whatever helper of the SDKs,
closes its HTTP response, so that this is where a call learns that nobody reads on.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from typing import Any
from weakref import ref

from pydantic import BaseModel

from costlens_policy.guard import AsyncCall, Call

__all__ = ["asettled", "settled"]


def settled(call: Call, answer: Any, *, stream: bool, hide_usage: bool) -> Any:
    """Return what the caller gets: settled, or settled once it is read.

    ``stream``: the answer is one. ``hide_usage``: the caller did not ask for the chunk that carries nothing but the
    usage.
    """
    if isinstance(answer, BaseModel):  # as nearly always
        call.settle(answer)
        return answer
    if hasattr(answer, "_iterator"):
        return _stream(answer, _begun(call, answer._iterator, hide_usage=hide_usage))
    response = _unread_response(answer)
    if response is None:
        call.settle(_content(answer))
        return answer
    source = _Bytes(response, response.iter_bytes)
    reading = _begun(call, source)
    response.iter_bytes = source.reader(reading)
    response.close = _closing(response.close, reading)
    if stream and hasattr(answer, "parse"):
        parsed = answer.parse()
        parsed._iterator = _shown(parsed._iterator, response, hide_usage=hide_usage)
    return answer


async def asettled(call: AsyncCall, answer: Any, *, stream: bool, hide_usage: bool) -> Any:
    """As ``settled``, for what an asynchronous client returned."""
    if isinstance(answer, BaseModel):
        await call.settle(answer)
        return answer
    if hasattr(answer, "_iterator"):
        return _async_stream(answer, await _abegun(call, answer._iterator, hide_usage=hide_usage))
    response = _unread_response(answer)
    if response is None:
        await call.settle(_content(answer))
        return answer
    source = _AsyncBytes(response, response.aiter_bytes)
    reading = await _abegun(call, source)
    response.aiter_bytes = source.reader(reading)
    response.aclose = _aclosing(response.aclose, reading)
    if stream and hasattr(answer, "parse"):
        parsed = answer.parse()
        parsed = await parsed if hasattr(parsed, "__await__") else parsed
        parsed._iterator = _ashown(parsed._iterator, response, hide_usage=hide_usage)
    return answer


def _unread_response(answer: Any) -> Any:
    """Return the HTTP response in a raw one, or that is one, while its body is not read; None where there is none."""
    response = answer if hasattr(answer, "is_stream_consumed") else getattr(answer, "http_response", None)
    return None if response is None or hasattr(response, "_content") else response


def _content(answer: Any) -> Any:
    """Return what has the usage: the body of a raw response, and else the answer itself."""
    response = answer if hasattr(answer, "is_stream_consumed") else getattr(answer, "http_response", None)
    return answer if response is None else response.content


def _is_shown(chunk: Any) -> bool:
    """Whether a chunk is more than the usage of a chat completion."""
    return bool(chunk.choices) or chunk.usage is None


def _shown(chunks: Iterator[Any], response: Any, *, hide_usage: bool) -> Iterator[Any]:
    """Pass on the chunks of a raw stream, and close its response after them: older SDKs do not, where one fails."""
    try:
        for chunk in chunks:
            if not hide_usage or _is_shown(chunk):
                yield chunk
    finally:
        response.close()


async def _ashown(chunks: AsyncIterator[Any], response: Any, *, hide_usage: bool) -> AsyncIterator[Any]:
    try:
        async for chunk in chunks:
            if not hide_usage or _is_shown(chunk):
                yield chunk
    finally:
        await response.aclose()


def _begun(call: Call, source: Any, *, hide_usage: bool = False) -> Iterator[Any]:
    """Pass on chunks within the block of a call.

    The generator has begun when it is returned: one that never begins never ends its block, either.
    """

    def reading() -> Iterator[Any]:
        with call, closing(call.stream(source)) as chunks:  # type: ignore[type-var]  # it is a generator
            yield None
            for chunk in chunks:
                if not hide_usage or _is_shown(chunk):
                    yield chunk

    begun = reading()
    next(begun)
    return begun


async def _abegun(call: AsyncCall, source: Any, *, hide_usage: bool = False) -> AsyncIterator[Any]:
    async def reading() -> AsyncIterator[Any]:
        async with call, aclosing(call.stream(source)) as chunks:  # type: ignore[type-var]  # it is a generator
            yield None
            async for chunk in chunks:
                if not hide_usage or _is_shown(chunk):
                    yield chunk

    begun = reading()
    await anext(begun)
    return begun


def _stream(answer: Any, reading: Any) -> Any:
    """Return a stream of the SDK that gives what is read here.

    It is a copy: the given one is in a cycle with its own iterator, and would outlive its last reader.
    """
    shown = copy.copy(answer)
    shown._iterator = reading
    answer.response.close = _closing(answer.response.close, reading)
    return shown


def _async_stream(answer: Any, reading: Any) -> Any:
    shown = copy.copy(answer)
    shown._iterator = reading
    answer.response.aclose = _aclosing(answer.response.aclose, reading)
    return shown


def _closing(close: Callable[[], None], reading: Any) -> Callable[[], None]:
    """End the reading where somebody else than it closes the response."""
    read = ref(reading)

    def close_both() -> None:
        running = read()
        if running is not None and not running.gi_running:
            running.close()
        close()

    return close_both


def _aclosing(aclose: Callable[[], Any], reading: Any) -> Callable[[], Any]:
    read = ref(reading)

    async def close_both() -> None:
        running = read()
        if running is not None and not running.ag_running:
            await running.aclose()
        await aclose()

    return close_both


class _Bytes:
    """The bytes of a response, in the chunks that its first reader asks for."""

    def __init__(self, response: Any, iter_bytes: Callable[..., Any]) -> None:
        self._response = response
        self._iter_bytes = iter_bytes
        self._chunk_size: int | None = None

    def reader(self, reading: Any) -> Callable[..., Any]:
        """Return what stands in the place of ``iter_bytes``: a body that was read as a whole needs no meter."""

        def iter_bytes(chunk_size: int | None = None) -> Any:
            if hasattr(self._response, "_content"):
                return self._iter_bytes(chunk_size)
            self._chunk_size = chunk_size
            return reading

        return iter_bytes

    def __iter__(self) -> Any:
        return iter(self._iter_bytes(self._chunk_size))


class _AsyncBytes(_Bytes):
    """As ``_Bytes``, for readers that await."""

    __iter__ = None  # type: ignore[assignment]

    def __aiter__(self) -> Any:
        return aiter(self._iter_bytes(self._chunk_size))
