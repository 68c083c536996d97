"""Chunks that are text or bytes: plain pieces of the answer, or the wire format itself, split anywhere.

Source: the WHATWG HTML standard, "Server-sent events" (an event is its ``data`` lines up to a blank one). Besides: JSON
texts one after the other, as Ollama sends them, and the array that Gemini sends without ``alt=sse``.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, cast

from costlens_policy.usage import usage_fields

__all__ = ["PlainText", "Unreadable", "Wire", "fields_of"]


_PREFIXES: Final = ("data:", "event:", "id:", "retry:", ":")
_JSON: Final = json.JSONDecoder()
_BETWEEN: Final = " \t\r\n,[]"
_TELLING: Final = frozenset({
    "choices", "candidates", "usage", "usageMetadata", "usage_metadata", "type", "event_type", "delta", "message",
    "done", "response", "data", "metadata", "contentBlockDelta", "contentBlockStart", "messageStart", "messageStop",
})  # fmt: skip
"""Keys of chunks: a text that is a JSON object without one is a piece of an answer in JSON."""


class PlainText(str):
    """A piece of the answer itself."""

    __slots__ = ()


class Unreadable(str):
    """A piece of the wire that is not JSON."""

    __slots__ = ()


class Wire:
    """Takes texts and bytes, and gives the objects in them. The first piece says what the rest is."""

    def __init__(self) -> None:
        self._mode = ""
        self._line = ""
        self._data: list[str] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._parsed_at = 0

    def take(self, piece: str | bytes | bytearray | memoryview) -> Iterator[Any]:
        """Yield what a piece completes: objects of JSON, ``PlainText``, ``Unreadable``."""
        text = piece if isinstance(piece, str) else self._decoder.decode(bytes(piece))
        if not self._mode:
            self._mode = self._mode_of(text, raw=not isinstance(piece, str))
        if self._mode in ("", "text"):
            yield PlainText(text)
        elif self._mode == "objects":
            yield from self._object(text)
        elif self._mode == "json":
            self._line += text
            yield from self._values(last=False)
        else:
            yield from self._events(text)

    def end(self) -> Iterator[Any]:
        """Yield what is complete now that nothing follows."""
        if self._mode == "json":
            yield from self._values(last=True)
        elif self._mode == "events":
            yield from self._events("\n\n")

    @staticmethod
    def _mode_of(text: str, *, raw: bool) -> str:
        start = text.lstrip("\ufeff \t\r\n")
        if not start:
            return ""
        if start.startswith(_PREFIXES) or (raw and any(prefix.startswith(start) for prefix in _PREFIXES)):
            return "events"
        if raw:
            return "json"
        return "objects" if start[0] == "{" and _is_chunk(_parsed(start)) else "text"

    def _object(self, text: str) -> Iterator[Any]:
        for line in text.splitlines() if _parsed(text) is None else (text,):
            if line.strip():
                value = _parsed(line)
                yield Unreadable(line) if value is None else value

    def _values(self, *, last: bool) -> Iterator[Any]:
        """Yield the JSON texts at the beginning of what came. A long one is not tried again at each piece of it."""
        if not last and len(self._line) < 2 * self._parsed_at:
            return
        text = self._line.lstrip(_BETWEEN)
        while text:
            try:
                value, end = _JSON.raw_decode(text)
            except (ValueError, RecursionError):
                break
            yield value
            text = text[end:].lstrip(_BETWEEN)
        self._line, self._parsed_at = text, len(text)
        if last and text:
            yield Unreadable(text)

    def _events(self, text: str) -> Iterator[Any]:
        """Take lines, whole or in pieces, with or without their ends."""
        if "\n" not in text and "\r" not in text:
            yield from self._without_end(text)
            return
        *lines, self._line = (self._line + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in lines:
            yield from self._take_line(line)

    def _without_end(self, text: str) -> Iterator[Any]:
        """Take a line whose end was taken off, or a piece of one: it is whole if it reads like one."""
        if self._line and (not text or text.startswith(_PREFIXES)) and self._is_whole(self._line):
            line, self._line = self._line, ""
            yield from self._take_line(line)
        if not text and not self._line:
            yield from self._take_line("")
            return
        self._line += text
        if self._line is text and text.startswith("data:") and self._is_whole(text):
            self._line = ""
            yield from self._take_line(text)

    @staticmethod
    def _is_whole(line: str) -> bool:
        if not line.startswith("data:"):
            return line.startswith(_PREFIXES)
        payload = line[5:].strip()
        return payload == "[DONE]" or _parsed(payload) is not None

    def _take_line(self, line: str) -> Iterator[Any]:
        if line.startswith("data:"):
            payload = line[5:].strip()
            value = None if self._data else _parsed(payload)
            if value is not None:
                yield value
            elif payload != "[DONE]":
                self._data.append(payload)
        elif not line.strip():
            if self._data:
                payload = "\n".join(self._data)
                self._data = []
                value = _parsed(payload)
                yield Unreadable(payload) if value is None else value
        elif not line.startswith(_PREFIXES):
            yield Unreadable(line)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_chunk(value: Any) -> bool:
    return isinstance(value, dict) and not _TELLING.isdisjoint(value)


_NOTHING: Final[Mapping[str, Any]] = {}


def fields_of(value: Any) -> Mapping[str, Any]:
    """Return the fields of a mapping, or of an object of an SDK. Raises ``UsageError`` for what has none."""
    kind: Any = type(value)
    return cast("Mapping[str, Any]", value) if kind is dict else _reader(kind)(value)


@lru_cache(maxsize=1024)
def _reader(kind: Any) -> Callable[[Any], Mapping[str, Any]]:
    if issubclass(kind, Mapping):
        return lambda value: cast("Mapping[str, Any]", value)
    if kind is type(None):
        return lambda _: _NOTHING
    if hasattr(kind, "__pydantic_fields__") or hasattr(kind, "model_fields"):
        return _of_pydantic
    if hasattr(kind, "_asdict"):
        return lambda value: cast("Mapping[str, Any]", value._asdict())
    if hasattr(kind, "__struct_fields__"):  # msgspec
        return lambda value: {name: getattr(value, name) for name in value.__struct_fields__}
    if hasattr(kind, "__dataclass_fields__"):
        return lambda value: {name: getattr(value, name, None) for name in value.__dataclass_fields__}
    if isinstance(getattr(kind, "data", None), property) and hasattr(kind, "event"):  # an event of the wire
        return lambda value: {"data": value.data}
    return usage_fields


def _of_pydantic(value: Any) -> Mapping[str, Any]:
    """Return the fields as they stand in the object, and those that its class does not know."""
    more = getattr(value, "__pydantic_extra__", None)
    fields: Mapping[str, Any] = value.__dict__
    return {**fields, **more} if more else fields
