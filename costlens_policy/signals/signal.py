"""One signal, as a plan has it: what it reads, how it is worked out, and what it can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Literal, TypeAlias

from costlens_policy.frozen import frozen, rebuilt
from costlens_policy.signals.given import ConfidenceOf, External, Learned
from costlens_policy.signals.languages import Language
from costlens_policy.signals.likeness import Likeness, Nearest
from costlens_policy.signals.measures import Length, Share
from costlens_policy.signals.terms import Labels, Score
from costlens_policy.signals.texts import Reads
from costlens_policy.signals.weighed import Value, Weighed

__all__ = ["Kind", "Signal", "Value"]

Kind: TypeAlias = Labels | Score | Length | Language | Share | Nearest | Likeness | Learned | External | ConfidenceOf


@rebuilt
@frozen
class Signal:
    """``default`` is its value where it would be absent; None leaves it absent.

    ``weigh`` takes the text that the signal reads.
    """

    name: str
    kind: Kind
    reads: Reads
    max_characters: int
    min_confidence: float
    default: Value | None
    description: str = ""
    weigh: Callable[[str], Weighed] = field(init=False, repr=False, compare=False)
    """Prepared by its first call: most processes never ask for most signals."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "weigh", self._first_call)

    @property
    def type(self) -> Literal["string", "int", "double", "bool"]:
        """The type of its values, as expressions have it."""
        if self.labels:
            return "string"
        if isinstance(self.kind, External) and self.kind.flag:
            return "bool"
        return "int" if isinstance(self.kind, Length) else "double"

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that it may have; none for a number or a truth value."""
        labels: tuple[str, ...] = getattr(self.kind, "labels", ())
        extra = isinstance(self.default, str) and bool(labels) and self.default not in labels
        return (*labels, str(self.default)) if extra else labels

    @property
    def range(self) -> tuple[float, float] | None:
        """The lowest and the highest number that it may be; None where it is not a number."""
        if isinstance(self.kind, Length):
            return 0.0, float(self.max_characters)
        found: tuple[float, float] | None = getattr(self.kind, "range", None)
        return found

    @property
    def may_be_absent(self) -> bool:
        """Whether there are requests for which it has no value: a request without texts is one for every signal."""
        return self.default is None

    def value_of(self, weighed: Weighed) -> Value | None:
        """Return the value as rules read it: the default where there is none, or it is not sure enough."""
        value = weighed.value
        if value is None or weighed.confidence < self.min_confidence:
            return self.default
        if isinstance(value, float) and self.range is not None:
            return min(max(value, self.range[0]), self.range[1])
        return value

    def _first_call(self, text: str) -> Weighed:
        """Prepare the signal and weigh a text; two threads may do so at once, to the same effect."""
        object.__setattr__(self, "weigh", self.kind.prepared())
        return self.weigh(text)
