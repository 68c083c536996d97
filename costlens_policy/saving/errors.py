"""Why a plan cannot be saved, or a saved one not be used."""

from __future__ import annotations

__all__ = ["ForeignPlan", "NotSavable", "UnusablePlan"]


class NotSavable(Exception):  # noqa: N818 (names what is the case; users see a diagnostic or nothing)
    """The plan holds something that has no saved form."""


class UnusablePlan(Exception):  # noqa: N818 (as above)
    """The file holds no saved plan, or one that is damaged. The message completes: "… cannot be used: …"."""


class ForeignPlan(UnusablePlan):
    """The file was written by another version of this program, or in another format."""
