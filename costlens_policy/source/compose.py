"""Turn a text into located documents, in one pass over the events of the YAML parser.

Open sequences and mappings wait on a stack; anchors and aliases are weighed, so that few lines cannot stand for many
values; comments that cut off a plain scalar are found. Whatever policies must not contain is rejected.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Final

import yaml

from costlens_policy.diagnostics.model import Diagnostic, Position, Severity, Span, in_order
from costlens_policy.frozen import frozen
from costlens_policy.source import problems
from costlens_policy.source.located import (
    Entry,
    LocatedDocument,
    LocatedValue,
    Scalar,
    SourceText,
    position_at,
    span_between,
)
from costlens_policy.source.scalars import offsets_of, resolve_plain
from costlens_policy.source.syntax import syntax_problem

if TYPE_CHECKING:
    from yaml._yaml import Mark as CMark

__all__ = ["FORBIDDEN", "Composed", "compose"]


# The C parser counts positions in code points, as the pure one does, and is about ten times faster.
_LOADER: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


@frozen
class Composed:
    """The documents of one file and every problem found; with an error among these, use no document."""

    documents: tuple[LocatedDocument, ...]
    diagnostics: tuple[Diagnostic, ...]


def compose(source: SourceText) -> Composed:
    """Compose all documents of a text. Invalid input raises nothing; empty documents are omitted."""
    if forbidden := tuple(_forbidden_characters(source)):
        return Composed((), forbidden)
    builder = _TreeBuilder(source)
    diagnostics = builder.diagnostics
    try:
        for event in yaml.parse(source.text, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        diagnostics.append(syntax_problem(source, error))
    except _LimitError as stop:
        diagnostics.append(stop.diagnostic)
    if not builder.roots and not diagnostics:
        diagnostics.append(problems.empty_file(span_between(source, 0, 0)))
    documents = tuple(LocatedDocument(source, root) for root in builder.roots)
    return Composed(documents, in_order(diagnostics))


_MOST = 20  # a binary file would fill the screen
FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""What no YAML text of ours may hold, since it ends lines, hides, turns the direction, or is no character."""
_LINE_ENDS = "\x85\u2028\u2029"


def _forbidden_characters(source: SourceText) -> Iterator[Diagnostic]:
    """Yield a problem for each of the first forbidden characters of a text."""
    for number, match in enumerate(FORBIDDEN.finditer(source.text)):
        if number == _MOST:
            return
        yield _problem(source, match.start(), match.group())
        if match.group() == "\0":
            return  # not a text at all


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


_MAX_DEPTH: Final = 100
_MAX_VALUES: Final = 500_000
_MAX_ALIASED: Final = 100_000
_CHARACTERS_PER_WEIGHT: Final = 64  # so that repeating a long text counts as repeating many values

_ANCHOR: Final = re.compile(r"&[\w-]+")
_TAG: Final = re.compile(r"!<[^>\s]*>|![^\s,\[\]{}]*")
_PROPERTIES: Final = re.compile(rf"(?:(?:{_ANCHOR.pattern}|{_TAG.pattern})(?:\s+(?:#[^\r\n]*\s*)*)?)+")
_HALF_CHARACTER: Final = re.compile("[\ud800-\udfff]")


