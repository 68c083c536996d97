"""From a located document to its type: its kind, its JSON Schema, then pydantic, whose problems keep their places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from costlens_policy.diagnostics.model import Diagnostic, Severity, Span, in_order
from costlens_policy.diagnostics.suggestion import listed, nearest
from costlens_policy.documents import API_VERSIONS, KINDS, Document
from costlens_policy.errors import lowered
from costlens_policy.schema.explain import explain
from costlens_policy.schema.violations import Violation, shown, subject, violations
from costlens_policy.source.located import LocatedDocument, Path, Plain

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["build", "read_document"]

_HEAD: Final = ("apiVersion", "kind")


def read_document(located: LocatedDocument) -> tuple[Document | None, tuple[Diagnostic, ...]]:
    """Return the typed document without diagnostics, or None with all its problems, in order of place."""
    if located.root.kind != "mapping":
        return None, (_not_a_mapping(located),)
    if head := tuple(_check_head(located)):
        return None, in_order(head)
    kind = _text(located, "kind")
    plain = located.root.to_plain()
    broken = _without_consequences(violations(kind, plain))
    if broken:
        return None, in_order(explain(located, kind, item) for item in broken)
    return build(kind, located, plain)


def _text(located: LocatedDocument, key: str) -> str:
    value = located.root.find((key,))
    return str(value.content) if value is not None and value.kind == "scalar" else ""


def _not_a_mapping(located: LocatedDocument) -> Diagnostic:
    return Diagnostic(
        "CL105",
        Severity.ERROR,
        "the document must be a mapping of keys and values",
        located.root.span_of(()) if located.root.kind == "scalar" else located.root.span_of((0,)),
        f"this is {'a list' if located.root.kind == 'sequence' else 'a single value'}",
        f"start it with `apiVersion: {API_VERSIONS[-1]}` and `kind`",
    )


def _check_head(located: LocatedDocument) -> Iterator[Diagnostic]:
    """Report errors that leave the schema unknown; with these, nothing else can be checked."""
    for key in _HEAD:
        if located.root.find((key,)) is None:
            yield _missing_head(located, key)
    version, kind = _text(located, "apiVersion"), _text(located, "kind")
    if located.root.find(("apiVersion",)) is not None and version not in API_VERSIONS:
        yield _unknown(located, "CL101", "apiVersion", f"this version supports {listed(API_VERSIONS)}")
    elif located.root.find(("kind",)) is not None and kind not in KINDS:
        near = nearest(kind, KINDS)
        kinds = f"the kinds are {listed(KINDS)}"
        yield _unknown(located, "CL102", "kind", f"did you mean `{near}`? {kinds}" if near else kinds)


def _missing_head(located: LocatedDocument, key: str) -> Diagnostic:
    near = nearest(key, [entry.key for entry in located.root.entries()])
    span = (located.root.key_span((near,)) if near else None) or located.root.span_of((key,))
    known = f"`apiVersion: {API_VERSIONS[-1]}`" if key == "apiVersion" else f"`kind`: one of {listed(KINDS, 'or')}"
    return Diagnostic(
        "CL104",
        Severity.ERROR,
        f"the document has no `{key}`",
        span,
        f"did you mean `{key}`?" if near else f"`{key}` is missing here",
        f"write {known}",
    )


def _unknown(located: LocatedDocument, code: str, key: str, advice: str) -> Diagnostic:
    text = shown(_text(located, key)) or "…"
    return Diagnostic(
        code, Severity.ERROR, f"unknown {key} `{text}`", located.root.span_of((key,)), "not known", advice
    )


def _without_consequences(found: Iterable[Violation]) -> list[Violation]:
    """Omit consequential errors: those of a wrong type, and keys that are missing because they are misspelled."""
    by_place = sorted(found, key=lambda item: tuple(map(str, item.path)))
    return [item for _, group in groupby(by_place, key=lambda item: item.path) for item in _causes(list(group))]


def _causes(group: list[Violation]) -> list[Violation]:
    if types := [item for item in group if item.rule in ("type", "union")]:
        return types[:1]
    unknown = [item for item in group if item.rule == "additionalProperties"]
    meant = {nearest(item.key, item.schema.get("properties", ())) for item in unknown} - {None}
    return [
        item
        for item in group
        if not (item.rule == "required" and item.key in meant)
        and not (item.rule == "alternatives" and meant & set(item.schema["properties"]))
    ]


_TIME_WORDS: Final = {"date": "a date", "datetime": "a timestamp"}
_FORMS: Final = {
    "date": "write year, month and day: `2026-11-01`",
    "datetime": "write date, time and zone: `2026-11-01T12:00:00Z`",
}


def build(kind: str, located: LocatedDocument, plain: Plain) -> tuple[Document | None, tuple[Diagnostic, ...]]:
    """Return the document, or the errors of its validators: contradictory keys, invalid dates."""
    try:
        return KINDS[kind].model_validate(plain), ()
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True, include_input=True)
        by_place = {_place(located, item["loc"]): item for item in reversed(_meaningful(details))}
        return None, tuple(_diagnostic(located, path, item) for path, item in reversed(by_place.items()))


def _meaningful(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Omit errors of union branches that were not meant, which the schema has already ruled out."""
    meaningful = [item for item in details if item["type"] == "value_error" or item["type"].startswith("date")]
    return meaningful or details


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
    if kind in _TIME_WORDS:
        text = f"`{shown(str(item['input']))}` is not {_TIME_WORDS[kind]}"
        return Diagnostic("CL107", Severity.ERROR, text, located.root.span_of(path), "wrong form", _FORMS[kind])
    reason = lowered(item["msg"])
    return Diagnostic("CL105", Severity.ERROR, f"{subject(path)}: {reason}", located.root.span_of(path), "wrong value")


def _blamed(located: LocatedDocument, path: Path, message: str) -> Span:
    """Point at the first key that the message names and the section has, else at the section."""
    for key in re.findall(r"`(\w+)`", message):
        if (span := located.root.key_span((*path, key))) is not None:
            return span
    value: Any = located.root.find(path)
    return value.span if value.kind == "scalar" else located.root.span_of((*path, ""))
