"""Where policies come from while they serve: the protocol of sources."""

from __future__ import annotations

from typing import Protocol

from costlens_policy.compiler.plan import Plan
from costlens_policy.frozen import frozen

__all__ = ["Fetched", "Source"]


@frozen(eq=False)
class Fetched:
    """The policies that a source has.

    ``version`` tells them from those that it had before: a digest, a commit, a revision. ``plan`` is what they compile
    to.
    """

    version: str
    plan: Plan


class Source(Protocol):
    """Has one policy set, which may change. It is asked by one thread at a time, again and again."""

    @property
    def name(self) -> str:
        """What people call it: a path or a URL, without a password."""

    def fetch(self) -> Fetched:
        """Return the policies that there are now; the same object as before where nothing has changed.

        Raises ``CostlensPolicyError`` where there are none that could serve: they cannot be reached, are not right, or
        nobody vouches for them. What has been refused is not to be worked through again as long as it is the same.
        """
