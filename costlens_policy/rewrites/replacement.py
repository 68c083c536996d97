"""What an RE2 pattern matches, replaced in every text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Final

from costlens_policy.frozen import frozen
from costlens_policy.patterns import Pattern, PatternError, compile_pattern
from costlens_policy.rewrites.content import NOT_FINISHED, Change, Content, RewriteError, Rewritten
from costlens_policy.rewrites.steps import Activation, Making, Merge, Step, compiles
from costlens_policy.rewrites.texts import TextMapping

if TYPE_CHECKING:
    from costlens_policy.documents.rewrites import Replace

__all__ = ["ReplaceStep", "group_references"]

_REFERENCE: Final = re.compile(r"\\([0-9\\])")
_MOST_WORK: Final = 100_000_000
"""What a replacement may take, in steps of its pattern on bytes of all texts: two seconds at worst."""
_MATCH: Final = 100
"""What a match counts as."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def group_references(text: str) -> list[tuple[int, int, int]]:
    """Return the groups that a replacement text names, with where: ``\\1`` is group 1, ``\\0`` the whole match."""
    return [(int(found[1]), found.start(), found.end()) for found in _REFERENCE.finditer(text) if found[1] != "\\"]


@frozen
class ReplaceStep:
    """Replaces every match of a pattern.

    ``pieces`` is the replacement: texts, and numbers of groups; a group that took no part in the match is empty.
    """

    target: ClassVar = None
    pattern: Pattern
    pieces: tuple[bytes | int, ...]
    roles: frozenset[str]

    def apply(self, content: Content, activation: Activation) -> Rewritten:
        changes: list[Change] = []

        def note(where: str) -> None:
            changes.append(Change("replace", where, "text that matches the pattern was replaced"))

        replaced = _Replacement(self.pattern, self.pieces).replaced
        return TextMapping(replaced, note, self.roles).apply(content), tuple(changes)

    def merged(self, later: Step, merge: Merge) -> Step | None:
        return None


class _Replacement:
    """The replacement in all texts of one request, with what is left of the work that it may take."""

    def __init__(self, pattern: Pattern, pieces: tuple[bytes | int, ...]) -> None:
        self._pattern = pattern
        self._pieces = pieces
        self._left = _MOST_WORK

    def replaced(self, text: str) -> str:
        # Lone surrogates have no UTF-8, which the engine needs; a stand-in of as many bytes keeps the places.
        data = text.encode("utf-8", "surrogatepass")
        self._left -= self._pattern.size * len(data)
        if self._left < 0:
            raise RewriteError(NOT_FINISHED, "the texts are too long for the pattern of a `replace`")
        subject = data if text.isascii() else _SURROGATE.sub("\ufffd", text).encode()
        parts: list[bytes] = []
        at = 0
        for spans in self._pattern.matches(subject):
            self._left -= _MATCH
            if self._left < 0:
                raise RewriteError(NOT_FINISHED, "the pattern of a `replace` matches too often")
            start, end = spans[0]
            parts.append(data[at:start])
            parts += (piece if isinstance(piece, bytes) else _group(spans[piece], data) for piece in self._pieces)
            at = end
        return b"".join((*parts, data[at:])).decode("utf-8", "surrogatepass") if parts else text


@compiles("replace")
def _replace(operation: Replace, making: Making) -> tuple[Step, ...]:
    """Return the step of a checked operation. Raises ``ValueError`` for a pattern or a group that does not exist."""
    try:
        pattern = compile_pattern(operation.pattern)
    except PatternError as error:
        raise ValueError(f"`{operation.pattern}`: {error}") from None
    missing = [group for group, _, _ in group_references(operation.text) if group > pattern.groups]
    if missing:
        raise ValueError(f"the pattern has no group {missing[0]}")
    return (ReplaceStep(pattern, tuple(_pieces(operation.text)), frozenset(operation.roles)),)


def _pieces(text: str) -> Iterator[bytes | int]:
    end = 0
    for found in _REFERENCE.finditer(text):
        yield text[end : found.start()].encode("utf-8", "surrogatepass")
        yield b"\\" if found[1] == "\\" else int(found[1])
        end = found.end()
    yield text[end:].encode("utf-8", "surrogatepass")


def _group(span: tuple[int, int], data: bytes) -> bytes:
    start, end = span
    return data[start:end] if start >= 0 else b""
