"""JSON as objects one after the other, in bounded memory: lines, arrays, pretty-printed, wrapped in an object."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from io import StringIO
from itertools import chain
from typing import Any, Final, NamedTuple, TextIO

from costlens_policy.replay.traffic.row import TrafficError

__all__ = ["AROUND", "BLANK", "FURTHER_PAGES", "JsonObject", "is_in_lines", "json_objects", "objects_in_line"]

FURTHER_PAGES: Final = "has further pages that are not in the file"
"""How the note ends on a file that announces what only the next one has."""

AROUND: Final = (
    "data", "logs", "rows", "records", "items", "results", "entries", "events", "spans", "traces", "observations",
    "generations", "requests", "calls", "value", "resourceSpans", "resource_spans", "batches",
)  # fmt: skip
"""Keys of arrays that an export wraps its rows in."""
_OF_SPANS: Final = ("resourceSpans", "resource_spans", "batches")
_BUCKETS: Final = "results"
"""Keys of hourly or daily sums, whose neighboring keys identify the period."""
_OF_A_CALL: Final = re.compile("token|cost|spend|model|prompt|usage|latency|duration|attributes|response|role", re.I)
"""An object with such a key is a row, whatever arrays it has."""
_MORE: Final = ("has_more", "next_page", "nextPageToken", "next_page_token", "next_cursor")
_UNREADABLE: Final = "not readable as JSON"
_PIECE: Final = 1 << 20
_LONGEST: Final = 1 << 28
"""Characters of one object."""
BLANK: Final = " \t\r\n\x1e\ufeff"
_BETWEEN: Final = re.compile(r"[\s,\x1e\ufeff]*+")
_MARK: Final = re.compile(r'"(?:[^"\\]++|\\.)*+("?)|[{}\[\]]', re.DOTALL)
_KEY: Final = re.compile(r'("(?:[^"\\]++|\\.)*+")\s*+:\s*+', re.DOTALL)
_PLAIN: Final = re.compile(r"[^,\]\}\s]++")
_HALF: Final = re.compile("[\ud800-\udfff]")
_OBJECTS: Final = re.compile(r'\[\s*+(?:\]|\{(?!\s*"object"\s*:\s*"embedding"))')


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key `{twice}` appears twice in one object")
    return found


def _fraction(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except ArithmeticError:
        raise ValueError(f"the number `{digits[:30]}` is out of range") from None


_DECODER: Final = json.JSONDecoder(parse_float=_fraction, object_pairs_hook=_unique)


class JsonObject(NamedTuple):
    """One object, as it stood at a line, or what is wrong there. ``line`` is None where lines mean nothing."""

    line: int | None
    fields: Mapping[str, Any]
    text: str
    problem: str = ""
    halved: bool = False
    """Whether it had unpaired surrogates, which no text can hold."""
    empty: bool = False
    """Whether it is no row, but the period of sums of which there are none."""


def json_objects(name: str, lines: Iterator[str] | TextIO, note: Callable[[str], None]) -> Iterator[JsonObject]:
    """Yield the objects of a text.

    ``note`` receives notes on the whole text. Numbers with a fraction are ``Decimal``. Raises ``TrafficError`` for an
    object of more than 256 million characters.
    """
    first = _first(lines)
    second = "" if _begins_otherwise(first) else _first(lines) if first else ""
    if _begins_otherwise(first) or _is_more_than_lines(first, second):
        yield from _Values(name, first + second, _pieces(lines), note).objects()
        return
    rest = iter(lines)
    if second and second[-1] not in "\r\n":
        second += next(rest, "")
    yield from _lines(first + second, rest)


def _first(lines: Iterator[str] | TextIO) -> str:
    """Return the next piece that is not blank, up to the end of its line, with the blank ones before it."""
    readline = getattr(lines, "readline", None)
    before, piece = "", "x"
    while piece and not before.strip(BLANK):
        piece = next(iter(lines), "") if readline is None else readline(_PIECE)
        before += piece
    return before


def _pieces(lines: Iterator[str] | TextIO) -> Iterator[str]:
    read = getattr(lines, "read", None)
    return iter(lines) if read is None else iter(lambda: read(_PIECE), "")


def is_in_lines(lines: Iterator[str] | TextIO) -> bool:
    """Return whether a text has one object, or a few, on each line."""
    first = _first(lines)
    return bool(first) and not (_begins_otherwise(first) or _is_more_than_lines(first, _first(lines)))


def _begins_otherwise(first: str) -> bool:
    return first.strip(BLANK)[:1] == "[" or (len(first) >= _PIECE and not first.endswith("\n"))


def _is_more_than_lines(first: str, second: str) -> bool:
    try:
        value = _DECODER.decode(first.strip(BLANK))
    except (ValueError, RecursionError):
        # A line that is damaged is followed by another object, one that is pretty-printed by a key.
        begins, goes_on = first.strip(BLANK), second.strip(BLANK)[:1]
        return begins[:1] == "{" and (begins[-1] in "{[:" or goes_on in ("", '"', "}", "["))
    if not isinstance(value, dict) or (key := _wrapped(value, AROUND)) is None:
        return False
    is_bucket = key == _BUCKETS and _is_period(value) and not any(name in value for name in _MORE)
    return not is_bucket


def _lines(before: str, lines: Iterator[str]) -> Iterator[JsonObject]:
    for number, line in enumerate(chain(StringIO(before, newline=""), lines), 1):
        text = line.strip(BLANK)
        if text:
            yield from objects_in_line(number, text, line[-1] in "\r\n")


def objects_in_line(number: int, text: str, ended: bool) -> Iterator[JsonObject]:
    """Yield what stands in a line without blanks around it; ``ended`` says whether the line has its end."""
    at = 0
    while at < len(text):
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            cut = "" if ended else "; the file ends in the middle of the line"
            yield JsonObject(number, {}, text[at:], f"{_unreadable(error)}{cut}")
            return
        yield from _rows(number, value, text[at:end], AROUND)
        at = _after_blanks(text, end)


def _after_blanks(text: str, at: int) -> int:
    found = _BETWEEN.match(text, at)
    assert found is not None, "it matches nothing, too"
    return found.end()


def _unreadable(error: Exception) -> str:
    return f"{_UNREADABLE}: {str(error).lower()}"


def _rows(line: int | None, value: Any, text: str, around: Sequence[str] = (_BUCKETS,)) -> Iterator[JsonObject]:
    """Yield what a value holds: itself, the elements of an array, or those of the array that it is there to hold."""
    if isinstance(value, list):
        for item in value:
            yield from _rows(line, item, text)
    elif not isinstance(value, dict):
        yield JsonObject(line, {}, text, "each row must be a JSON object")
    elif (key := _wrapped(value, around)) is not None:
        beside = {name: item for name, item in value.items() if not isinstance(item, dict | list)}
        if key == _BUCKETS and not value[key] and _is_period(beside):
            yield JsonObject(line, beside, text, empty=True)
        for item in value[key]:
            yield from _rows(line, {**beside, **item} if key == _BUCKETS else _kept(key, item), text)
    elif "\\ud" in text or "\\uD" in text:
        whole = _whole(value)
        yield JsonObject(line, whole, text, halved=whole != value)
    else:
        yield JsonObject(line, value, text)


def _is_period(fields: Mapping[str, Any]) -> bool:
    return any(name.startswith("start") for name in fields)


def _whole(value: Any) -> Any:
    """Return a value with a mark in place of each unpaired surrogate, such as writers that cut texts leave."""
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_HALF.sub("\ufffd", name): _whole(item) for name, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def _kept(key: str, item: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [item]} if key in _OF_SPANS else item


def _wrapped(value: dict[str, Any], around: Sequence[str]) -> str | None:
    """Return the key of the array that an object is there to hold; None where it is a row."""
    for key in around:
        items = value.get(key)
        if isinstance(items, list) and all(isinstance(item, dict) for item in items):
            inner = key in _OF_SPANS and len(items) == 1
            of_a_call = any(_OF_A_CALL.search(name) for name in value if name != key)
            embeddings = bool(items) and items[0].get("object") == "embedding"
            return None if inner or of_a_call or embeddings else key
    return None


class _Values:
    """A text that is walked once, object by object: what was walked is forgotten."""

    def __init__(self, name: str, head: str, more: Iterator[str], note: Callable[[str], None]) -> None:
        self._name = name
        self._text = head
        self._at = 0
        self._more = more
        self._note = note
        self._beside: dict[str, Any] = {}

    def objects(self) -> Iterator[JsonObject]:
        """Yield the objects of arrays, at any depth, and top-level ones."""
        arrays = 0
        while char := self._next():
            if char in "[]}":
                self._at += 1
                arrays += {"[": 1, "]": -1}.get(char, 0)
            elif char != "{":
                yield self._stranger()
            elif arrays > 0:
                yield from self._element(lambda value: value, AROUND)
            else:
                yield from self._object()
        if arrays > 0:
            yield JsonObject(None, {}, "", f"{_UNREADABLE}: the file ends in the middle of an array")
        if any(self._beside.get(key) for key in _MORE):
            self._note(f"`{self._name}` {FURTHER_PAGES}")

    def _object(self) -> Iterator[JsonObject]:
        """Yield the object that begins here, or the objects of the array that it is there to hold."""
        start, wrapped, of_a_call = self._at, False, False
        beside: dict[str, Any] = {}
        self._at += 1
        while (key := self._key()) is not None:
            of_a_call = of_a_call or _OF_A_CALL.search(key) is not None
            if key in AROUND and not of_a_call and self._opens_objects():
                self._at, wrapped = self._at + 1, True
                yield from self._elements(key)
                continue
            begin = self._at
            if not self._skip():
                yield self._cut("" if wrapped else self._text[start:])
                return
            if wrapped or key in _MORE:
                with suppress(ValueError):
                    beside[key] = _DECODER.decode(self._text[begin : self._at])
        if wrapped:
            self._beside.update(beside)
            if self._next() != "}":
                yield self._cut("")
            self._at += 1
            return
        self._at = start
        yield from self._element(lambda value: value)

    def _elements(self, key: str) -> Iterator[JsonObject]:
        while (char := self._next()) != "]":
            if not char:
                return  # whoever looks for the next key finds the end, too
            if char == "{":
                yield from self._element(lambda value: _kept(key, value))
            else:
                yield self._stranger()
        self._at += 1

    def _element(self, seen: Callable[[Any], Any], around: Sequence[str] = (_BUCKETS,)) -> Iterator[JsonObject]:
        """Yield the object that begins here: as a whole where it is right and read already, else by its end."""
        start = self._at
        try:
            value, self._at = _DECODER.raw_decode(self._text, start)
        except (ValueError, RecursionError):
            if self._skip():
                yield from self._decoded(self._text[start : self._at], seen, around)
            else:
                yield self._cut(self._text[start:])
        else:
            yield from _rows(None, seen(value), self._text[start : self._at], around)

    def _decoded(self, text: str, seen: Callable[[Any], Any], around: Sequence[str]) -> Iterator[JsonObject]:
        try:
            value = seen(_DECODER.decode(text))
        except (ValueError, RecursionError) as error:
            yield JsonObject(None, {}, text, _unreadable(error))
        else:
            yield from _rows(None, value, text, around)

    def _cut(self, text: str) -> JsonObject:
        self._at = len(self._text)
        return JsonObject(None, {}, text[:_PIECE], f"{_UNREADABLE}: the file ends in the middle of an object")

    def _stranger(self) -> JsonObject:
        start = self._at
        if not self._skip():
            self._at = len(self._text)
        return JsonObject(None, {}, self._text[start : self._at][:_PIECE], "each row must be a JSON object")

    def _next(self) -> str:
        """Go on to the next value or bracket and return its first character; forget what was before."""
        if self._at > _PIECE:
            self._text, self._at = self._text[self._at :], 0
        while True:
            self._at = _after_blanks(self._text, self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill():
                return ""

    def _key(self) -> str | None:
        """Return the next key and go on to its value; None at the end of the object, or where no key can be read."""
        while True:
            self._at = _after_blanks(self._text, self._at)
            found = _KEY.match(self._text, self._at)
            if found is not None and found.end() < len(self._text):
                self._at = found.end()
                return str(json.loads(found.group(1), strict=False))
            if self._text[self._at : self._at + 1] not in ('"', "") or not self._fill():
                return None

    def _opens_objects(self) -> bool:
        while len(self._text) < self._at + 200 and self._fill():
            pass
        return _OBJECTS.match(self._text, self._at) is not None

    def _skip(self) -> bool:
        """Go on to the end of the value that begins here. False where the text ends before."""
        if self._text[self._at] not in '"{[':
            return self._skip_plain()
        depth, at = 0, self._at
        while True:
            found = _MARK.search(self._text, at)
            if found is None or (found.group(1) == ""):
                at = len(self._text) if found is None else found.start()
                if not self._fill(len(self._text) - at):
                    return False
                continue
            mark, at = self._text[found.start()], found.end()
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(mark, 0)
            if depth == 0:
                self._at = at
                return True

    def _skip_plain(self) -> bool:
        while True:
            found = _PLAIN.match(self._text, self._at)
            end = self._at + 1 if found is None else found.end()
            if end < len(self._text) or not self._fill():
                self._at = end
                return True

    def _fill(self, least: int = 0) -> bool:
        """Read on. False at the end."""
        pieces, size = [self._text], 0
        for piece in self._more:
            pieces.append(piece)
            size += len(piece)
            if size >= max(least, _PIECE):
                break
        self._text = "".join(pieces)
        if len(self._text) - self._at > _LONGEST:
            raise TrafficError(f"`{self._name}` contains one object of more than {_LONGEST:,} characters; split it")
        return size > 0
