"""How one kind of personal data is found: a pattern proposes, a function of the kind decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from costlens_policy.frozen import frozen
from costlens_policy.patterns import Pattern, compile_pattern

__all__ = ["Detector", "Extent", "alphanumeric_at", "any_of", "digit_at", "pattern"]

Extent: TypeAlias = tuple[int, int]
"""Where something stands in UTF-8 text: offsets in bytes, the end excluded."""


def pattern(text: str) -> Pattern:
    """Return a compiled RE2 pattern over UTF-8 bytes."""
    return compile_pattern(text.encode(), largest=None)


def any_of(detectors: Iterable[Detector]) -> Pattern:
    """Return one pattern that matches wherever any of the detectors has a candidate: most texts have none."""
    texts = (detector.candidates.pattern for detector in detectors)
    whole = b"|".join(b"(?:" + (text if isinstance(text, bytes) else text.encode()) + b")" for text in texts)
    return compile_pattern(whole, largest=None)


def _whole(data: bytes, start: int, end: int) -> Extent | None:
    """Accept what the pattern matched."""
    return start, end


@frozen
class Detector:
    """Finds one kind of data. ``accept`` returns the part of a match that is the data, or None where it is none.

    After a refused match the search goes on one byte later; with ``lengthy``, for matches without a bound, behind it.
    With ``scan``, ``candidates`` only says whether a text is worth scanning.
    """

    candidates: Pattern
    accept: Callable[[bytes, int, int], Extent | None] = _whole
    lengthy: bool = False
    scan: Callable[[bytes], Iterator[Extent]] | None = None

    def find(self, data: bytes) -> Iterator[Extent]:
        """Yield every occurrence, from left to right; they do not overlap. Takes time in proportion to the text."""
        if self.scan is not None:
            if self.candidates.search(data) is not None:
                yield from self.scan(data)
            return
        at = 0
        while (match := self.candidates.search(data, at)) is not None:
            start, end = match.span()
            found = self.accept(data, start, end)
            if found is not None:
                yield found
                at = max(found[1], start + 1)
            else:
                at = end if self.lengthy else start + 1


def digit_at(data: bytes, index: int) -> bool:
    """Return whether there is a digit at an offset, which may be outside."""
    return 0 <= index < len(data) and 0x30 <= data[index] <= 0x39


def alphanumeric_at(data: bytes, index: int) -> bool:
    """Return whether there is a letter, a digit or ``_`` of ASCII at an offset, which may be outside."""
    return 0 <= index < len(data) and (data[index : index + 1].isalnum() or data[index] == 0x5F)
