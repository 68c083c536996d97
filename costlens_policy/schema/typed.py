"""From a plain document that fits its schema to the typed one; what only the types know is reported here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from costlens_policy.diagnostics.model import Diagnostic, Severity, Span
from costlens_policy.documents import KINDS, Document
from costlens_policy.schema.wording import shown, subject
from costlens_policy.source.located import LocatedDocument, Path, Plain

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["build"]

_MOMENT_WORDS: Final = {"date": "a date", "datetime": "a moment in time"}
_FORMS: Final = {
    "date": "write year, month and day: `2026-11-01`",
    "datetime": "write date, time and zone: `2026-11-01T12:00:00Z`",
}


def build(kind: str, located: LocatedDocument, plain: Plain) -> tuple[Document | None, tuple[Diagnostic, ...]]:
    """Return the document, or what its validators object to: keys that do not go together, dates that are none."""
    try:
        return KINDS[kind].model_validate(plain), ()
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True, include_input=True)
        by_place = {_place(located, item["loc"]): item for item in reversed(_telling(details))}
        return None, tuple(_diagnostic(located, path, item) for path, item in reversed(by_place.items()))


def _telling(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out what the schema has already ruled out: only branches of a union that were not meant say so."""
    telling = [item for item in details if item["type"] == "value_error" or item["type"].startswith("date")]
    return telling or details


def _place(located: LocatedDocument, steps: tuple[str | int, ...]) -> Path:
    """Drop what pydantic adds to a path: names of a union's branches, and marks such as ``[key]``."""
    path: Path = ()
    for step in steps:
        if located.root.find((*path, step)) is not None:
            path = (*path, step)
    return path


def _diagnostic(located: LocatedDocument, path: Path, item: ErrorDetails) -> Diagnostic:
    kind = item["type"].split("_")[0]
    if item["type"] == "value_error":
        message = str(item.get("ctx", {}).get("error", item["msg"]))
        return Diagnostic("CL111", Severity.ERROR, message, _blamed(located, path, message), "does not fit")
    if kind in _MOMENT_WORDS:
        text = f"`{shown(str(item['input']))}` is not {_MOMENT_WORDS[kind]}"
        return Diagnostic("CL107", Severity.ERROR, text, located.root.span_of(path), "wrong form", _FORMS[kind])
    reason = _lowered(item["msg"])
    return Diagnostic("CL105", Severity.ERROR, f"{subject(path)}: {reason}", located.root.span_of(path), "wrong value")


def _blamed(located: LocatedDocument, path: Path, message: str) -> Span:
    """Point at the first key that the message names and the section has, else at the section."""
    for key in re.findall(r"`(\w+)`", message):
        if (span := located.root.key_span((*path, key))) is not None:
            return span
    value: Any = located.root.find(path)
    return value.span if value.kind == "scalar" else located.root.span_of((*path, ""))


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
