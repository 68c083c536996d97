"""Diagnostics in every format that there is: a row of the table for each, and the function that it names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.diagnostics.model import Diagnostic, Position, Related, Severity, Span, in_order
from costlens_policy.diagnostics.text import LinesOf, concise, full
from costlens_policy.version import __version__

__all__ = ["FORMATS", "LinesOf", "as_json", "github", "render", "sarif", "workflow_command"]


def render(
    diagnostics: Iterable[Diagnostic],
    format: str = "full",
    lines_of: LinesOf = lambda _: None,
    *,
    color: bool = False,
) -> str:
    """Return the diagnostics in order of place, as text that ends with a newline. ``format`` is one of ``FORMATS``.

    What is suppressed is shown by SARIF alone, with the reason.

    ``lines_of`` gives the lines of a file, named as in the spans, or None if they are not available; only the full
    format needs them. Without diagnostics the text formats are empty, but JSON and SARIF are not.
    """
    if format not in FORMATS:
        raise ValueError(f"unknown format `{format}`")
    shown = [item for item in in_order(diagnostics) if format == "sarif" or not item.suppressed]
    return FORMATS[format](shown, lines_of, color)


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
    """Return one command on a separate line, such as ``error`` with the properties ``file`` and ``line``."""
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
        "witnesses": [dict(witness.data) for witness in item.witnesses],
        "proved": item.proved,
        "fixable": item.fix is not None,
    }


def _span(span: Span) -> dict[str, object]:
    return {"file": span.file, "start": _position(span.start), "end": _position(span.end)}


def _position(position: Position) -> dict[str, int]:
    return {"offset": position.offset, "line": position.line, "column": position.column}


_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(diagnostics: Sequence[Diagnostic]) -> str:
    """Return a log with one run; its rules are the codes that occur."""
    rules = sorted({item.code for item in diagnostics})
    run = {
        "tool": {"driver": _driver(rules)},
        "columnKind": "unicodeCodePoints",
        "results": [_result(item, rules.index(item.code)) for item in diagnostics],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _driver(rules: Sequence[str]) -> dict[str, object]:
    return {"name": "costlens-policy", "version": __version__, "rules": [_rule(code) for code in rules]}


def _rule(id: str) -> dict[str, object]:
    code = CODES.get(id)
    return {"id": id, "name": code.name, "shortDescription": {"text": code.title}} if code else {"id": id}


def _result(item: Diagnostic, rule: int) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": item.code,
        "ruleIndex": rule,
        "level": item.severity.value,
        "message": {"text": f"{item.message} ({item.help})" if item.help else item.message},
        "locations": [_location(item.span, item.label)] if item.span else [],
    }
    if item.suppressed:
        result["suppressions"] = [{"kind": "inSource", "justification": item.suppressed}]
    if item.witnesses or item.proved:
        result["properties"] = {"witnesses": [dict(shown.data) for shown in item.witnesses], "proved": item.proved}
    if item.related:
        result["relatedLocations"] = [_related(number, place) for number, place in enumerate(item.related)]
    return result


def _related(number: int, place: Related) -> dict[str, object]:
    return {"id": number, **_location(place.span, place.label)}


def _location(span: Span, label: str) -> dict[str, object]:
    region = {
        "startLine": span.start.line,
        "startColumn": span.start.column,
        "endLine": span.end.line,
        "endColumn": span.end.column,
    }
    where = {"artifactLocation": {"uri": quote(span.file.replace("\\", "/"))}, "region": region}
    return {"physicalLocation": where, **({"message": {"text": label}} if label else {})}


FORMATS: Final[Mapping[str, Callable[[Sequence[Diagnostic], LinesOf, bool], str]]] = {
    "full": lambda found, lines_of, color: full(found, lines_of, color=color),
    "concise": lambda found, _, color: concise(found, color=color),
    "json": lambda found, *_: as_json(found),
    "sarif": lambda found, *_: sarif(found),
    "github": lambda found, *_: github(found),
}
"""The formats; each is given diagnostics in order, the lines of files, and whether to color."""
