"""Edits of a text that leave everything else as it is written, comments above all: each is tried before it is offered.

An edit is offered only where the text that it leaves reads as the documents without what was to be removed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from costlens_policy.diagnostics.model import Edit
from costlens_policy.source.compose import compose
from costlens_policy.source.located import LocatedDocument, LocatedValue, Path, Plain, SourceText, span_between
from costlens_policy.source.read import source_of
from costlens_policy.source.suppressions import suppressions_of

__all__ = ["apply_edits", "replacing_part", "without_value"]


def apply_edits(text: str, edits: Iterable[Edit]) -> tuple[str, int]:
    """Return a text with edits of one file, and how many were made: of two that overlap, the first one."""
    done, made, end = "", 0, 0
    for edit in sorted(edits, key=lambda edit: (edit.span.start.offset, edit.span.end.offset)):
        if edit.span.start.offset >= end:
            done += text[end : edit.span.start.offset] + edit.text
            end, made = edit.span.end.offset, made + 1
    return done + text[end:], made


def without_value(located: LocatedDocument, path: Path) -> Edit | None:
    """Return the edit that removes an item of a list, or a key with its value. None where it is the only one."""
    parent, value = located.root.find(path[:-1]), located.root.find(path)
    if parent is None or value is None or not isinstance(parent.content, tuple) or len(parent.content) < 2:
        return None
    expected = _plain_without(located.root, path)
    return next(_that_leave(located, expected, ((*extent, "") for extent in _extents(located, parent, path))), None)


def replacing_part(located: LocatedDocument, path: Path, start: int, end: int, text: str) -> Edit | None:
    """Return the edit that puts ``text`` in the place of some characters of a string; ``start`` counts from 0."""
    value = located.root.find(path)
    if value is None or value.offsets is None or not isinstance(value.content, str):
        return None
    changed = value.content[:start] + text + value.content[end:]
    expected = _plain_with(located.root, path, changed)
    tried = [(value.offsets[start], value.offsets[end], text)]
    return next(_that_leave(located, expected, tried), None)


def _that_leave(located: LocatedDocument, expected: Plain, tried: Iterable[tuple[int, int, str]]) -> Iterator[Edit]:
    """Yield the edits after which the file holds the document as expected, and all others as they were."""
    source = located.source
    before = [document.root.to_plain() for document in compose(source).documents]
    wanted = [expected if plain == located.root.to_plain() else plain for plain in before]
    for start, end, text in tried:
        composed = compose(source_of(source.text[:start] + text + source.text[end:], source.name))
        if any(item.is_error for item in composed.diagnostics):
            continue
        if [document.root.to_plain() for document in composed.documents] == wanted:
            yield Edit(span_between(source, start, end), text)


def _extents(located: LocatedDocument, parent: LocatedValue, path: Path) -> Iterator[tuple[int, int]]:
    """Yield what may be removed: whole lines, up to what comes next, or from the end of what comes before."""
    text = located.source.text
    places = list(_places(parent))
    at = path[-1] if isinstance(path[-1], int) else [entry.key for entry in parent.entries()].index(path[-1])
    start, end = places[at]
    line = text.rfind("\n", 0, start) + 1
    if text[line:start].strip() in ("", "-"):
        first = _with_suppressions(located.source, line)
        if first is None:
            return
        yield first, _end_of_lines(text, start, end, start - line)
    if at + 1 < len(places):
        yield start, places[at + 1][0]
    if at > 0:
        yield places[at - 1][1], end


def _with_suppressions(source: SourceText, line: int) -> int | None:
    """Return where the comments above a line begin that suppress what is found on it: they would speak of what follows.

    None where other comments stand between them, which are to stay.
    """
    number = bisect_right(source.line_starts, line)
    own = [item.span.start.line for item in suppressions_of(source)[0] if item.first == number]
    first = number
    while first - 1 in own:
        first -= 1
    return source.line_starts[first - 1] if all(first <= place <= number for place in own) else None


def _places(parent: LocatedValue) -> Iterator[tuple[int, int]]:
    for entry in parent.entries():
        yield entry.key_span.start.offset, entry.value.span.end.offset
    for item in parent.items():
        yield item.span.start.offset, item.span.end.offset


def _end_of_lines(text: str, start: int, end: int, indent: int) -> int:
    """Return where the lines of a value end; comments behind it that are not indented belong to what follows."""
    lines = text[start:end].splitlines(keepends=True)
    while len(lines) > 1 and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    last = start + sum(map(len, lines))
    if text[last - 1 : last] == "\n":
        return last
    newline = text.find("\n", last)
    return len(text) if newline < 0 else newline + 1


def _plain_without(root: LocatedValue, path: Path) -> Plain:
    def remove(parent: Any) -> None:
        del parent[path[-1]]

    return _changed(root, path, remove)


def _plain_with(root: LocatedValue, path: Path, value: str) -> Plain:
    def replace(parent: Any) -> None:
        parent[path[-1]] = value

    return _changed(root, path, replace)


def _changed(root: LocatedValue, path: Path, change: Callable[[Any], None]) -> Plain:
    plain: Any = root.to_plain()
    parent = plain
    for step in path[:-1]:
        parent = parent[step]
    change(parent)
    return plain  # type: ignore[no-any-return]  # of the same kinds
