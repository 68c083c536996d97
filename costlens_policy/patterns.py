"""Regular expressions that are matched in time linear in the text: all that this program asks of its engine.

The engine is RE2. Nothing else imports it, so that another linear engine can take its place; it is loaded when the
first pattern is compiled. Texts are UTF-8, places in them are offsets in bytes.

RE2 matches in one pass over the text, but where a pattern keeps many readings of it open at once, such as
``x.{0,500}y``, each byte costs as much as there are readings. So a pattern has a ``size``: the steps of its compiled
program, in which a run of plain characters, and a class of characters however large, count once. Size times length is
what a search may cost at worst.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

__all__ = ["LARGEST", "Pattern", "PatternError", "Spans", "compile_pattern"]

LARGEST: Final = 3_000
"""The size from which on a pattern is refused, unless the caller sets another limit."""

Spans: TypeAlias = Sequence[tuple[int, int]]
"""Where a match stands and, after it, each of its groups; (-1, -1) for a group that took no part."""

_NOWHERE: Final = (-1, -1)
_CONTINUED: Final = 0b1000_0000
"""The two high bits of a byte of UTF-8 that does not begin a character."""

_PARTS: Final = re.compile(
    r"\\Q.*?(?:\\E|$)"  # quoted
    r"|\\[pP](?:\{[^}]*\}|.)|\\x(?:\{[^}]*\}|..)|\\."  # classes of Unicode, characters by number, escapes
    r"|\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*(?:\]|$)"  # classes
    r"|\(\?(?:P?<[^>]*>|[a-zA-Z-]*:?)"  # names and flags of groups
    r"|\{[0-9]+(?:,[0-9]*)?\}"
    r"|[^\\\[\](){}|.*+?^$]{2,}",  # plain characters
    re.DOTALL,
)
_CLASSES: Final = tuple("dDpPsSwW")
_MEMORY: Final = 2 << 20
"""Bytes that compiling may take where classes of Unicode, of a thousand steps each, are repeated."""
_BEYOND_LATIN: Final = re.compile("[^\x00-\xff]")


class PatternError(ValueError):
    """A pattern that is not one, or is too large. The message says which, and repeats none of the pattern.

    ``reason`` is the engine's own word for it, which may repeat a part.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason: Final = reason or message


class Pattern:
    """A compiled pattern. Two with the same text are equal.

    ``groups`` is how many groups it has; ``search(data, at)`` returns the first match from a place on, an object whose
    ``span()`` gives its place, or None. Without ``compiled``, it is compiled when it is first used.
    """

    __slots__ = ("_match", "_within", "groups", "pattern", "search", "size")

    def __init__(self, pattern: str | bytes, compiled: Any, size: int) -> None:
        self.pattern: Final = pattern
        self.size: Final = size
        self.groups: int
        self.search: Any
        self._match: Any
        if compiled is not None:
            self._take(compiled)
        # To the engine, the bytes of a character beyond ASCII stand apart, and no word begins or ends between them.
        self._within: Final = (b"\\B" if isinstance(pattern, bytes) else "\\B") in pattern  # type: ignore[operator]

    def _take(self, compiled: Any) -> None:
        self.groups, self.search, self._match = compiled.groups, compiled.search, compiled._regexp.Match

    def __getattr__(self, name: str) -> Any:
        """Compile the pattern: only then are there names that every pattern has, and this one not yet."""
        if name not in Pattern.__slots__:
            raise AttributeError(f"a pattern has no attribute `{name}`")
        self._take(_compiled(self.pattern if isinstance(self.pattern, bytes) else self.pattern.encode()))
        return getattr(self, name)

    def __reduce__(self) -> tuple[object, ...]:
        """Travel as the text of the pattern, which is compiled again where it arrives."""
        return compile_pattern, (self.pattern, None if isinstance(self.pattern, bytes) else LARGEST)

    def first(self, data: bytes) -> Spans | None:
        """Return where the first match stands, None where there is none."""
        return next(self.matches(data), None)

    def found(self, data: bytes) -> bool:
        """Say whether the pattern matches anywhere. It is asked without looking for its groups."""
        if self._within:
            return self.first(data) is not None
        return bool(self._match(_anywhere(), data, 0, len(data))[0] != _NOWHERE)

    def matches(self, data: bytes) -> Iterator[Spans]:
        """Yield all matches from left to right, as Go's ``FindAll`` and RE2's ``GlobalReplace`` find them.

        They do not overlap, none is empty where the one before it ended, and none stands inside a character.
        """
        match, anywhere, end = self._match, _anywhere(), len(data)
        at, before = 0, -1
        while at <= end:
            spans: Spans = match(anywhere, data, at, end)
            start, stop = spans[0]
            if start < 0:
                return
            if start == stop and self._within and start < end and data[start] & 0b1100_0000 == _CONTINUED:
                at = _after(data, start)
                continue
            if start != stop or start != before:
                yield spans
            at = stop if stop > start else _after(data, stop)
            before = stop

    def __eq__(self, other: object) -> bool:
        return self.pattern == other.pattern if isinstance(other, Pattern) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __repr__(self) -> str:
        return f"Pattern({self.pattern!r})"


