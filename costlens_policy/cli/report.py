"""Diagnostics on their way to a reader, with the lines of the files that they are about."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import cache

from costlens_policy.cli.console import prints_color
from costlens_policy.diagnostics.model import Diagnostic, PolicyError
from costlens_policy.diagnostics.render import LinesOf, render
from costlens_policy.source.located import SourceText
from costlens_policy.source.read import read_source

__all__ = ["render_report"]


def render_report(
    diagnostics: Iterable[Diagnostic], format: str = "full", *, sources: Sequence[SourceText] = (), stderr: bool = False
) -> str:
    """Return diagnostics as text for standard output or standard error. ``sources`` are texts that are in no file."""
    color = prints_color(sys.stderr if stderr else sys.stdout)
    return render(diagnostics, format, _lines_of(sources), colour=color)


def _lines_of(sources: Sequence[SourceText]) -> LinesOf:
    @cache
    def lines(name: str) -> Sequence[str] | None:
        for source in sources:
            if source.name == name:
                return source.lines()
        try:
            return read_source(name).lines()
        except PolicyError:  # what cannot be read has been reported already
            return None

    return lines
