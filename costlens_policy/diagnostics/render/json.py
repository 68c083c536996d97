"""Diagnostics as one JSON array, for programs. The shape is documented in docs/diagnostics.md."""

from __future__ import annotations

import json
from collections.abc import Sequence

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.diagnostics.model import Diagnostic, Position, Span

__all__ = ["as_json"]


def as_json(diagnostics: Sequence[Diagnostic]) -> str:
    """Return an array with one object for each diagnostic."""
    return json.dumps([_object(item) for item in diagnostics], indent=2, ensure_ascii=False) + "\n"


def _object(item: Diagnostic) -> dict[str, object]:
    code = CODES.get(item.code)
    return {
        "code": item.code,
        "name": code.name if code else None,
        "severity": item.severity.value,
        "message": item.message,
        "label": item.label,
        "help": item.help,
        "span": _span(item.span) if item.span else None,
        "related": [{"label": place.label, "span": _span(place.span)} for place in item.related],
    }


def _span(span: Span) -> dict[str, object]:
    return {"file": span.file, "start": _position(span.start), "end": _position(span.end)}


def _position(position: Position) -> dict[str, int]:
    return {"offset": position.offset, "line": position.line, "column": position.column}
