"""RE2 patterns: compiled once, matched in linear time, and by plain string search where that is the same.

``matches`` is the specification's; ``extract``, ``extractAll`` and ``replace`` are the regex extension's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from costlens_policy.expressions.errors import BAD_ARGUMENT, BAD_REGEX, CelError
from costlens_policy.expressions.limits import SIZE, Work, too_large
from costlens_policy.expressions.runtime.functions import implements
from costlens_policy.expressions.runtime.strings import utf8
from costlens_policy.expressions.values import NO_VALUE, OptionalValue
from costlens_policy.patterns import Pattern, PatternError, Spans
from costlens_policy.patterns import compile_pattern as compiled_by_engine

__all__ = ["compile_pattern", "matcher", "matches", "plain_pattern"]


_LONGEST: Final = 10_000
_PLAIN: Final = re.compile(r"(\^?)((?:[^\\.+*?()|\[\]{}^$]|\\[.+*?()|\[\]{}^$\\/-])*)(\$?)")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def compile_pattern(pattern: str) -> Pattern:
    """Return the compiled pattern. Raises CelError for one that is not RE2's syntax, or is too large."""
    if len(pattern) > _LONGEST:
        raise CelError(BAD_REGEX, f"a pattern must be at most {_LONGEST:,} characters long")
    try:
        return compiled_by_engine(pattern)
    except PatternError as error:
        raise CelError(BAD_REGEX, str(error)) from None


@lru_cache(maxsize=512)
def matcher(pattern: str) -> Callable[[str, Work | None], bool]:
    """Return a function that returns whether the pattern is found anywhere in a text. Raises CelError.

    What it costs to look is paid from the evaluation's account, where there is one; the search itself raises
    LimitError then.
    """
    compiled = compile_pattern(pattern)
    plain = plain_pattern(pattern)
    if plain is not None:
        find = _plain_matcher(*plain)
        return lambda text, work: find(text)

    def found(text: str, work: Work | None) -> bool:
        data = utf8(text)
        if work is not None:
            work.search(compiled.size, len(data))
        return compiled.found(data)

    return found


def plain_pattern(pattern: str) -> tuple[bool, str, bool] | None:
    """Return the literal text of a pattern without operators, and whether it is anchored before and after.

    RE2's ``$`` is the end of the text only, never before a last newline.
    """
    plain = _PLAIN.fullmatch(pattern)
    return None if plain is None else (bool(plain[1]), _ESCAPED.sub(r"\1", plain[2]), bool(plain[3]))


def _plain_matcher(start: bool, literal: str, end: bool) -> Callable[[str], bool]:
    if start and end:
        return lambda text: text == literal
    if start:
        return lambda text: text.startswith(literal)
    if end:
        return lambda text: text.endswith(literal)
    return lambda text: literal in text


@implements("matches", "matches_string")
def matches(text: str, pattern: str, work: Work | None = None) -> bool:
    return matcher(pattern)(text, work)


_REPLACEMENT: Final = re.compile(r"\\(\d|\\)|\\.?|[^\\]+", re.DOTALL)


@implements("regex_extract_string_string")
def extract(text: str, pattern: str, work: Work | None = None) -> OptionalValue:
    """Return the first match, or its group; none where the group took no part. Raises CelError for several groups."""
    compiled, data = _of_one_group(pattern), utf8(text)
    _pay(work, compiled, data)
    spans = compiled.first(data)
    part = None if spans is None else _part(data, spans[compiled.groups])
    return NO_VALUE if part is None else OptionalValue(part)


@implements("regex_extractAll_string_string")
def extract_all(text: str, pattern: str, work: Work | None = None) -> list[str]:
    """Return every match, or its group where that took part. Raises CelError for several groups."""
    compiled, data = _of_one_group(pattern), utf8(text)
    parts = (_part(data, spans[compiled.groups]) for spans in _matches(compiled, data, work))
    return [part for part in parts if part is not None]


@implements("regex_replace_string_string_string")
def replace_all(text: str, pattern: str, replacement: str, work: Work | None = None) -> str:
    """Replace all matches; ``\\1`` stands for a group. Raises CelError."""
    return replace(text, pattern, replacement, -1, work)


@implements("regex_replace_string_string_string_int")
def replace(text: str, pattern: str, replacement: str, limit: int, work: Work | None = None) -> str:
    """Replace matches from the left; a negative limit means all. Raises CelError."""
    compiled, data = compile_pattern(pattern), utf8(text)
    pieces = [piece.encode() if isinstance(piece, str) else piece for piece in _pieces(replacement, compiled.groups)]
    matches = _matches(compiled, data, work)
    parts: list[bytes] = []
    size, position = len(data), 0
    for spans in matches if limit < 0 else islice(matches, limit):
        new = b"".join([piece if isinstance(piece, bytes) else data[slice(*_place(spans[piece]))] for piece in pieces])
        start, position, before = *spans[0], position
        parts += (data[before:start], new)
        size += len(new)
        if size > SIZE:
            raise too_large()
    return b"".join((*parts, data[position:])).decode()


def _of_one_group(pattern: str) -> Pattern:
    compiled = compile_pattern(pattern)
    if compiled.groups > 1:
        raise CelError(BAD_ARGUMENT, "the pattern must have at most one group")
    return compiled


def _matches(compiled: Pattern, data: bytes, work: Work | None) -> Iterator[Spans]:
    """Yield matches as they are found; each is paid for. Raises LimitError."""
    work = work or Work()
    _pay(work, compiled, data)
    for spans in compiled.matches(data):
        work.found()
        yield spans


def _pay(work: Work | None, compiled: Pattern, data: bytes) -> None:
    if work is not None:
        work.search(compiled.size, len(data))


def _part(data: bytes, span: tuple[int, int]) -> str | None:
    start, end = span
    return None if start < 0 else data[start:end].decode()


def _place(span: tuple[int, int]) -> tuple[int, int]:
    """Return where a group stands; nowhere, where it took no part."""
    return span if span[0] >= 0 else (0, 0)


def _pieces(replacement: str, groups: int) -> list[str | int]:
    """Split a replacement into texts and numbers of groups."""
    pieces: list[str | int] = []
    for part in _REPLACEMENT.finditer(replacement):
        reference: Any = part[1]
        if part[0].startswith("\\") and reference is None:
            raise CelError(BAD_ARGUMENT, "in a replacement, a backslash must be followed by a digit or a backslash")
        if reference is None or reference == "\\":
            pieces.append(reference or part[0])
        elif int(reference) <= groups:
            pieces.append(int(reference))
        else:
            raise CelError(BAD_ARGUMENT, "the replacement refers to a group that the pattern does not have")
    return pieces
