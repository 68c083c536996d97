"""Personal data replaced by labels."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen
from costlens_policy.rewrites.content import NOT_FINISHED, Change, Content, RewriteError, Rewritten
from costlens_policy.rewrites.personal_data import (
    DETECTORS,
    Detector,
    View,
    any_of,
    blanked,
    detectors_of,
    in_characters,
)
from costlens_policy.rewrites.steps import Activation, Making, Merge, Step, compiles
from costlens_policy.rewrites.template import parse_template
from costlens_policy.rewrites.texts import TextMapping

if TYPE_CHECKING:
    from costlens_policy.documents.rewrites import Redact

__all__ = ["RedactStep", "redactor"]

_Place: TypeAlias = tuple[int, int, int]
"""Where something stands, with the index of its label."""
_Match: TypeAlias = tuple[int, int, str]
_MOST_ROUNDS: Final = 16


@frozen
class RedactStep:
    """Replaces personal data in every text, tool calls and tool results among them.

    ``labels`` holds each kind and what stands in its place, in the order of ``DETECTORS``. Redacting twice gives what
    redacting once gives.
    """

    target: ClassVar = None
    labels: tuple[tuple[str, str], ...]
    candidates: Any
    """A pattern that matches wherever there might be data of any kind."""
    labels_hold_data: bool
    """Whether a label would itself be redacted, such as an address of your own; then one round is all there is."""
    regions: tuple[str, ...] = ()
    """Countries by whose numbering plans phone numbers are found."""

    def apply(self, content: Content, activation: Activation) -> Rewritten:
        redaction = _Redaction(self)
        changes: list[Change] = []

        def note(where: str) -> None:
            counts = redaction.taken()
            detail = ", ".join(f"{count} {kind}" for kind, count in counts)
            changes.append(Change("redact", where, f"{detail} replaced", counts))

        return TextMapping(redaction.redacted, note, numbers=True, everywhere=True).apply(content), tuple(changes)

    def merged(self, later: Step, merge: Merge) -> Step | None:
        return None


@compiles("redact")
def _redact(operation: Redact, making: Making) -> tuple[Step, ...]:
    """Return the step of a checked operation. Raises ``InputError`` for an unknown country, or without the library."""
    regions = _checked_regions(operation.regions)
    template = parse_template(operation.text)
    labels = tuple((kind, template.render({"kind": kind})) for kind in DETECTORS if kind in operation.kinds)
    detectors = [detector for kind, _ in labels for detector in detectors_of(kind, regions)]
    holds_data = any(_finds(detectors, label) for _, label in labels)
    return (RedactStep(labels, any_of(detectors), holds_data, regions),)


def redactor(regions: tuple[str, ...] = ()) -> Callable[[str], str]:
    """Return what replaces personal data of every kind in a text by ``[kind]``.

    It raises ``RewriteError`` for a text that cannot be redacted. Raises ``InputError`` as ``redact`` does.
    """
    regions = _checked_regions(regions)
    detectors = [detector for kind in DETECTORS for detector in detectors_of(kind, regions)]
    step = RedactStep(tuple((kind, f"[{kind}]") for kind in DETECTORS), any_of(detectors), False, regions)
    return lambda text: _Redaction(step).redacted(text)


def _checked_regions(regions: tuple[str, ...]) -> tuple[str, ...]:
    if not regions:
        return ()
    from costlens_policy.rewrites.personal_data.phone import unknown_region

    try:
        unknown = unknown_region(regions)
    except RewriteError as error:
        raise InputError(str(error)) from None
    if unknown is not None:
        raise InputError(f"`{unknown}` in `regions` of `redact` is not a country with a numbering plan")
    return tuple(sorted(set(regions)))


def _finds(detectors: list[Detector], label: str) -> bool:
    forms = (View(label).data, label.encode("utf-8", "surrogatepass"))
    return any(next(detector.find(form), None) for detector in detectors for form in forms if form is not None)


class _Redaction:
    """One pass over the texts of a request, with the number of replacements since they were last asked for."""

    __slots__ = ("_counts", "_step")

    def __init__(self, step: RedactStep) -> None:
        self._step = step
        self._counts: Counter[str] = Counter()

    def taken(self) -> tuple[tuple[str, int], ...]:
        """Return how much of each kind was replaced since the last call."""
        counts, self._counts = self._counts, Counter()
        return tuple(sorted(counts.items()))

    def redacted(self, text: str) -> str:
        """Return the text with labels. What a label uncovers, as a number that now stands alone, is found as well."""
        left = text
        counts: Counter[str] = Counter()
        for _ in range(_MOST_ROUNDS):
            found = self._found(left, counts)
            if found:
                left = _replaced(left, found)
            if not found or self._step.labels_hold_data:
                break
        else:
            raise RewriteError(NOT_FINISHED, "a text reveals new personal data however often it is redacted")
        if left == text:
            return text
        self._counts.update(counts)
        return left

    def _found(self, text: str, counts: Counter[str]) -> list[_Match]:
        """Return what to replace, from left to right, and count it: what the text shows as it is, and plainly spelled.

        Both are read, since a sign that cannot be seen may part a number from what stands before it, or join them.
        """
        view = View(text)
        found: list[_Place] = []
        if view.data is not None and (matches := self._matches(view.data)):
            places = view.places((start, end) for start, end, _ in matches)
            found = _apart((*place, match[2]) for place, match in zip(places, matches, strict=True))
        data = blanked(text).encode("utf-8", "surrogatepass")
        if matches := self._matches(data):
            places = in_characters(data, ((start, end) for start, end, _ in matches))
            plain = [(*place, match[2]) for place, match in zip(places, matches, strict=True)]
            found = sorted([*found, *_beside(found, plain)]) if found else plain
        counts.update(self._step.labels[at][0] for _, _, at in found)
        return [(start, end, self._step.labels[at][1]) for start, end, at in found]

    def _matches(self, data: bytes) -> list[_Place]:
        """Return extents of bytes with the index of the label; where kinds overlap, the first has it."""
        if self._step.candidates.search(data) is None:
            return []
        found: list[_Place] = []
        taken = bytearray()
        for at, (kind, _) in enumerate(self._step.labels):
            for start, end in (
                extent for detector in detectors_of(kind, self._step.regions) for extent in detector.find(data)
            ):
                taken = taken or bytearray(len(data))
                if taken.find(1, start, end) < 0:
                    taken[start:end] = b"\1" * (end - start)
                    found.append((start, end, at))
        return sorted(found)


def _apart(matches: Iterable[_Place]) -> list[_Place]:
    """Leave out what begins before the one before it ends: a character may stand for the end of one and the next."""
    found: list[_Place] = []
    for start, end, label in matches:
        if not found or start >= found[-1][1]:
            found.append((start, end, label))
    return found


def _beside(found: list[_Place], more: list[_Place]) -> Iterator[_Place]:
    """Yield those of ``more`` that do not overlap what was found; both are from left to right."""
    ends = [end for _, end, _ in found]
    for start, end, label in more:
        following = bisect_right(ends, start)
        if following == len(found) or found[following][0] >= end:
            yield start, end, label


def _replaced(text: str, matches: list[_Match]) -> str:
    pieces: list[str] = []
    at = 0
    for start, end, label in matches:
        pieces += (text[at:start], label)
        at = end
    return "".join((*pieces, text[at:]))
