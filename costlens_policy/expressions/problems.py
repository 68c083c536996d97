"""What is wrong with an expression, and where in its text. Which file that is, a higher layer knows."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from costlens_policy.diagnostics.model import Severity
from costlens_policy.expressions.tree import Extent
from costlens_policy.frozen import frozen

__all__ = ["ExpressionError", "Problem", "did_you_mean", "shortened"]


@frozen
class Problem:
    """One problem: a lower-case sentence; ``label`` says what stands at ``extent``, ``help`` what to do."""

    code: str
    message: str
    extent: Extent
    label: str = ""
    help: str = ""
    severity: Severity = Severity.ERROR

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR


class ExpressionError(Exception):
    """An expression that cannot be used; ``problems`` holds every reason. Never reaches a user as it is."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


def shortened(text: str, length: int = 60) -> str:
    """Return a text as it fits into a sentence: on one line, and cut with `…` where it is longer."""
    text = " ".join(text.split()) if "\n" in text or "\r" in text else text
    return text if len(text) <= length else text[: length - 1] + "…"


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return ``did you mean `model`?`` for the nearest known name, or an empty text when none is near."""
    near = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""
