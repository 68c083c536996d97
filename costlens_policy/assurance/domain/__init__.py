"""The critical values of what conditions read, and the search for a request that meets a goal over conditions."""

from costlens_policy.assurance.domain.formulas import Every, Goal, Holds, Not, Outcome, Some, atoms_of
from costlens_policy.assurance.domain.search import Assignment, Domain, Found, Nothing, Result, Undecided
from costlens_policy.assurance.domain.values import ABSENT

__all__ = [
    "ABSENT", "Assignment", "Domain", "Every", "Found", "Goal", "Holds", "Not", "Nothing", "Outcome", "Result", "Some",
    "Undecided", "atoms_of",
]  # fmt: skip
