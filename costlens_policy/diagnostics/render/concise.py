"""One line for each diagnostic, in the form that editors and other tools recognise."""

from __future__ import annotations

from collections.abc import Sequence

from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.diagnostics.render.characters import printable
from costlens_policy.diagnostics.render.colours import Painter, of_severity

__all__ = ["concise"]


def concise(diagnostics: Sequence[Diagnostic], *, colour: bool) -> str:
    """Return lines such as ``policies/a.yaml:14:19: error[CL302]: unknown variable `modle```."""
    paint = Painter(on=colour)
    return "".join(_line(item, paint) for item in diagnostics)


def _line(item: Diagnostic, paint: Painter) -> str:
    where = f"{printable(item.span.file)}:{item.span.start.line}:{item.span.start.column}: " if item.span else ""
    head = paint(f"{item.severity}[{item.code}]", of_severity(item.severity))
    advice = f" ({printable(item.help)})" if item.help else ""
    return f"{where}{head}: {printable(item.message)}{advice}\n"
