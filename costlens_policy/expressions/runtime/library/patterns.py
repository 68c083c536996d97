"""The regex extension: parts of a text found, and replaced, by RE2 patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from costlens_policy.expressions.runtime.errors import BAD_ARGUMENT, TOO_MANY_ITERATIONS, CelError, LimitError
from costlens_policy.expressions.runtime.implementations import implements
from costlens_policy.expressions.runtime.limits import SIZE, too_large
from costlens_policy.expressions.runtime.regexes import compile_pattern
from costlens_policy.expressions.runtime.text import utf8
from costlens_policy.expressions.values import NO_VALUE, OptionalValue

__all__: list[str] = []

_MOST_MATCHES: Final = 100_000
_REPLACEMENT: Final = re.compile(r"\\(\d|\\)|\\.?|[^\\]+", re.DOTALL)


@implements("regex_extract_string_string")
def extract(text: str, pattern: str) -> OptionalValue:
    """Return the first match, or its group. Raises CelError when the pattern has several groups."""
    return next((OptionalValue(part) for part in _parts(text, pattern)), NO_VALUE)


@implements("regex_extractAll_string_string")
def extract_all(text: str, pattern: str) -> list[str]:
    """Return every match, or its group. Raises CelError when the pattern has several groups."""
    return list(_parts(text, pattern))


def _parts(text: str, pattern: str) -> Iterator[str]:
    compiled = compile_pattern(pattern)
    if compiled.groups > 1:
        raise CelError(BAD_ARGUMENT, "the pattern has more than one group")
    utf8(text)
    parts = (match.group(compiled.groups) for match in _counted(compiled.finditer(text)))
    return (part for part in parts if part is not None)


@implements("regex_replace_string_string_string", "regex_replace_string_string_string_int")
def replace(text: str, pattern: str, replacement: str, limit: int = -1) -> str:
    """Replace matches from the left; ``\\1`` stands for a group; a negative limit means all. Raises CelError."""
    compiled = compile_pattern(pattern)
    pieces = _pieces(replacement, compiled.groups)
    utf8(text)
    matches = _counted(compiled.finditer(text))
    parts: list[str] = []
    size, position = len(text), 0
    for match in matches if limit < 0 else islice(matches, limit):
        new = "".join(piece if isinstance(piece, str) else match.group(piece) or "" for piece in pieces)
        parts += (text[position : match.start()], new)
        position = match.end()
        size += len(new)
        if size > SIZE:
            raise too_large()
    return "".join((*parts, text[position:]))


def _counted(matches: Iterator[Any]) -> Iterator[Any]:
    """Yield matches as they are found, and end the evaluation when there are too many. Raises LimitError."""
    for count, match in enumerate(matches):
        if count == _MOST_MATCHES:
            raise LimitError(TOO_MANY_ITERATIONS, f"the pattern is found more than {_MOST_MATCHES:,} times")
        yield match


def _pieces(replacement: str, groups: int) -> list[str | int]:
    """Split a replacement into texts and numbers of groups."""
    pieces: list[str | int] = []
    for part in _REPLACEMENT.finditer(replacement):
        reference: Any = part[1]
        if part[0].startswith("\\") and reference is None:
            raise CelError(BAD_ARGUMENT, "in a replacement a backslash stands before a digit or a backslash only")
        if reference is None or reference == "\\":
            pieces.append(reference or part[0])
        elif int(reference) <= groups:
            pieces.append(int(reference))
        else:
            raise CelError(BAD_ARGUMENT, "the replacement names a group that the pattern does not have")
    return pieces
