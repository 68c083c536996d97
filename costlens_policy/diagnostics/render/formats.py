"""Diagnostics in every format that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

from costlens_policy.diagnostics.model import Diagnostic, in_order
from costlens_policy.diagnostics.render.concise import concise
from costlens_policy.diagnostics.render.full import full
from costlens_policy.diagnostics.render.github import github
from costlens_policy.diagnostics.render.json import as_json
from costlens_policy.diagnostics.render.sarif import sarif
from costlens_policy.diagnostics.render.snippet import LinesOf

__all__ = ["Format", "LinesOf", "render"]


class Format(StrEnum):
    FULL = "full"
    CONCISE = "concise"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


def render(
    diagnostics: Iterable[Diagnostic],
    format: Format | str = Format.FULL,
    lines_of: LinesOf = lambda _: None,
    *,
    colour: bool = False,
) -> str:
    """Return the diagnostics in order of place, as text that ends in a line end.

    ``lines_of`` gives the lines of a file, named as in the spans, or None where they are not at hand; only
    the full format asks for them. Without diagnostics the text formats are empty, JSON and SARIF are not.
    """
    ordered = in_order(diagnostics)
    writers: dict[Format, Callable[[], str]] = {
        Format.FULL: lambda: full(ordered, lines_of, colour=colour),
        Format.CONCISE: lambda: concise(ordered, colour=colour),
        Format.JSON: lambda: as_json(ordered),
        Format.SARIF: lambda: sarif(ordered),
        Format.GITHUB: lambda: github(ordered),
    }
    return writers[Format(format)]()
