"""Everything that a replay in columns remembers from one batch to the next, as one value that can be written down."""

from __future__ import annotations

from typing import Any

import polars as pl

from costlens_policy.replay.columns.accounts import Accounts
from costlens_policy.replay.columns.deciding import Deciding
from costlens_policy.replay.columns.exactly import Exactly
from costlens_policy.replay.columns.facts import FactsTable
from costlens_policy.replay.columns.job import Job
from costlens_policy.replay.columns.lines import Lines
from costlens_policy.replay.columns.ordered import Ordered
from costlens_policy.replay.columns.pricing import Pricing
from costlens_policy.replay.columns.sessions import SessionCaches
from costlens_policy.replay.columns.tally import Tally

__all__ = ["State"]


class State:
    """The sums, the caches of sessions, and what was spent of each budget.

    Decisions that can be shared are kept beside it, and are made again where a state is read back. ``merge`` adds a
    state of other rows; that is right where they share no session and no budget.
    """

    __slots__ = ("accounts", "deciding", "facts", "ordered", "pricing", "served", "tally")

    def __init__(self, job: Job) -> None:
        self.facts = FactsTable()
        self.tally = Tally()
        self.accounts = Accounts(job.plan, job.prices.digits)
        self.served = SessionCaches(job.settings)
        self.deciding = Deciding(job.plan, job.attributes, self.facts, job.prices)
        self.pricing = Pricing(job.plan, job.settings, self.facts, job.prices, SessionCaches(job.settings))
        lines = Lines(job.plan, job.attributes, self.accounts)
        exactly = Exactly(job.plan, job.attributes, self.facts, self.accounts)
        self.ordered = Ordered(job.settings, self.facts, job.prices, lines, exactly) if job.plan.budgets else None

    def merge(self, other: State) -> None:
        """Add the sums of a state over other rows."""
        self.tally.merge(other.tally)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON-like data."""
        held = [] if self.ordered is None else [[*key, *value] for key, value in self.ordered.held.items()]
        return {
            "tally": self.tally.to_dict(),
            "served": [list(row) for row in self.served.held.iter_rows()],
            "recorded": [list(row) for row in self.pricing.recorded.held.iter_rows()],
            "held": held,
            "accounts": self.accounts.to_list(),
        }

    @classmethod
    def from_dict(cls, job: Job, data: dict[str, Any]) -> State:
        """Return the state that ``to_dict`` wrote, for the same job."""
        state = cls(job)
        state.tally = Tally.from_dict(data["tally"])
        for caches, name in ((state.served, "served"), (state.pricing.recorded, "recorded")):
            caches.held = pl.DataFrame(data[name], schema=caches.held.schema, orient="row")
        if state.ordered is not None:
            state.ordered.held = {(session, model): (held, ends) for session, model, held, ends in data["held"]}
        state.accounts.restore(data["accounts"])
        return state
