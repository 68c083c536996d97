"""The critical values of a place: few, and between them all that conditions can tell apart.

For a number they are what it is compared with, and its neighbours; for a text what it is compared with, each prefix and
suffix with something else, and one text that nothing names; for a list which of the named elements it has; for all that
need not be there, absence. What is not understood gets examples, and is marked as searched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import combinations, islice, pairwise, product
from typing import Any, Final

from costlens_policy.assurance.domain.calls import example_lists
from costlens_policy.assurance.domain.examples import texts_matching
from costlens_policy.assurance.domain.times import critical_times
from costlens_policy.assurance.domain.trees import Read, Use
from costlens_policy.assurance.domain.written import Constants
from costlens_policy.engine.facts import Balance
from costlens_policy.expressions import DYN, Timestamp, Type, Value
from costlens_policy.expressions.runtime import from_python
from costlens_policy.expressions.runtime.admission import from_datetime

__all__ = ["ABSENT", "LOWER", "UPPER", "Absent", "Critical", "critical_values", "value_key"]

_MOST_VALUES: Final = 5_000
_MOST_MEMBERS: Final = 6
_MOST_PARTS: Final = 7
_MOST_COMBINED: Final = 512
_UNKNOWN: Final = ("dyn", "<unknown>", "null_type")
_OTHER: Final = "other"
UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
"""How CEL changes the case of letters, of ASCII only."""
_EXACT: Final = 2**53
_SURROGATES: Final = range(0xD800, 0xE000)
_LEAST: Final = "\0"
_MOST: Final = chr(0x10FFFF)
_LONGEST: Final = {"string": 200_000, "list": 10_000, "map": 1_000}
"""Sizes of the longest values that are tried."""


class Absent:
    """A place of a request at which there is nothing."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = Absent()


@dataclass(frozen=True)
class Critical:
    """The critical values of a place.

    ``alone`` are those that stand for nothing but themselves, by their places in ``values``; each of the others stands
    for many, so that only what is understood is known of all of them. ``why`` says what else there may be, if anything.
    ``of_size`` is the size of the use that they were made for.
    """

    values: tuple[Value | Absent | Balance, ...] = ()
    alone: frozenset[int] = frozenset()
    why: str = ""
    type: Type = DYN
    of_size: int = 0

    @cached_property
    def absent(self) -> int | None:
        """The place of absence, if it is among them."""
        return next((place for place, value in enumerate(self.values) if value is ABSENT), None)

    @cached_property
    def _places(self) -> dict[object, int]:
        return {value_key(value): place for place, value in enumerate(self.values)}

    def place_of(self, value: Value | Absent | Balance) -> int | None:
        """Return the place of a value, None where it is not among them."""
        return self._places.get(value_key(value))


def value_key(value: Value | Absent | Balance) -> object:
    """Return what two values share only if they are the same, type and all."""
    return (type(value), repr(value)) if isinstance(value, list | dict | float) else (type(value), value)


def critical_values(use: Use, now: datetime, read: Read = ()) -> Critical:
    """Return the critical values of a place. ``now`` is where times begin, ``read`` the place where that says more."""
    if use.clocks or use.type.name == "timestamp":
        return _times(use, now)
    if use.declared:
        values: list[Any] = sorted(set(use.declared), key=lambda value: (value not in use.literals, value))
    else:
        examples = example_lists(read, (*use.literals, *use.parts)) if use.searched else ()
        values = list(_unique((*examples, *_of_type(use, now, read))))
    why = ""
    if len(values) > _MOST_VALUES:
        values, why = values[:_MOST_VALUES], "{} is compared with very many values"
    if len(use.parts) > _MOST_PARTS or _combinations(use) > _MOST_COMBINED:
        why = "very many parts are looked for in {}"
    if use.type.name == "list" and len(use.members) > _MOST_MEMBERS:
        why = "very many elements are looked for in {}"
    why = why or _mixed(use)
    if any(size >= _LONGEST.get(use.type.name, size + 1) for size in use.sizes):
        why = "the size of {} is compared with very large numbers"
    if use.type.name in _UNKNOWN and not _is_told_by_equality(use):
        why = "the type of {} is not declared"
    if use.optional:
        values.append(ABSENT)
    return Critical(
        tuple(values), frozenset(n for n, value in enumerate(values) if _is_alone(value, use)), why, use.type
    )


