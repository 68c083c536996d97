"""What every compiled operation offers, and how several are applied."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeAlias

from costlens_policy.rewrites.content import Change, Content, Outcome

__all__ = ["Activation", "Merge", "RewriteStep", "Step", "apply_steps"]

Activation: TypeAlias = tuple[Any, ...]
"""The arguments of compiled expressions, in their order."""
Merge: TypeAlias = Literal["append", "min", "max", "set_once"]
_SHORTENING: Final = frozenset(
    {"drop_examples", "replace", "shorten_tool_output", "system", "template", "trim_history", "remove_params"}
)
_READING: Final = frozenset({"drop_examples", "redact", "replace", "shorten_tool_output", "trim_history"})


class Step(Protocol):
    """A compiled change of one target. Immutable, shared by threads."""

    @property
    def target(self) -> str | None:
        """What is set, as ``documents.targets`` names it; None where it is nothing that another rule could set."""

    def apply(self, content: Content, activation: Activation) -> Outcome:
        """Return the content afterwards and what changed. Raises ``RewriteError`` and what expressions raise."""

    def merged(self, later: Step, merge: Merge) -> Step | None:
        """Return the one step that stands for both, or None where both are applied, one after the other."""


@dataclass(frozen=True, slots=True)
class RewriteStep:
    """A compiled operation: one step, or one for each parameter that it names."""

    operation: str
    parts: tuple[Step, ...]

    @property
    def reads_texts(self) -> bool:
        """Whether it looks through all texts of a request."""
        return self.operation in _READING

    @property
    def may_shorten(self) -> bool:
        """Whether it is there to make a request much shorter."""
        return self.operation in _SHORTENING

    @property
    def targets(self) -> tuple[str, ...]:
        """What the operation sets."""
        return tuple(part.target for part in self.parts if part.target is not None)

    def apply(self, content: Content, activation: Activation) -> Outcome:
        """Return the content afterwards and what changed. Raises ``RewriteError`` and what expressions raise."""
        if len(self.parts) == 1:
            return self.parts[0].apply(content, activation)
        return apply_steps(content, self.parts, activation)


def apply_steps(content: Content, steps: Iterable[Step | RewriteStep], activation: Activation) -> Outcome:
    """Apply steps in order. ``activation`` is what the expressions of templates read.

    Raises ``RewriteError`` and what expressions raise; then nothing has been changed.
    """
    changes: tuple[Change, ...] = ()
    for step in steps:
        content, made = step.apply(content, activation)
        changes += made
    return content, changes
