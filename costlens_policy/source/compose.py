"""Turn a text into located documents, in one pass over the events of the YAML parser."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

import yaml

from costlens_policy.diagnostics.model import Diagnostic, Severity, in_order
from costlens_policy.frozen import frozen
from costlens_policy.source import problems
from costlens_policy.source.located import LocatedDocument, SourceText, span_between
from costlens_policy.source.syntax import syntax_problem
from costlens_policy.source.tree_builder import LimitError, TreeBuilder

__all__ = ["Composed", "compose"]


# The C parser counts positions in code points, as the pure one does, and is about ten times faster.
_LOADER: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


@frozen
class Composed:
    """The documents of one file and every problem found; with an error among these, use no document."""

    documents: tuple[LocatedDocument, ...]
    diagnostics: tuple[Diagnostic, ...]


def compose(source: SourceText) -> Composed:
    """Compose all documents of a text. Bad input raises nothing; empty documents are left out."""
    if forbidden := tuple(_forbidden_characters(source)):
        return Composed((), forbidden)
    builder = TreeBuilder(source)
    diagnostics = builder.diagnostics
    try:
        for event in yaml.parse(source.text, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        diagnostics.append(syntax_problem(source, error))
    except LimitError as stop:
        diagnostics.append(stop.diagnostic)
    if not builder.roots and not diagnostics:
        diagnostics.append(problems.empty_file(span_between(source, 0, 0)))
    documents = tuple(LocatedDocument(source, root) for root in builder.roots)
    return Composed(documents, in_order(diagnostics))


_MOST = 20  # a binary file would fill the screen
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_LINE_ENDS = "\x85\u2028\u2029"


def _forbidden_characters(source: SourceText) -> Iterator[Diagnostic]:
    """Yield a problem for each of the first forbidden characters of a text."""
    for number, match in enumerate(_FORBIDDEN.finditer(source.text)):
        if number == _MOST:
            return
        yield _problem(source, match.start(), match.group())


def _problem(source: SourceText, offset: int, character: str) -> Diagnostic:
    return Diagnostic(
        "CL004",
        Severity.ERROR,
        f"the file contains {_name(character)}, which is not allowed in YAML text",
        span_between(source, offset, offset + 1),
        label=_why(character),
        help=f"remove it, or write `{_escape(character)}` inside double quotes if the text needs it",
    )


def _name(character: str) -> str:
    number = f"U+{ord(character):04X}"
    if character == "\0":
        return f"a NUL character ({number})"
    name = unicodedata.name(character, "").lower()
    return f"the character {number} ({name})" if name else f"the control character {number}"


def _why(character: str) -> str:
    if character == "\0":
        return "this looks like a binary file or UTF-16 text"
    if character in _LINE_ENDS:
        return "some readers end the line here, others do not"
    if character == "\ufeff":
        return "a byte order mark is allowed only at the start of the file"
    if unicodedata.bidirectional(character) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"):
        return "it changes the order in which the line is displayed"
    return "it is invisible here"


def _escape(character: str) -> str:
    number = ord(character)
    if number <= 0xFF:
        return f"\\x{number:02X}"
    return f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}"
