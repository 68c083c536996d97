"""Which error a denial is: one of its run, where that is what is over, or one of the call alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from costlens_policy.engine.decision import Decision, DeniedError
from costlens_policy.frozen import frozen
from costlens_policy.runs import RUN, lineage_of, run_at

__all__ = [
    "ApprovalNeededError", "PendingApproval", "RunDeniedError", "RunEndedError", "RunLimitError", "ShareRefusedError",
    "denial_of",
]  # fmt: skip


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


class ShareRefusedError(DeniedError):
    """The first call of a budget that is reserved from another one was refused: that has no room for all of it.

    ``share`` and ``share_key`` are the budget that had to be set aside, and its scope key; ``budget``, ``key``,
    ``used``, ``held`` and ``limit`` are those of the budget without room, of which ``set_aside`` is for other shares.
    The call itself would have had room, and may have later, once others leave what they hold.
    """

    def __init__(self, decision: Decision, share: tuple[str, str], hold_ends_at: datetime | None = None) -> None:
        super().__init__(decision, hold_ends_at)
        self.share, self.share_key = share

    def __reduce__(self) -> tuple[Any, ...]:
        return ShareRefusedError, (self.decision, (self.share, self.share_key), self.hold_ends_at)

    @property
    def set_aside(self) -> Decimal | None:
        """What of ``held`` is set aside for others, until their calls need it. None as ``used``."""
        return None if self._balance is None else self._balance.set_aside


@frozen
class PendingApproval:
    """An approval that a call needs: its ``id``, for which threshold of which budget and scope key, and why.

    ``amount`` is what used + held + the call come to, in the budget's unit; ``denied`` says that somebody has denied
    it. ``wait`` is how long the policy lets the call wait for it.
    """

    id: str
    budget: str
    key: str
    threshold: str
    amount: Decimal
    reason: str
    denied: bool = False
    wait: timedelta = timedelta(0)

    @property
    def command(self) -> str:
        """The command that approves it, without the paths of the policies and the ledger."""
        return f"costlens-policy budget approve {self.id}"


class ApprovalNeededError(DeniedError):
    """A call was refused because nobody has approved that it goes past a threshold of a budget.

    ``approvals`` are those that it needs, ``approval`` the id of the first, and ``command`` what approves that.
    """

    def __init__(self, decision: Decision, approvals: tuple[PendingApproval, ...]) -> None:
        super().__init__(decision)
        self.approvals = approvals

    def __str__(self) -> str:
        said = [
            f"`{item.id}` was denied" if item.denied else f"`{item.command}` approves it" for item in self.approvals
        ]
        return "; ".join([super().__str__(), *said])

    @property
    def approval(self) -> str:
        return self.approvals[0].id if self.approvals else ""

    @property
    def command(self) -> str:
        return self.approvals[0].command if self.approvals else ""

    def __reduce__(self) -> tuple[Any, ...]:
        return ApprovalNeededError, (self.decision, self.approvals)


def denial_of(decision: Decision, hold_ends_at: datetime | None = None) -> DeniedError:
    """Return the error that says what refused a call; ``hold_ends_at`` is when the next hold ends there."""
    denied = DeniedError(decision, hold_ends_at)
    share = next((item.share for item in decision.excluded if item.by == denied.budget), None)
    if share is not None:
        return ShareRefusedError(decision, share, hold_ends_at)
    run = decision.request.get(RUN)
    if denied.key and isinstance(run, str) and denied.key in lineage_of(run) and _is_of_runs(denied):
        return RunLimitError(decision, denied.key, hold_ends_at)
    return denied


def _is_of_runs(denied: DeniedError) -> bool:
    """Say whether the scope of the budget reads the run: the name of a team may be that of a run, too."""
    scope = None if denied.budget is None else denied.decision.plan.budgets[denied.budget][1].scope
    return scope is not None and any(path[:2] == _READ or path[0] == "variables" for path in scope.typed.references)
