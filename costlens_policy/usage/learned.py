"""Shapes of usage that were read before, and where each of their numbers went, so that the next one is read quickly.

A service sees few shapes: the same names, the same kinds of values, other numbers. The reader of everything, in
``reading``, stays what says how a usage is read. What it did with the names of a shape is kept here, and done again
where the numbers are plain: each part within its whole, nothing unknown, the total as it should be. Whatever else
comes goes the long way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from costlens_policy.catalogue import Usage
from costlens_policy.usage.names import REPEATED, TIERED, role_of
from costlens_policy.usage.numbers import MOST_TOKENS
from costlens_policy.usage.numbers import numbers as numbers_in

__all__ = ["Learned", "Outline", "known", "learn", "outline"]

Outline: TypeAlias = tuple[Any, ...]
"""Names, and the kinds of what they name; words that say something stand for themselves."""

_WHOLES: Final = ("prompt", "answer", "total")
_PARTS: Final = (
    "cache_read", "cache_write", "cache_write_1h", "cache_write_5m", "input_audio", "input_image", "within_prompt",
    "within_cache", "tool_prompt", "within_tools", "reasoning", "output_audio", "output_image", "within_answer",
)  # fmt: skip
_ROLES: Final = {role: place for place, role in enumerate((*_WHOLES, *_PARTS))}
_CACHES: Final = frozenset({"cache_read", "cache_write", "cache_write_1h", "cache_write_5m"})
_WORDS: Final = frozenset({
    "modality", "ttl", "type", "service_tier", "serviceTier", "trafficType", "traffic_type", "inference_geo", "speed",
})  # fmt: skip
"""Names whose texts are few. A usage with other texts, which may be many, is not learned."""
_LONGEST_WORD: Final = 30
_MOST_NUMBERS: Final = 60
_MOST_KNOWN: Final = 512
_LONGEST: Final = 5_000
_DEEPEST: Final = 6
_KNOWN: Final[dict[tuple[str | None, Outline], Learned | None]] = {}


class Learned(NamedTuple):
    """Where the numbers of a shape go, by their places in its order.

    ``tokens`` are the places of tokens with those of their roles, ``zeros`` the places of what has to be read at
    length unless it is zero. ``cache_beside`` and ``reasoning_beside`` say what is no part of its whole.
    """

    shape: str
    tokens: tuple[tuple[int, int], ...]
    zeros: tuple[int, ...]
    cache_beside: bool
    reasoning_beside: bool

    def read(self, numbers: list[Any]) -> Usage | None:
        """Return the buckets; None where the numbers need the reader of everything."""
        for place in self.zeros:
            if numbers[place]:
                return None
        roles = [0] * len(_ROLES)
        for place, role in self.tokens:
            tokens = numbers[place]
            before = roles[role]
            if tokens != before:
                if not 0 <= tokens <= MOST_TOKENS or (before and tokens and role < len(_WHOLES)):
                    return None
                if tokens > before:
                    roles[role] = tokens
        return self._usage(*roles)

    def _usage(
        self, prompt: int, answer: int, total: int, cached: int, written: int, for_an_hour: int, for_minutes: int,
        audio: int, images: int, within_prompt: int, within_cache: int, tools: int, within_tools: int,
        thought: int, sound: int, pictures: int, within_answer: int,
    ) -> Usage | None:  # fmt: skip
        written = max(written, for_an_hour + for_minutes)
        text = prompt - audio - images
        if not self.cache_beside:
            text -= cached + written
        spoken = answer - sound - pictures
        if not self.reasoning_beside:
            spoken -= thought
        if text < 0 or spoken < 0 or within_prompt > prompt or within_cache > cached or within_answer > answer:
            return None
        if within_tools > tools:
            return None
        asked = text + tools + cached + written + audio + images
        if not asked or (total and total != asked + spoken + thought + sound + pictures):
            return None
        return Usage(
            text + tools, cached, written - for_an_hour, for_an_hour, spoken, thought, audio, 0, sound, images, pictures
        )


def outline(value: Mapping[str, Any], numbers: list[Any], depth: int = 0) -> Outline | None:
    """Return what a usage looks like, and put its numbers into ``numbers``; None for what is not learned."""
    parts: list[Any] = list(value)
    for name, item in value.items():
        kind = type(item)
        if kind is int or kind is float:
            numbers.append(item)
            parts.append(kind)
        elif item is None:
            parts.append(None)
        elif kind is dict or kind is list:
            if depth > _DEEPEST:
                return None
            inner = outline(item, numbers, depth + 1) if kind is dict else _outline_of_items(item, numbers, depth + 1)
            if inner is None:
                return None
            parts.append(inner)
        elif kind is bool or (kind is str and name in _WORDS and len(item) <= _LONGEST_WORD):
            parts.append(item)
        else:
            return None
    return tuple(parts) if len(numbers) <= _MOST_NUMBERS else None


def _outline_of_items(items: list[Any], numbers: list[Any], depth: int) -> Outline | None:
    parts: list[Any] = [list]
    for item in items:
        inner = outline(item, numbers, depth) if type(item) is dict and len(parts) < _MOST_NUMBERS else None
        if inner is None:
            return None
        parts.append(inner)
    return tuple(parts)


def known(asked: str | None, looks: Outline) -> Learned | None:
    """Return what was learned of a shape; None where that is nothing, or it was never seen."""
    return _KNOWN.get((asked, looks))


def learn(asked: str | None, looks: Outline, fields: dict[str, Any], shape: str, beside: frozenset[str]) -> None:
    """Keep how a usage that could be read is read, where that can be kept; ``shape`` is what it is called."""
    if (asked, looks) in _KNOWN or len(str(looks)) > _LONGEST:
        return
    if len(_KNOWN) >= _MOST_KNOWN:
        _KNOWN.clear()
    _KNOWN[asked, looks] = _learned(fields, shape, beside)


def _learned(fields: dict[str, Any], shape: str, beside: frozenset[str]) -> Learned | None:
    kinds = list[type]()
    marks, empty = numbers_in(_marked(fields, kinds), ("iterations",))
    places = {mark.bit_length() - 1: path for path, mark in marks.items() if type(mark) is int}
    if len(places) != len(kinds) or any(mark.bit_count() != 1 for mark in marks.values() if type(mark) is int):
        return None  # some are added up, or stand where they are read otherwise
    if any(type(mark) is not int and (type(mark) is not bool or role_of(path)) for path, mark in marks.items()):
        return None
    if any(role_of(path) in ("prompt", "answer") for path in empty):
        return None
    tokens, zeros = list[tuple[int, int]](), list[int]()
    for place, path in places.items():
        role = role_of(path)
        if role in _ROLES and kinds[place] is int and not any(tier in path for tier in TIERED):
            tokens.append((place, _ROLES[role]))
        elif role == "citations":
            return None
        elif role is None and path.startswith(REPEATED):
            continue
        elif role != "none" or path.endswith("web_fetch_requests"):
            zeros.append(place)
    if not any(role == _ROLES["prompt"] for _, role in tokens):
        return None
    return Learned(shape, tuple(tokens), tuple(zeros), not _CACHES.isdisjoint(beside), "reasoning" in beside)


def _marked(value: Any, kinds: list[type]) -> Any:
    """Return a usage with a bit of its own for each number, so that even a sum of some shows which they were."""
    kind = type(value)
    if kind is dict:
        return {name: _marked(item, kinds) for name, item in value.items()}
    if kind is list:
        return [_marked(item, kinds) for item in value]
    if kind is not int and kind is not float:
        return value
    kinds.append(kind)
    return 1 << len(kinds) - 1
