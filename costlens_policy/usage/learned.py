"""Shapes of usage that were read before, and where each of their numbers went, so that the next one is read quickly.

A service sees few shapes: the same names, the same kinds of values, other numbers. The reader of everything, in
``reading``, stays what says how a usage is read. What it did with the names of a shape is kept here, and done again
where the numbers are plain: each part within its whole, nothing unknown, the total as it should be. Whatever else
comes goes the long way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

from costlens_policy.catalogue import Usage
from costlens_policy.usage.names import REPEATED, TIERED, role_of
from costlens_policy.usage.numbers import MOST_TOKENS
from costlens_policy.usage.numbers import numbers as numbers_in

__all__ = ["Learned", "known", "learn"]

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
_MOST_VALUES: Final = 80
_MOST_KNOWN: Final = 512
_MOST_ALIKE: Final = 8
"""How many shapes with the same names outside are kept."""
_LONGEST: Final = 5_000
_KNOWN: Final[dict[tuple[Any, ...], tuple[Learned, ...]]] = {}
"""By the shape that was asked for, and the names outside."""


class _Part(NamedTuple):
    """What stands inside a value of a row: the names of a mapping, None for a list, and the kinds of what it holds."""

    place: int
    names: tuple[Any, ...] | None
    kinds: tuple[type, ...]


class _Looks(NamedTuple):
    """What a usage looks like as a row: its values, then what stands inside the first of them, and so on.

    ``words`` are the texts and booleans that belong to the looks, with their places.
    """

    kinds: tuple[type, ...]
    parts: tuple[_Part, ...]
    words: tuple[tuple[int, Any], ...]

    def row_of(self, value: dict[Any, Any]) -> list[Any] | None:
        """Return a usage as a row; None for one that looks otherwise. Its names outside are those of the looks."""
        row = [*value.values()]
        if tuple(map(type, row)) != self.kinds:
            return None
        for place, names, kinds in self.parts:
            inner = row[place]
            if names is not None:
                if tuple(inner) != names:
                    return None
                inner = inner.values()
            if tuple(map(type, inner)) != kinds:
                return None
            row += inner
        for place, word in self.words:
            if row[place] != word:
                return None
        return row


class Learned(NamedTuple):
    """Where the numbers of a shape go, by their places in its row.

    ``tokens`` are the places of tokens with those of their roles, ``zeros`` the places of what has to be read at
    length unless it is zero. ``cache_beside`` and ``reasoning_beside`` say what is no part of its whole,
    ``tells_reasoning`` whether reasoning is counted apart.
    """

    looks: _Looks
    shape: str = ""
    tokens: tuple[tuple[int, int], ...] = ()
    """Empty for a shape that has to be read at length whatever its numbers are."""
    zeros: tuple[int, ...] = ()
    cache_beside: bool = False
    reasoning_beside: bool = False
    tells_reasoning: bool = False
    pick: Callable[[Sequence[Any]], tuple[int, ...]] | None = None
    """Takes the tokens of each role out of a row with a zero behind it, where no role has two places."""

    def read(self, value: dict[Any, Any]) -> Usage | None:
        """Return the buckets; None where the usage looks otherwise, or needs the reader of everything."""
        if not self.tokens or (row := self.looks.row_of(value)) is None:
            return None
        for place in self.zeros:
            if row[place]:
                return None
        if self.pick is None:
            return self._read_roles(row)
        row.append(0)
        picked = self.pick(row)
        return self._usage(*picked) if min(picked) >= 0 and max(picked) <= MOST_TOKENS else None

    def _read_roles(self, row: list[Any]) -> Usage | None:
        roles = [0] * len(_ROLES)
        for place, role in self.tokens:
            tokens = row[place]
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


def known(asked: str | None, value: dict[Any, Any]) -> Iterable[Learned]:
    """Return what was learned of shapes with the names of a usage outside."""
    return _KNOWN.get((asked, *value), ())


def learn(
    asked: str | None, value: dict[Any, Any], shape: str, beside: frozenset[str], *, tells_reasoning: bool
) -> None:
    """Keep how a usage that could be read is read, where that can be kept; ``shape`` is what it is called."""
    looks = _looks_of(value)
    alike = _KNOWN.get((asked, *value), ())
    if looks is None or len(alike) >= _MOST_ALIKE or any(item.looks == looks for item in alike):
        return
    if len(_KNOWN) >= _MOST_KNOWN:
        _KNOWN.clear()
    learned = _learned(value, looks, shape, beside) or Learned(looks)
    _KNOWN[asked, *value] = (*alike, learned._replace(tells_reasoning=tells_reasoning))


def _looks_of(value: dict[Any, Any]) -> _Looks | None:
    """Return what a usage looks like; None for what is not learned, such as texts, which may be many."""
    names, row = list[Any](value), list[Any](value.values())
    parts, words = list[_Part](), list[tuple[int, Any]]()
    for place, item in enumerate(row):  # which grows while it is walked
        kind = type(item)
        if kind is dict:
            parts.append(_Part(place, tuple(item), tuple(map(type, item.values()))))
            names += item
            row += item.values()
        elif kind is list and all(type(inner) is dict for inner in item):
            parts.append(_Part(place, None, tuple(map(type, item))))
            names += [None] * len(item)
            row += item
        elif kind is bool or (kind is str and names[place] in _WORDS and len(item) <= _LONGEST_WORD):
            words.append((place, item))
        elif kind is not int and kind is not float and item is not None:
            return None
        if len(row) > _MOST_VALUES:
            return None
    if sum(len(str(name)) for name in names) > _LONGEST:
        return None
    return _Looks(tuple(map(type, value.values())), tuple(parts), tuple(words))


def _learned(value: dict[Any, Any], looks: _Looks, shape: str, beside: frozenset[str]) -> Learned | None:
    """Return where the numbers of a shape go; None for one that has to be read at length."""
    kinds = list[type]()
    marked = _marked(value, kinds)
    marks, empty = numbers_in(marked, ("iterations",))
    paths = {mark: path for path, mark in marks.items() if type(mark) is int}
    if len(paths) != len(kinds) or any(mark.bit_count() != 1 for mark in paths):
        return None  # some are added up, or stand where they are read otherwise
    if any(type(mark) is not int and (type(mark) is not bool or role_of(path)) for path, mark in marks.items()):
        return None
    if any(role_of(path) in ("prompt", "answer") for path in empty):
        return None
    tokens, zeros = list[tuple[int, int]](), list[int]()
    for place, mark in enumerate(_row_of(marked)):
        if type(mark) is not int:
            continue
        path = paths[mark]
        role = role_of(path)
        if role in _ROLES and kinds[mark.bit_length() - 1] is int and not any(tier in path for tier in TIERED):
            tokens.append((place, _ROLES[role]))
        elif role == "citations":
            return None
        elif role is None and path.startswith(REPEATED):
            continue
        elif role != "none" or path.endswith("web_fetch_requests"):
            zeros.append(place)
    if not any(role == _ROLES["prompt"] for _, role in tokens):
        return None
    cache_beside, reasoning_beside = not _CACHES.isdisjoint(beside), "reasoning" in beside
    pick = _picker(tokens)
    return Learned(looks, shape, tuple(tokens), tuple(zeros), cache_beside, reasoning_beside, pick=pick)


def _picker(tokens: Sequence[tuple[int, int]]) -> Callable[[Sequence[Any]], tuple[int, ...]] | None:
    places = {role: place for place, role in tokens}
    return itemgetter(*(places.get(role, -1) for role in _ROLES.values())) if len(places) == len(tokens) else None


def _row_of(value: dict[Any, Any]) -> list[Any]:
    row = list[Any](value.values())
    for item in row:  # which grows while it is walked
        row += item.values() if type(item) is dict else item if type(item) is list else ()
    return row


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
