"""Several rules on one request: where two set the same target, their ``merge`` decides."""

from __future__ import annotations

from collections.abc import Iterable

from costlens_policy.rewrites.steps import Merge, RewriteStep, Step

__all__ = ["combine"]


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
