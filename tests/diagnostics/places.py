"""Make diagnostics for tests by naming the text they are about."""

from __future__ import annotations

from costlens_policy.diagnostics.model import Diagnostic, Position, Related, Severity, Span

__all__ = ["problem", "related", "span"]


def span(text: str, part: str, file: str = "policies/premium.yaml", *, nth: int = 0) -> Span:
    """Return the place of a part of a text, the ``nth`` one that occurs."""
    start = -1
    for _ in range(nth + 1):
        start = text.index(part, start + 1)
    return Span(file, _position(text, start), _position(text, start + len(part)))


def problem(text: str, part: str, label: str = "", *, help: str = "", more: tuple[Related, ...] = ()) -> Diagnostic:
    return Diagnostic("CL302", Severity.ERROR, "unknown variable `modle`", span(text, part), label, help, more)


def related(text: str, part: str, label: str, file: str = "policies/premium.yaml", *, nth: int = 0) -> Related:
    return Related(span(text, part, file, nth=nth), label)


def _position(text: str, offset: int) -> Position:
    before = text[:offset]
    return Position(offset, before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)
