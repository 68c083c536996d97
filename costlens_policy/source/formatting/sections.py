"""Order the keys of a document, and set the empty lines between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from costlens_policy.source.formatting.lines import Line

__all__ = ["arranged_lines"]

_HEAD: Final = ("apiVersion", "kind", "metadata")


@dataclass(slots=True)
class _Section:
    """A key of the document with its value, and the comments above it."""

    key: str
    above: list[Line] = field(default_factory=list)
    body: list[Line] = field(default_factory=list)

    def rank(self) -> int:
        return _HEAD.index(self.key) if self.key in _HEAD else len(_HEAD)

    def lines(self) -> list[Line]:
        return [*_without_outer_blanks(self.above, only_top=True), *self.body]


def arranged_lines(lines: list[Line], *, in_order: bool) -> list[Line]:
    """Return the lines of all documents with at most one empty line in a row.

    ``in_order`` moves ``apiVersion``, ``kind`` and ``metadata`` to the start of each document.
    """
    arranged: list[Line] = []
    for part in _documents(lines):
        arranged += [part[0]] if part[0].is_frame else _arranged(part, in_order=in_order)
    return _without_outer_blanks(list(_single_blanks(arranged)))


def _documents(lines: list[Line]) -> Iterator[list[Line]]:
    """Split at `---` and the like; each such line is a part of its own."""
    part: list[Line] = []
    for line in lines:
        if line.is_frame:
            if part:
                yield part
            yield [line]
            part = []
        else:
            part.append(line)
    if part:
        yield part


def _arranged(lines: list[Line], *, in_order: bool) -> list[Line]:
    top, sections, tail = _split(lines)
    if in_order:
        sections.sort(key=_Section.rank)
    arranged = list(top)
    for before, section in pairwise([None, *sections]):
        assert section is not None
        if before is not None:
            arranged += _gap(before, section)
        arranged += section.lines()
    return [*arranged, *tail]


def _split(lines: list[Line]) -> tuple[list[Line], list[_Section], list[Line]]:
    """Return what stands above the first key, the sections, and what stands below the last."""
    starts = [number for number, line in enumerate(lines) if line.opens_entry]
    if not starts:
        return lines, [], []
    sections = []
    cut = starts[0]
    for start, following in pairwise([*starts, len(lines)]):
        end = following
        while end > start + 1 and (lines[end - 1].is_blank or _is_top_comment(lines[end - 1])):
            end -= 1
        key = lines[start].text.strip().split(":")[0].strip("'\" ")
        sections.append(_Section(key, lines[cut:start], lines[start:end]))
        cut = end
    return lines[: starts[0]], sections, lines[cut:]


def _gap(before: _Section, section: _Section) -> list[Line]:
    """Return the empty line between two sections, or none: keys of one line stay as their author parted them."""
    if before.body[-1].keeps_blanks:
        return []
    if (before.key, section.key) == _HEAD[:2] and not any(not line.is_blank for line in section.above):
        return []
    if len(before.body) > 1 or len(section.body) > 1 or any(line.is_blank for line in section.above[:1]):
        return [Line("")]
    return []


def _is_top_comment(line: Line) -> bool:
    return line.is_comment and not line.indent


def _single_blanks(lines: list[Line]) -> Iterator[Line]:
    was_blank = False
    for line in lines:
        if not (line.is_blank and was_blank):
            yield line
        was_blank = line.is_blank


def _without_outer_blanks(lines: list[Line], *, only_top: bool = False) -> list[Line]:
    start, end = 0, len(lines)
    while start < end and lines[start].is_blank:
        start += 1
    while not only_top and end > start and lines[end - 1].is_blank:
        end -= 1
    return lines[start:end]
