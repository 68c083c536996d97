"""Lay out a file in the one way that our own documents have, keeping comments, quotes and line breaks."""

from __future__ import annotations

from costlens_policy.diagnostics.model import Diagnostic, PolicyError, Severity
from costlens_policy.source.compose import compose
from costlens_policy.source.formatting.indentation import indented_lines
from costlens_policy.source.formatting.sections import arranged_lines
from costlens_policy.source.located import Plain, SourceText
from costlens_policy.source.places import span_between
from costlens_policy.source.read import source_of

__all__ = ["format_source", "format_text"]


def format_text(text: str, name: str = "<text>") -> str:
    """Return a text as ``format_source`` lays it out; ``name`` is what its problems are reported under."""
    return format_source(source_of(text, name))


def format_source(source: SourceText) -> str:
    """Return the text laid out: two spaces for each level, lists indented below their key, one line end at the end.

    ``apiVersion``, ``kind`` and ``metadata`` come first, sections are parted by an empty line. Nothing is wrapped,
    joined or quoted anew, and the documents stay equal. ``PolicyError`` where the text has errors of its own.
    """
    before = _documents(source)
    for in_order in (True, False):  # moving a key can part an alias from its anchor
        lines = arranged_lines(indented_lines(source), in_order=in_order)
        text = "".join(f"{line.shown()}\n" for line in lines)
        if _same(before, source_of(text, source.name)):
            return text
    raise PolicyError([_unsafe(source)])


def _documents(source: SourceText) -> list[Plain]:
    composed = compose(source)
    if any(item.is_error for item in composed.diagnostics):
        raise PolicyError(composed.diagnostics)
    return [document.root.to_plain() for document in composed.documents]


def _same(before: list[Plain], source: SourceText) -> bool:
    """Tell whether the new text holds the same documents; the order of their keys may differ."""
    try:
        after = _documents(source)
    except PolicyError:
        return False
    return [_comparable(item) for item in before] == [_comparable(item) for item in after]


def _comparable(document: Plain) -> object:
    # `repr` tells 1.10 from 1.1 and true from 1, and keeps the order of keys below the first level.
    return {key: repr(value) for key, value in document.items()} if isinstance(document, dict) else repr(document)


def _unsafe(source: SourceText) -> Diagnostic:
    return Diagnostic(
        "CL022",
        Severity.ERROR,
        "this file cannot be laid out without changing what it says",
        span_between(source, 0, 0),
        help="leave it as it is, or write its unusual parts more simply",
    )
