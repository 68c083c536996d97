"""Collects what is wrong with one suite, each problem at its place in the file."""

from __future__ import annotations

from collections.abc import Iterable

from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.source.located import LocatedDocument, Path, part_span

__all__ = ["SuiteProblems"]


class SuiteProblems:
    """The diagnostics of one suite. Paths are those of its document, such as ``("cases", 0, "expect", "rule")``."""

    __slots__ = ("_located", "diagnostics")

    def __init__(self, located: LocatedDocument) -> None:
        self._located = located
        self.diagnostics: list[Diagnostic] = []

    @property
    def has_errors(self) -> bool:
        return any(item.is_error for item in self.diagnostics)

    def report(
        self,
        code: str,
        message: str,
        path: Path,
        *,
        severity: Severity = Severity.ERROR,
        label: str = "",
        help: str = "",
        at_key: bool = False,
        within: tuple[int, int] | None = None,
        related: Iterable[Related] = (),
    ) -> None:
        """Note a problem at the value of a path, at its key, or at the characters ``within`` a text (start and end)."""
        span = (self._located.root.key_span(path) if at_key else None) or self.place(path)
        value = self._located.root.find(path)
        if within is not None and value is not None:
            span = part_span(self._located.source, value, *within)
        self.diagnostics.append(Diagnostic(code, severity, message, span, label, help, tuple(related)))

    def place(self, path: Path) -> Span:
        """Return where a scalar stands; of a map or list its key or first key, so that a caret stays on one line.

        What is not written stands for its nearest parent.
        """
        value = self._located.root.find(path)
        whole = value is None or value.kind == "scalar"
        return self._located.root.span_of(path if whole else (*path, ""))
