"""The meter of one stream: sees each chunk as it passes, and knows at any time what the stream is to be charged by."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, Literal, TypeAlias

from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.streams.answer import TEXT, Answer
from costlens_policy.guard.streams.chunks import AnotherAnswer, note_unreadable, read_chunk
from costlens_policy.guard.streams.wire import PlainText, Unreadable, Wire

__all__ = ["Ending", "StreamMeter", "aclose_stream", "aopened", "check_not_over", "close_stream", "opened", "unwrapped"]


Ending: TypeAlias = Literal["ended", "left", "failed"]
"""``ended`` by itself; ``left`` by its reader; ``failed`` with an exception."""

_WIRES: Final = (str, bytes, bytearray, memoryview)
_SNAPSHOTS: Final = ("current_message_snapshot", "current_completion_snapshot")
"""Where the streams of Anthropic's and OpenAI's helpers keep what came so far."""


class StreamMeter:
    """Sees each chunk of one stream, which is one response, or several in a row.

    ``source`` is what gives the chunks, ``model`` the one in use when the stream was handed over. ``ending`` is None
    while it is under way; ``over`` says that the call is charged, so that no further chunk may pass. ``answered``: its
    response had begun, as far as its source tells.
    """

    __slots__ = ("_wire", "answered", "answers", "ending", "model", "over", "source", "started")

    def __init__(self, source: Any = None, model: str = "") -> None:
        self.source = source
        self.model = model
        self.answers = [Answer()]
        self.ending: Ending | None = None
        self.over = False
        self.started = False
        self.answered = False
        self._wire: Wire | None = None

    @property
    def may_have_cost(self) -> bool:
        """Whether the provider may have worked for it: not where an exception came before an answer and any chunk."""
        return self.started or self.answered or self.ending != "failed"

    @property
    def is_complete(self) -> bool:
        """Whether the usage of every response in the stream is known as a whole."""
        return self.started and all(map(self.is_whole, self.answers))

    def is_whole(self, answer: Answer) -> bool:
        """Whether the usage of a response covers all of it."""
        return answer.is_final or (self.ending == "ended" and answer.is_up_to_date)

    def begin(self, source: Any) -> None:
        """Note what gives the chunks once it is open."""
        self.answered = _has_answered(source)

    def see(self, chunk: Any) -> None:
        """Note what a chunk says. Never raises: what cannot be read is noted as that."""
        self.started = True
        if isinstance(chunk, _WIRES):
            self._see_wire(chunk)
        elif chunk is not None:
            self._read(chunk)

    def end(self, ending: Ending) -> None:
        """Note how the stream ended. Never raises."""
        if self.ending is None:
            self.ending = ending
            if self._wire is not None:
                self._take(self._wire.end())

    def look_back(self) -> None:
        """See what a helper's stream keeps of what came, for one that was read past the meter."""
        for name in _SNAPSHOTS:
            with suppress(Exception):  # there is none, or nothing has come yet
                if (snapshot := getattr(self.source, name, None)) is not None:
                    self.started = True
                    self._read(snapshot)

    def _see_wire(self, chunk: Any) -> None:
        if self._wire is None:
            self._wire = Wire()
        self._take(self._wire.take(chunk))

    def _take(self, values: Any) -> None:
        for value in values:
            kind = type(value)
            if kind is PlainText:
                answer = self.answers[-1]
                answer.begin_chunk()
                if value:
                    answer.say(TEXT, "delta", str(value))
                answer.end_chunk(firm=False)
            elif kind is Unreadable:
                note_unreadable(self.answers[-1], value)
            elif isinstance(value, list):
                self._take(value)
            else:
                self._read(value)

    def _read(self, chunk: Any) -> None:
        if type(chunk) is tuple and len(chunk) == 2 and isinstance(chunk[1], dict):  # LangGraph adds its metadata
            chunk = chunk[0]
        try:
            try:
                read_chunk(self.answers[-1], chunk)
            except AnotherAnswer as other:
                known = next((item for item in self.answers if other.id and item.id == other.id), None)
                if known is not None:
                    self.answers.remove(known)
                self.answers.append(known or Answer())
                read_chunk(self.answers[-1], chunk)
        except Exception as error:  # whatever an object of somebody else may do
            note_unreadable(self.answers[-1], f"{type(chunk).__name__}: {type(error).__name__}")


def _has_answered(source: Any) -> bool:
    """Return whether what gives the chunks belongs to a response that has begun well, so that its provider is at work.

    It is the response itself, or the stream of an SDK that keeps it, or a generator that is a method of one of them.
    Never raises.
    """
    with suppress(Exception):  # whatever an object of somebody else may do
        frame = getattr(source, "gi_frame", None) or getattr(source, "ag_frame", None)
        holder = source if frame is None else frame.f_locals.get("self")
        for thing in (holder, *(getattr(holder, name, None) for name in ("response", "_response", "http_response"))):
            status = getattr(thing, "status_code", None)
            if isinstance(status, int) and 200 <= status < 300:
                return True
    return False


def unwrapped(response: Any) -> Any:
    """Return what is in a raw response: ``with_raw_response`` of two SDKs, httpx, requests; a body.

    Never raises: what cannot be taken out stays as it is.
    """
    if isinstance(response, dict) or response is None or hasattr(type(response), "__pydantic_fields__"):
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
