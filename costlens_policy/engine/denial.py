"""Which error a denial is: one of its run, where that is what is over, or one of the call alone."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from costlens_policy.engine.decision import Decision, DeniedError
from costlens_policy.runs import RUN, lineage_of, run_at

__all__ = ["RunDeniedError", "RunEndedError", "RunLimitError", "denial_of"]


_READ: Final = ("request", RUN)


class RunDeniedError(DeniedError):
    """A call was refused because its run is over: every further call of the run would be.

    ``run`` is the path of the call's run, ``root`` the outermost run of that, and ``over`` the run on the path that is
    over, which all runs within it are, too.
    """

    def __init__(self, decision: Decision, over: str, hold_ends_at: datetime | None = None) -> None:
        super().__init__(decision, hold_ends_at)
        self.run = str(decision.request.get(RUN) or over)
        self.root = run_at(self.run, 1)
        self.over = over

    def __reduce__(self) -> tuple[type[RunDeniedError], tuple[Decision, str, datetime | None]]:  # type: ignore[override]
        return type(self), (self.decision, self.over, self.hold_ends_at)


class RunEndedError(RunDeniedError):
    """The run, or one around it, has ended: ``over`` says which one."""


class RunLimitError(RunDeniedError):
    """A budget whose scope key is the run, or one around it, has no room.

    ``budget`` is its name, ``key`` the run, ``limit`` the limit.
    """


def denial_of(decision: Decision, hold_ends_at: datetime | None = None) -> DeniedError:
    """Return the error that says what refused a call; ``hold_ends_at`` is when the next hold ends there."""
    denied = DeniedError(decision, hold_ends_at)
    run = decision.request.get(RUN)
    if denied.key and isinstance(run, str) and denied.key in lineage_of(run) and _is_of_runs(denied):
        return RunLimitError(decision, denied.key, hold_ends_at)
    return denied


def _is_of_runs(denied: DeniedError) -> bool:
    """Say whether the scope of the budget reads the run: the name of a team may be that of a run, too."""
    scope = None if denied.budget is None else denied.decision.plan.budgets[denied.budget][1].scope
    return scope is not None and any(path[:2] == _READ or path[0] == "variables" for path in scope.typed.references)
