"""Personal data replaced by labels."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from costlens_policy.documents.placeholders import parse_template
from costlens_policy.rewrites.content import Change, Content, Outcome
from costlens_policy.rewrites.errors import NOT_FINISHED, RewriteError
from costlens_policy.rewrites.personal_data import DETECTORS, any_of
from costlens_policy.rewrites.steps import Activation, Merge, Step
from costlens_policy.rewrites.texts import TextMapping

if TYPE_CHECKING:
    from costlens_policy.documents.rewrites import Redact

__all__ = ["RedactStep", "compile_redact"]

_ESCAPES: Final = re.compile(rb'\\[nrt"/\\]')
_MOST_ROUNDS: Final = 16


@dataclass(frozen=True, slots=True)
class RedactStep:
    """Replaces personal data in every text, tool calls and tool results among them.

    ``labels`` holds each kind and what stands in its place, in the order of ``DETECTORS``. Redacting twice gives what
    redacting once gives.
    """

    target: ClassVar = None
    labels: tuple[tuple[str, bytes], ...]
    candidates: Any
    """A pattern that matches wherever there might be data of any kind."""
    labels_hold_data: bool
    """Whether a label would itself be redacted, such as an address of your own; then one round is all there is."""

    def apply(self, content: Content, activation: Activation) -> Outcome:
        redaction = _Redaction(self)
        changes: list[Change] = []

        def note(where: str) -> None:
            counts = redaction.taken()
            detail = ", ".join(f"{count} {kind}" for kind, count in counts)
            changes.append(Change("redact", where, f"{detail} replaced", counts))

        return TextMapping(redaction.redacted, note, numbers=True, everywhere=True).apply(content), tuple(changes)

    def merged(self, later: Step, merge: Merge) -> Step | None:
        return None


def compile_redact(operation: Redact) -> RedactStep:
    """Return the step of a checked operation."""
    template = parse_template(operation.text)
    labels = tuple(
        (kind, template.render({"kind": kind}).encode("utf-8", "surrogatepass"))
        for kind in DETECTORS
        if kind in operation.kinds
    )
    detectors = [detector for kind, _ in labels for detector in DETECTORS[kind]]
    holds_data = any(next(detector.find(label), None) for _, label in labels for detector in detectors)
    return RedactStep(labels, any_of(detectors), holds_data)


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
        original = data = text.encode("utf-8", "surrogatepass")
        counts: Counter[str] = Counter()
        for _ in range(_MOST_ROUNDS):
            found = self._found(data, counts)
            if found:
                data = _replaced(data, found)
            if not found or self._step.labels_hold_data:
                break
        else:
            raise RewriteError(NOT_FINISHED, "a text shows new personal data however often it is redacted")
        if data == original:
            return text
        self._counts.update(counts)
        return data.decode("utf-8", "surrogatepass")

    def _found(self, data: bytes, counts: Counter[str]) -> list[tuple[int, int, bytes]]:
        """Return what to replace, from left to right, and count it; where kinds overlap, the first has it."""
        # Inside JSON, `\n` is a line end, and its letter does not belong to the word that follows.
        plain = _ESCAPES.sub(b"  ", data) if b"\\" in data else data
        if self._step.candidates.search(plain) is None:
            return []
        found: list[tuple[int, int, bytes]] = []
        taken = bytearray()
        for kind, label in self._step.labels:
            for start, end in (extent for detector in DETECTORS[kind] for extent in detector.find(plain)):
                taken = taken or bytearray(len(plain))
                if taken.find(1, start, end) < 0:
                    taken[start:end] = b"\1" * (end - start)
                    found.append((start, end, label))
                    counts[kind] += 1
        return sorted(found)


def _replaced(data: bytes, extents: list[tuple[int, int, bytes]]) -> bytes:
    pieces: list[bytes] = []
    at = 0
    for start, end, label in extents:
        pieces += (data[at:start], label)
        at = end
    return b"".join((*pieces, data[at:]))
