"""Workflow commands of GitHub Actions, which become annotations on the lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.diagnostics.model import Diagnostic, Severity, Span

__all__ = ["github", "workflow_command"]

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def github(diagnostics: Sequence[Diagnostic]) -> str:
    """Return one command for each diagnostic."""
    return "".join(_command(item) for item in diagnostics)


def _command(item: Diagnostic) -> str:
    code = CODES.get(item.code)
    title = f"{item.code}: {code.title}" if code else item.code
    properties = [*(_place(item.span) if item.span else ()), ("title", title)]
    message = f"{item.message} ({item.help})" if item.help else item.message
    return workflow_command(_COMMANDS[item.severity], properties, message)


def workflow_command(command: str, properties: Iterable[tuple[str, str]], message: str) -> str:
    """Return one command on a line of its own, such as ``error`` with the properties ``file`` and ``line``."""
    listed = ",".join(f"{name}={_escape_property(value)}" for name, value in properties)
    return f"::{command} {listed}::{_escape(message)}\n"


def _place(span: Span) -> list[tuple[str, str]]:
    place = [("file", span.file.replace("\\", "/")), ("line", str(span.start.line)), ("endLine", str(span.end.line))]
    if span.start.line == span.end.line:  # GitHub drops columns that span several lines
        place += [("col", str(span.start.column)), ("endColumn", str(span.end.column))]
    return place


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