class _LimitError(Exception):
    """Nothing sensible can follow in this file."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class _TreeBuilder:
    """Takes events in order; ``roots`` and ``diagnostics`` grow. Never recurses, so depth costs no stack."""

    def __init__(self, source: SourceText) -> None:
        self.roots: list[LocatedValue] = []
        self.diagnostics: list[Diagnostic] = []
        self._source = source
        self._open: list[_OpenNode] = []
        self._anchors = _Anchors()
        self._values = 0

    def take(self, event: yaml.Event) -> None:
        """Take the next event; ``_LimitError`` where a limit is passed."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._start(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._anchors = _Anchors()

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        start = self._properties(event)
        span = Span(self._source.name, start, self._scalar_end(event, start))
        is_plain = not event.style and event.tag is None
        node = self._scalar_node(event, span, is_plain=is_plain)
        if event.anchor is not None:
            self._anchors.close(event.anchor, node)
        if self._open and self._open[-1].expects_key():
            self._set_key(event.value, span, is_plain=is_plain)
        else:
            self._add(node, span.end)

    def _scalar_node(self, event: yaml.ScalarEvent, span: Span, *, is_plain: bool) -> _Node:
        text, content = event.value, self._content(event, span, is_plain=is_plain)
        offsets = None
        if isinstance(content, str):
            start, end = span.start.offset, self._position(event.end_mark).offset
            offsets = offsets_of(self._source.text, start, end, text, event.style or "")
        self._values += 1
        return _Node(LocatedValue(content, span, "scalar", offsets), 1 + len(text) // _CHARACTERS_PER_WEIGHT, 1)

    def _content(self, event: yaml.ScalarEvent, span: Span, *, is_plain: bool) -> Scalar:
        text: str = event.value
        if is_plain and not (self._open and self._open[-1].expects_key()):
            content, doubt = resolve_plain(text)
            if doubt is not None:
                self.diagnostics.append(
                    Diagnostic(doubt.code, doubt.severity, doubt.message, span, doubt.label, doubt.help)
                )
            elif ('"' in text or "'" in text) and (cut := _cut_by_comment(self._source, text, span.end.offset)):
                self.diagnostics.append(cut)
            return content
        if event.style == '"' and _HALF_CHARACTER.search(text):
            self.diagnostics.append(problems.half_character(span))
        return text

    def _set_key(self, text: str, span: Span, *, is_plain: bool) -> None:
        mapping = self._open[-1]
        if is_plain and text == "<<":
            self.diagnostics.append(problems.merge_key(span))
        elif is_plain and (kind := _other_kind(text)) is not None:
            self.diagnostics.append(problems.key_not_text(text, kind, span))
        elif (first := mapping.first_keys.setdefault(text, span)) is not span:
            self.diagnostics.append(problems.duplicate_key(text, span, first))
        else:
            mapping.key = _Key(text, span)
            return
        mapping.key = _Key(None, span)

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        start = self._properties(event)
        if len(self._open) == _MAX_DEPTH:
            raise _LimitError(problems.too_deep(self._one_character(start), _MAX_DEPTH))
        is_key = bool(self._open) and self._open[-1].expects_key()
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        self._open.append(_OpenNode(is_mapping, bool(event.flow_style), start, event.anchor, is_key))

    def _end(self, event: yaml.CollectionEndEvent) -> None:
        closed = self._open.pop()
        node = closed.finished(self._source.name, self._position(event.end_mark))
        self._values += 1
        if closed.anchor is not None:
            self._anchors.close(closed.anchor, node)
        if closed.is_key:
            kind = "a mapping" if closed.is_mapping else "a sequence"
            self.diagnostics.append(problems.collection_as_key(kind, node.value.span))
            self._open[-1].key = _Key(None, node.value.span)
        else:
            self._add(node, node.value.span.end)

    def _alias(self, event: yaml.AliasEvent) -> None:
        name = event.anchor or ""
        span = Span(self._source.name, self._position(event.start_mark), self._position(event.end_mark))
        node = self._anchors.node(name)
        if self._open and self._open[-1].expects_key():
            self.diagnostics.append(problems.collection_as_key("an alias", span))
            self._open[-1].key = _Key(None, span)
            return
        if node is None:
            self._report_alias(name, span)
            node = _Node(LocatedValue(None, span, "scalar"), 1, 1)
        self._anchors.repeated += node.weight
        if self._anchors.repeated > _MAX_ALIASED:
            raise _LimitError(problems.too_many_aliased(name, span, _MAX_ALIASED))
        if len(self._open) + node.height > _MAX_DEPTH:
            raise _LimitError(problems.too_deep(span, _MAX_DEPTH))
        self._add(node, span.end)

    def _report_alias(self, name: str, span: Span) -> None:
        place = self._anchors.place(name)
        if place is None:
            self.diagnostics.append(problems.unknown_alias(name, span, self._anchors.names()))
        else:
            self.diagnostics.append(problems.recursive_alias(name, span, place))

    def _add(self, node: _Node, end: Position) -> None:
        if self._values > _MAX_VALUES:
            raise _LimitError(problems.too_many_values(self._one_character(node.value.span.start), _MAX_VALUES))
        if self._open:
            self._open[-1].add(node, end)
        elif node.value.content is not None or node.value.span.start < node.value.span.end:
            self.roots.append(node.value)

    def _properties(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> Position:
        """Handle the anchor and the tag before a value; return where the value itself starts."""
        start = self._position(event.start_mark)
        if event.anchor is None and event.tag is None:
            return start
        found = _PROPERTIES.match(self._source.text, start.offset)
        if found is None:
            return start
        if event.anchor is not None:
            self._anchor(event.anchor, found)
        if event.tag is not None:
            self._refuse_tag(found)
        if isinstance(event, yaml.ScalarEvent):
            return position_at(self._source, min(found.end(), self._position(event.end_mark).offset))
        return position_at(self._source, found.end())

    def _anchor(self, name: str, found: re.Match[str]) -> None:
        start = self._source.text.index("&", found.start())
        span = self._stretch(start, start + 1 + len(name))
        if (first := self._anchors.open(name, span)) is not None:
            self.diagnostics.append(problems.duplicate_anchor(name, span, first))

    def _refuse_tag(self, found: re.Match[str]) -> None:
        if tag := _TAG.search(self._source.text, found.start(), found.end()):
            self.diagnostics.append(problems.tag_refused(tag.group(), self._stretch(tag.start(), tag.end())))

    def _scalar_end(self, event: yaml.ScalarEvent, start: Position) -> Position:
        if event.style not in ("|", ">"):
            return self._position(event.end_mark)
        # The parser marks the start of the line after the block, which belongs to what follows.
        end = self._position(event.end_mark).offset
        written = self._source.text[start.offset : end].rstrip()
        return position_at(self._source, start.offset + len(written))

    def _position(self, mark: yaml.Mark | CMark | None) -> Position:
        assert mark is not None  # PyYAML's types allow none, its parsers always give one
        if mark.index >= len(self._source.text):  # the C parser supposes a last line end that may not be there
            return position_at(self._source, mark.index)
        return Position(mark.index, mark.line + 1, mark.column + 1)

    def _one_character(self, start: Position) -> Span:
        return self._stretch(start.offset, start.offset + 1)

    def _stretch(self, start: int, end: int) -> Span:
        return Span(self._source.name, position_at(self._source, start), position_at(self._source, end))


def _other_kind(text: str) -> str | None:
    """Return what a plain key is read as, where that is not text."""
    content, doubt = resolve_plain(text)
    if isinstance(content, str):
        return "a number or a date" if doubt is not None and doubt.is_about_number() else None
    kinds: tuple[tuple[type, str], ...] = ((bool, "a boolean"), (date, "a date"), (type(None), "null"))
    return next((word for kind, word in kinds if isinstance(content, kind)), "a number")


_CLOSED: Final = re.compile(r'"[^"]*"|\'[^\']*\'')
_OPEN: Final = re.compile(r"(?:^|[\s(\[,=<>+])([\"'])")
_COMMENT: Final = re.compile(r"[ \t]+(#[^\r\n]*)")


def _cut_by_comment(source: SourceText, text: str, end: int) -> Diagnostic | None:
    """Return a problem where a plain scalar ends at ``end`` with a quote open that the comment after it closes."""
    opened = _OPEN.search(_CLOSED.sub("", text))
    comment = _COMMENT.match(source.text, end)
    if opened is None or comment is None or opened.group(1) not in comment.group(1):
        return None
    return Diagnostic(
        "CL023",
        Severity.ERROR,
        "a comment cuts off this text",
        span_between(source, comment.start(1), comment.end(1)),
        label="a `#` after a space starts a comment",
        help="put the whole value in quotes, or on separate lines after `|`",
    )


@frozen
class _Key:
    """A key whose value comes next; ``text`` is None where the entry is to be dropped."""

    text: str | None
    span: Span


@dataclass(slots=True)
class _OpenNode:
    """A sequence or mapping whose end has not been seen."""

    is_mapping: bool
    is_flow: bool
    start: Position
    anchor: str | None
    is_key: bool  # it stands where a key should
    key: _Key | None = None
    first_keys: dict[str, Span] = field(default_factory=dict)
    weight: int = 1
    height: int = 1
    end: Position | None = None
    _items: list[LocatedValue] = field(default_factory=list)
    _entries: list[Entry] = field(default_factory=list)

    def expects_key(self) -> bool:
        return self.is_mapping and self.key is None

    def add(self, node: _Node, end: Position) -> None:
        """Take the next item, or the value of the pending key; ``end`` is where it ends here."""
        self.end = end
        if self.is_mapping:
            assert self.key is not None
            if self.key.text is not None:
                self._entries.append(Entry(self.key.text, self.key.span, node.value))
            self.key = None
        else:
            self._items.append(node.value)
        self.weight += node.weight
        self.height = max(self.height, node.height + 1)

    def finished(self, file: str, end: Position) -> _Node:
        """Return the whole collection."""
        span = Span(file, self.start, end if self.is_flow else self.end or self.start)
        content = tuple(self._entries) if self.is_mapping else tuple(self._items)
        kind = "mapping" if self.is_mapping else "sequence"
        return _Node(LocatedValue(content, span, kind), self.weight, self.height)


@frozen
class _Node:
    """A value with its extent: ``weight`` counts values and long texts in it, ``height`` levels of nesting."""

    value: LocatedValue
    weight: int
    height: int


class _Anchors:
    """Values by anchor name. An anchor whose value is still open has a place but no node."""

    def __init__(self) -> None:
        self._places: dict[str, Span] = {}
        self._nodes: dict[str, _Node] = {}
        self.repeated = 0
        """Weight of everything that aliases stood for so far."""

    def open(self, name: str, span: Span) -> Span | None:
        """Note an anchor; return the place of an earlier one with the same name."""
        first = self._places.get(name)
        self._places[name] = span
        self._nodes.pop(name, None)
        return first

    def close(self, name: str, node: _Node) -> None:
        self._nodes[name] = node

    def place(self, name: str) -> Span | None:
        return self._places.get(name)

    def node(self, name: str) -> _Node | None:
        return self._nodes.get(name)

    def names(self) -> tuple[str, ...]:
        return tuple(self._places)
