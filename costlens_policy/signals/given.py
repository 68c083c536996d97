"""Signals that are not worked out from the text by this program: learned models in a file, and your own code."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from costlens_policy.frozen import frozen
from costlens_policy.signals.weighed import ABSENT, Weighed

__all__ = ["ConfidenceOf", "External", "Learned"]


@frozen
class Learned:
    """A linear model. ``content`` is its file, which is read when a rule first asks for it."""

    content: str
    labels: tuple[str, ...]
    range: tuple[float, float] | None

    def prepared(self) -> Callable[[str], Weighed]:
        """Return what weighs a text. Raises ``ValueError`` where the file is not a model."""
        from costlens_policy.signals.learned import explain, read_model, weigh  # only for those who have such a signal

        model = read_model(self.content)

        def weighed(text: str) -> Weighed:
            value, confidence = weigh(model, text)
            return Weighed(value, confidence, explain=partial(explain, model, text))

        return weighed


@frozen
class External:
    """A label, a number or a truth value of your own code; absent where the request does not come with it.

    ``flag`` means a truth value. ``time_limit`` is in seconds.
    """

    labels: tuple[str, ...]
    range: tuple[float, float] | None
    flag: bool
    time_limit: float

    def prepared(self) -> Callable[[str], Weighed]:
        """Return what gives nothing: its value comes with the request."""
        return lambda _: ABSENT


@frozen
class ConfidenceOf:
    """How sure another signal is, from 0 to 1."""

    signal: str

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def prepared(self) -> Callable[[str], Weighed]:
        """Return what gives nothing: whoever evaluates the other signal knows."""
        return lambda _: ABSENT