def _is_told_by_equality(use: Use) -> bool:
    """Say whether a value of each type stands for all others of its type, beside those that are compared with."""
    plain = {type(value) for value in use.literals} <= {str, bool, int, float}
    return plain and not (use.is_ranged or use.members or use.sizes)


def _mixed(use: Use) -> str:
    """Return why its values do not stand for all that conditions ask about a place, such as in several ways at once."""
    if use.parts and use.sizes:
        return "the size and the parts of {} are asked for at once"
    if use.functions and use.sizes:
        return "the case and the size of {} are asked for at once"
    if (use.prefixes or use.suffixes or use.parts) and len(use.functions) + use.is_bare > 1:
        return "the case and the parts of {} are asked for at once"
    if use.ordered and (use.suffixes or use.sizes or use.functions or use.parts or use.patterns):
        return "the place of {} in the order of texts and its parts are asked for at once"
    if any(isinstance(value, int | float) and abs(value) >= _EXACT for value in use.members):
        return "numbers are looked for in {} that doubles cannot tell apart"
    if use.type.name == "map" and use.has_children and use.sizes:
        return "the size and the entries of {} are asked for at once"
    return ""


def _times(use: Use, now: datetime) -> Critical:
    """Return times of all kinds, now last. Any is as any other of its kind, unless more than clocks is made of it."""
    named = [value for value in use.literals if isinstance(value, datetime)]
    times, why = critical_times(use.clocks, named, now)
    values: list[Value | Absent] = [*_instants(named), *(from_python(time) for time in reversed(times))]
    values = list(_unique(values))
    if use.optional:
        values.append(ABSENT)
    alone = frozenset(range(len(values))) if not use.searched else frozenset()
    return Critical(tuple(values), alone, why, use.type)


def _instants(named: Iterable[datetime]) -> Iterator[Timestamp]:
    """Yield those that are named, and the ones just before and after: requests have fractions of a second."""
    least, most = (from_datetime(end.replace(tzinfo=UTC)).nanoseconds for end in (datetime.min, datetime.max))
    for time in map(from_datetime, sorted(named)):
        near = (time.nanoseconds + step for step in (-1, 0, 1))
        yield from (Timestamp(at) for at in near if least <= at <= most)


def _is_alone(value: Any, use: Use) -> bool:
    """Say whether a critical value stands for itself only."""
    if value is ABSENT or isinstance(value, bool) or use.declared:
        return True
    return isinstance(value, str | int | float) and value in use.literals


def _of_type(use: Use, now: datetime, read: Read) -> Iterator[Any]:
    match use.type.name:
        case "bool":
            yield from (True, False)
        case "string":
            yield from _texts(use)
        case "int" | "uint":
            yield from _whole_numbers(use)
        case "double":
            yield from _numbers(use)
        case "list":
            yield from _lists(use)
        case "map":
            yield {}
            if not use.has_children or use.sizes or use.searched:
                sizes = [size for size in _around(use.sizes) if 0 < size <= _LONGEST["map"]] or [1]
                yield from ({f"key{n}": "x" for n in range(size)} for size in sizes)
        case "duration":
            yield from (from_python(timedelta(seconds=seconds)) for seconds in (0, 1, 60, 3600, 86400))
        case _:
            yield from _anything(use, read)


def _texts(use: Use) -> Iterator[str]:
    literals = sorted(value for value in use.literals if isinstance(value, str))
    yield from literals
    if use.ordered:
        yield from _in_between(use, literals)
    if "lowerAscii" in use.functions or "upperAscii" in use.functions:
        yield from _spellings(literals)
    other = _filler(use)
    begin, end = sorted(use.prefixes), sorted(use.suffixes)
    yield from (*begin, *end)
    around = [(prefix, suffix) for prefix in ("", *begin) for suffix in ("", *end)]
    sizes = [size for size in _around(use.sizes) if size <= _LONGEST["string"]]
    for prefix, suffix in around:
        least = len(prefix) + len(suffix)
        yield from (prefix + (other * size)[: size - least] + suffix for size in sizes if size > least)
        if least in sizes:
            yield prefix + suffix
        if sizes:
            yield from _overlaps(prefix, suffix)
    yield from (prefix + other + suffix for prefix, suffix in around if prefix or suffix)
    yield from _combined(use, around)
    yield from sorted(use.parts)
    yield from (f"{other} {part} {other}" for part in sorted(use.parts))
    yield from (
        f"{part} {other * size}"[:size]
        for part in sorted(use.parts)[:_MOST_MEMBERS]
        for size in sizes[: 3 * _MOST_MEMBERS]
        if size > len(part)
    )
    for pattern in sorted(use.patterns):
        yield from texts_matching(pattern)
    yield ""
    yield other


