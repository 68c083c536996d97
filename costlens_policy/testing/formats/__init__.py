"""A run for people, or in the formats that other tools read: a file for each."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the names of formats are shown by `--help`, which needs no run
    from costlens_policy.testing.results import Run

__all__ = ["RunFormat", "render"]


class RunFormat(StrEnum):
    """A format that a run can be rendered in."""

    PRETTY = "pretty"
    JSON = "json"
    TAP = "tap"
    GITHUB = "github"
    JUNIT = "junit"


def render(run: Run, format: RunFormat | str = RunFormat.PRETTY, *, color: bool = False) -> str:
    """Return a run as text that ends in a line end. Only the pretty format has colors."""
    from costlens_policy.testing.formats import github, json, junit, pretty, tap

    match RunFormat(format):
        case RunFormat.PRETTY:
            return pretty.render(run, color=color)
        case RunFormat.JSON:
            return json.render(run)
        case RunFormat.TAP:
            return tap.render(run)
        case RunFormat.GITHUB:
            return github.render(run)
        case RunFormat.JUNIT:
            return junit.render(run)
