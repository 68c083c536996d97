"""What an RE2 pattern matches, replaced in every text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import re2

from costlens_policy.rewrites.content import Change, Content, Outcome
from costlens_policy.rewrites.steps import Activation, Merge, Step
from costlens_policy.rewrites.texts import TextMapping

if TYPE_CHECKING:
    from costlens_policy.documents.rewrites import Replace

__all__ = ["ReplaceStep", "compile_replace", "group_references"]

_REFERENCE: Final = re.compile(r"\\([0-9\\])")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def group_references(text: str) -> list[tuple[int, int, int]]:
    """Return the groups that a replacement text names, with where: ``\\1`` is group 1, ``\\0`` the whole match."""
    return [(int(found[1]), found.start(), found.end()) for found in _REFERENCE.finditer(text) if found[1] != "\\"]


@dataclass(frozen=True, slots=True)
class ReplaceStep:
    """Replaces every match of a pattern.

    ``pieces`` is the replacement: texts, and numbers of groups; a group that took no part in the match is empty.
    """

    target: ClassVar = None
    pattern: Any
    pieces: tuple[str | int, ...]
    roles: frozenset[str]

    def apply(self, content: Content, activation: Activation) -> Outcome:
        changes: list[Change] = []

        def note(where: str) -> None:
            changes.append(Change("replace", where, "text that matches the pattern was replaced"))

        return TextMapping(self._replaced, note, self.roles).apply(content), tuple(changes)

    def merged(self, later: Step, merge: Merge) -> Step | None:
        return None

    def _replaced(self, text: str) -> str:
        # Lone surrogates have no UTF-8, which RE2 needs; a stand-in of the same length keeps the offsets.
        subject = text if text.isascii() else _SURROGATE.sub("\ufffd", text)
        parts: list[str] = []
        end = 0
        for match in self.pattern.finditer(subject):
            parts.append(text[end : match.start()])
            parts += (piece if isinstance(piece, str) else _group(match, piece, text) for piece in self.pieces)
            end = match.end()
        return "".join((*parts, text[end:])) if parts else text


def compile_replace(operation: Replace) -> ReplaceStep:
    """Return the step of a checked operation. Raises ``ValueError`` for a pattern or a group that does not exist."""
    options = re2.Options()
    options.log_errors = False
    try:
        pattern = re2.compile(operation.pattern, options)
    except re2.error:
        raise ValueError(f"`{operation.pattern}` is not an RE2 pattern") from None
    missing = [group for group, _, _ in group_references(operation.text) if group > pattern.groups]
    if missing:
        raise ValueError(f"the pattern has no group {missing[0]}")
    return ReplaceStep(pattern, tuple(_pieces(operation.text)), frozenset(operation.roles))


def _pieces(text: str) -> Iterator[str | int]:
    end = 0
    for found in _REFERENCE.finditer(text):
        yield text[end : found.start()]
        yield "\\" if found[1] == "\\" else int(found[1])
        end = found.end()
    yield text[end:]


def _group(match: Any, number: int, text: str) -> str:
    start, end = match.span(number)
    return text[start:end] if start >= 0 else ""