def _after(data: bytes, at: int) -> int:
    """Return where the next character begins."""
    at += 1
    while at < len(data) and data[at] & 0b1100_0000 == _CONTINUED:
        at += 1
    return at


@lru_cache(maxsize=512, typed=True)
def compile_pattern(pattern: str | bytes, largest: int | None = LARGEST) -> Pattern:
    """Return the compiled pattern, kept for the next time. Raises ``PatternError``.

    It is UTF-8 where it is bytes. ``largest`` is the size that it may have; None is for patterns of the program's own,
    which are compiled when they are first used.
    """
    if largest is None:
        return Pattern(pattern, None, 0)
    try:
        encoded = pattern.encode() if isinstance(pattern, str) else pattern
    except UnicodeEncodeError:
        raise PatternError("the pattern holds half of a surrogate pair") from None
    if b"\\C" in encoded and any(part == "\\C" for part in _PARTS.findall(encoded.decode("utf-8", "replace"))):
        raise PatternError("`\\C` would take a byte out of a character")
    size = _size(encoded.decode("utf-8", "replace"))
    if size is not None and size > largest:  # before it is compiled as a whole, which takes its time and memory
        raise _too_large(size, largest)
    if b"\\p" in encoded or b"\\P" in encoded:
        _compiled(encoded, memory=_MEMORY)
    compiled = _compiled(encoded)
    found: int = compiled.programsize if size is None else size
    if found > largest:
        raise _too_large(found, largest)
    return Pattern(pattern, compiled, found)


def _too_large(size: int, largest: int) -> PatternError:
    return PatternError(f"the pattern has {size:,} steps when compiled, and the limit is {largest:,}")


def _size(pattern: str) -> int | None:
    """Return the size of a pattern; None where its parts do not say."""
    reduced = _BEYOND_LATIN.sub("x", _PARTS.sub(_reduced, pattern))
    try:
        size: int = _compiled(reduced.encode("latin-1"), "LATIN1").programsize
    except PatternError:
        return None
    return size


def _reduced(found: re.Match[str]) -> str:
    """Return what stands for a part of a pattern when its size is worked out."""
    part = found[0]
    if part[0] == "[" or (part[0] == "\\" and part[1:2] in _CLASSES):
        return "[a-z]"
    if part[:2] in ("\\Q", "\\x"):
        return "x"
    return part if part[0] in "\\({" else "x"


def _compiled(pattern: bytes, encoding: str = "UTF8", memory: int = 0) -> Any:
    re2 = _engine()
    options = re2.Options()
    options.log_errors = False
    options.encoding = getattr(re2.Options.Encoding, encoding)
    if memory:
        options.max_mem = memory
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else str(error)
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError("the pattern is not a valid RE2 regular expression", said) from None


def _engine() -> Any:
    import re2  # it takes ten milliseconds, and many policies have no pattern

    return re2


@lru_cache(maxsize=1)
def _anywhere() -> Any:
    return _engine()._re2.RE2.Anchor.UNANCHORED
