"""A run for people, or in the formats that other tools read: each a row of ``RunFormat``, and a file of its name."""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
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
    LCOV = "lcov"
    COBERTURA = "cobertura"
    HTML = "html"


def render(run: Run, format: RunFormat | str = RunFormat.PRETTY, *, color: bool = False) -> str:
    """Return a run as text that ends with a newline. Only the pretty format has colors."""
    renderer = import_module(f"{__name__}.{RunFormat(format)}")
    rendered: str = renderer.render(run, color=color)
    return rendered
