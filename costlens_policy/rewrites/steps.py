"""What every compiled operation has, and how several of them are applied, also those of rules with one target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

from costlens_policy.frozen import frozen
from costlens_policy.rewrites.content import Change, Content, Rewritten
from costlens_policy.tokens import Tokenizer

__all__ = [
    "COMPILERS", "Activation", "Compile", "Making", "Merge", "RewriteStep", "Step", "apply_steps", "combine",
    "compiles",
]  # fmt: skip

Activation: TypeAlias = tuple[Any, ...]
"""The arguments of compiled expressions, in their order."""
Merge: TypeAlias = Literal["append", "min", "max", "set_once"]


class Step(Protocol):
    """A compiled change of one target. Immutable, shared by threads."""

    @property
    def target(self) -> str | None:
        """What is set, as ``Operation.targets`` names it; None where it is nothing that another rule could set."""

    def apply(self, content: Content, activation: Activation) -> Rewritten:
        """Return the content afterwards and what changed. Raises ``RewriteError`` and what expressions raise."""

    def merged(self, later: Step, merge: Merge) -> Step | None:
        """Return the one step that stands for both, or None where both are applied, one after the other."""


@frozen
class RewriteStep:
    """A compiled operation: one step, or one for each parameter that it names."""

    operation: str
    parts: tuple[Step, ...]
    reads_texts: bool
    """Whether it looks through all texts of a request."""
    may_shorten: bool
    """Whether it is there to make a request much shorter."""
    refuses: bool
    """Whether a request is refused where its rule fails, even if the policy skips rules that fail."""

    @property
    def targets(self) -> tuple[str, ...]:
        """What the operation sets."""
        return tuple(part.target for part in self.parts if part.target is not None)

    def apply(self, content: Content, activation: Activation) -> Rewritten:
        """Return the content afterwards and what changed. Raises ``RewriteError`` and what expressions raise."""
        if len(self.parts) == 1:
            return self.parts[0].apply(content, activation)
        return apply_steps(content, self.parts, activation)


class Making(NamedTuple):
    """What making steps takes beside the section: compiled expressions by name, and who measures tokens."""

    values: Mapping[str, Callable[..., Any]]
    tokenizer: Tokenizer


Compile: TypeAlias = Callable[[Any, Making], Iterable[Step]]
"""Makes the steps of an operation from its section."""
COMPILERS: Final[dict[str, Compile]] = {}
"""Who makes the steps of an operation, by its name; ``compiles`` enters them."""


def compiles(operation: str) -> Callable[[Compile], Compile]:
    """Enter a function as the one that makes the steps of an operation."""

    def enter(function: Compile) -> Compile:
        COMPILERS[operation] = function
        return function

    return enter


def apply_steps(content: Content, steps: Iterable[Step | RewriteStep], activation: Activation) -> Rewritten:
    """Apply steps in order. ``activation`` is what the expressions of templates read.

    Raises ``RewriteError`` and what expressions raise; then nothing has been changed.
    """
    changes: tuple[Change, ...] = ()
    for step in steps:
        content, made = step.apply(content, activation)
        changes += made
    return content, changes


def combine(rules: Iterable[tuple[Merge | None, Iterable[RewriteStep]]]) -> tuple[Step, ...]:
    """Return the steps to apply for the rules that matched, each with its ``merge``, in their order.

    A step whose target an earlier rule has set is treated as its own rule says, else as the earlier one says:
    ``set_once`` drops it; ``append`` keeps both, and texts stand in the order of the rules; ``min`` and ``max`` put the
    lower or higher number in the place of the earlier one. Without a merge, both are applied in order.
    """
    steps: list[Step] = []
    owners: dict[str, tuple[int, int, Merge | None]] = {}
    for rule, (merge, compiled) in enumerate(rules):
        for step in (part for operation in compiled for part in operation.parts):
            target = step.target
            owner = owners.get(target) if target is not None else None
            if owner is None or owner[0] == rule:
                if target is not None:
                    owners[target] = (rule, len(steps), merge)
                steps.append(step)
                continue
            _join(steps, step, owner[1], merge or owner[2])
    return tuple(steps)


def _join(steps: list[Step], later: Step, place: int, merge: Merge | None) -> None:
    """Add a step beside the one at ``place`` that has set its target."""
    if merge == "set_once":
        return
    joined = steps[place].merged(later, merge) if merge is not None else None
    if joined is None:
        steps.append(later)
    else:
        steps[place] = joined