def _combinations(use: Use) -> int:
    return (1 + len(use.prefixes)) * (1 + len(use.suffixes)) * 2 ** len(use.parts) if use.parts else 0


def _combined(use: Use, around: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield a text with each choice of parts, between each beginning and end.

    Between them stands a character that no named text has. So whatever a text begins with, ends with and contains of
    what is named, one of these does, and nothing more.
    """
    if not use.parts or len(use.parts) > _MOST_PARTS or _combinations(use) > _MOST_COMBINED:
        return
    named = {*use.parts, *use.prefixes, *use.suffixes, *(text for text in use.literals if isinstance(text, str))}
    used = {change for text in named for letter in text for change in (letter, letter.upper(), letter.lower())}
    between = next(mark for mark in (*" .,#~", *map(chr, range(0x4E00, 0x9FFF))) if mark not in used)
    parts = sorted(use.parts)
    for size in range(len(parts), -1, -1):
        for chosen in combinations(parts, size):
            yield from (between.join((prefix, *chosen, suffix)) for prefix, suffix in around)


def _in_between(use: Use, literals: Sequence[str]) -> Iterator[str]:
    """Yield a text of each range in the order of texts, between any two that are named; those with a prefix are one."""
    ends = (_behind(prefix) for prefix in use.prefixes)
    bounds = sorted({"", *literals, *use.prefixes, *(end for end in ends if end is not None)})
    for bound in bounds:
        yield from (bound, bound + _LEAST)  # the next text of all
    for bound, end in zip(bounds, [*bounds[1:], None], strict=True):
        readable = (bound + letter for letter in "ax0")
        yield from islice((text for text in readable if end is None or text < end), 1)


def _behind(prefix: str) -> str | None:
    """Return the first text behind all that begin with a prefix; None where there is none."""
    kept = prefix.rstrip(_MOST)
    if not kept:
        return None
    code = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if code in _SURROGATES else code)


def _overlaps(prefix: str, suffix: str) -> Iterator[str]:
    """Yield texts in which the end of a prefix is the beginning of a suffix."""
    for shared in range(1, min(len(prefix), len(suffix)) + 1):
        if prefix.endswith(suffix[:shared]):
            yield prefix + suffix[shared:]


def _spellings(literals: Sequence[str]) -> Iterator[str]:
    """Yield each text in small and in capital letters, and in one other way that is not named."""
    for word in sorted({literal.translate(LOWER) for literal in literals}):
        yield from (word, word.translate(UPPER))
        ways = product(*((letter, letter.translate(UPPER)) if letter.isascii() else (letter,) for letter in word))
        named = {*literals, word, word.translate(UPPER)}
        yield from islice((way for way in map("".join, ways) if way not in named), 1)


def _filler(use: Use) -> str:
    """Return a text that nothing names, and behind a named prefix or before a suffix makes no longer one of them."""
    named = {str(value) for value in (*use.literals, *use.parts, *use.prefixes, *use.suffixes) if value != ""}
    if use.functions:
        named |= {text.translate(case) for text in named for case in (LOWER, UPPER)}
    # What is cut to a size must not become a text that is named.
    fillers = _fillers(named, readable=not (use.sizes and named))
    return next(filler for filler in fillers if _is_strange(filler, named) and _adds_nothing(filler, use))


def _other(named: Iterable[str]) -> str:
    """Return a text that is none of those that are named, and begins or ends none of them."""
    known = {text for text in named if text}
    return next(filler for filler in _fillers(known) if _is_strange(filler, known))


def _is_strange(filler: str, named: Iterable[str]) -> bool:
    return not any(filler in text or filler.startswith(text) or filler.endswith(text) for text in named)


def _fillers(named: Iterable[str], readable: bool = True) -> Iterator[str]:
    """Yield texts that people can read, and in the end one of characters that no named text has."""
    used = {character for text in named for character in text}
    if readable:
        yield from ("other", "another", "something", "unknown")
    yield from (character * 2 for character in "xqz#0" if character not in used)
    yield from (chr(code) * 2 for code in range(0x4E00, 0x9FFF) if chr(code) not in used)


def _adds_nothing(filler: str, use: Use) -> bool:
    begins = all(
        longer == prefix or not longer.startswith(prefix) or not (longer.startswith(prefix + filler[:1]))
        for prefix in ("", *use.prefixes)
        for longer in use.prefixes
    )
    ends = all(
        longer == suffix or not longer.endswith(suffix) or not longer.endswith(filler[-1:] + suffix)
        for suffix in ("", *use.suffixes)
        for longer in use.suffixes
    )
    return begins and ends


def _whole_numbers(use: Use) -> Iterator[int]:
    bounds = sorted(value for value in use.literals if isinstance(value, int | float) and not isinstance(value, bool))
    found = {near for value in bounds if math.isfinite(value) for near in _near(value)}
    low, high = (0, 2**64 - 1) if use.type.name == "uint" else (-(2**63), 2**63 - 1)
    yield from sorted(value for value in found if low <= value <= high)
    yield 1000
    if use.searched:
        yield from (0, 1, 10, 100, 10_000, 100_000, 1_000_000)


def _near(value: float) -> Iterator[int]:
    if isinstance(value, float) and abs(value) >= _EXACT:  # integers are rounded to doubles, to the nearest
        for next_ in (math.nextafter(value, end) for end in (-math.inf, math.inf)):
            middle = (int(value) + int(next_)) // 2 if math.isfinite(next_) else int(value)
            yield from range(middle - 1, middle + 3)
    yield from (math.floor(value) - 1, math.floor(value), math.ceil(value), math.ceil(value) + 1)


def _numbers(use: Use) -> Iterator[float]:
    bounds = sorted({float(value) for value in use.literals if type(value) in (int, float) and math.isfinite(value)})
    yield from (math.nextafter(bound, end) for bound in bounds for end in (-math.inf, math.inf))
    yield from ((0.0, -0.0) if 0.0 in bounds else ())
    yield from bounds
    yield from (one / 2 + two / 2 for one, two in pairwise(bounds))
    if bounds:
        yield from (bounds[0] - 1, bounds[-1] + 1, bounds[0] / 2)
    yield 1.0
    if use.searched:
        yield from (0.0, 0.001, 10.0, 1000.0, 1e6)


def _lists(use: Use) -> Iterator[list[Any]]:
    examples = [value for value in use.literals if isinstance(value, str)] if use.searched else ()
    members = sorted(Constants([*use.members, *examples]), key=repr)
    for size in range(min(len(members), _MOST_MEMBERS) + 1):
        yield from (list(chosen) for chosen in combinations(members[:_MOST_MEMBERS], size))
    yield from ([member] for member in members[_MOST_MEMBERS:])
    other = _other(member for member in members if isinstance(member, str))
    yield [other]
    few = members[:_MOST_MEMBERS]
    yield from ([*chosen, other] for size in range(len(few), 0, -1) for chosen in combinations(few, size))
    yield from ([member, other] for member in members[_MOST_MEMBERS:])
    for size in _around(use.sizes):
        if 0 < size <= _LONGEST["list"]:
            yield from ([member] * size for member in (*few, other))
            for many in range(1, min(len(few), size - 1) + 1):
                for chosen in combinations(few, many):
                    yield from ([*chosen, *[last] * (size - many)] for last in (chosen[0], other))
            yield from ([member, *[other] * (size - 1)] for member in members[_MOST_MEMBERS:])
            yield from (list(chosen) for chosen in combinations(few, size) if size <= len(few))


def _around(sizes: Iterable[int]) -> Iterator[int]:
    return iter(sorted({near for size in sizes for near in (size - 1, size, size + 1) if near >= 0}))


def _anything(use: Use, read: Read) -> Iterator[Any]:
    """Yield values of all types that a place without a declared one may have."""
    kinds = {type(value) for value in use.literals}
    if len(read) > 2:  # an attribute that is null is as one that is not there
        yield None
    yield from (True, False, [])
    if not use.has_children:
        yield {}
    yield from (value for value in use.literals if isinstance(value, float))
    yield from _whole_numbers(use) if kinds & {int, float} else (1000,)
    yield from _texts(use)
    if use.members or use.sizes:
        yield from _lists(use)
    if use.has_children:
        yield {}


def _unique(values: Iterable[Any]) -> Iterator[Any]:
    seen: set[str] = set()
    for value in values:
        key = f"{type(value).__name__}:{value!r}"
        if key not in seen:
            seen.add(key)
            yield value
