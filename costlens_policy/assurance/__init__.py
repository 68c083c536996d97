"""What can be said of a policy set without traffic: decided on the requests that its rules can tell apart.

``Subject`` is what others stand on: conditions as goals, the search for values that meet a goal (``Found``), the proof
that none do (``Nothing``) or the reason why neither is known (``Undecided``), and witnesses that the engine decided.
"""

from costlens_policy.assurance.domain import (
    ABSENT,
    Every,
    Found,
    Goal,
    Holds,
    Not,
    Nothing,
    Result,
    Some,
    Undecided,
)
from costlens_policy.assurance.examine import examine
from costlens_policy.assurance.subject import Rule, Subject
from costlens_policy.assurance.witness import Situation, Witness

__all__ = [
    "ABSENT", "Every", "Found", "Goal", "Holds", "Not", "Nothing", "Result", "Rule", "Situation", "Some", "Subject",
    "Undecided", "Witness", "examine",
]  # fmt: skip
