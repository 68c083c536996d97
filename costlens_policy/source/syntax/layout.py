"""Mistakes of indentation and of what starts a key or an item."""

from __future__ import annotations

import re

from costlens_policy.diagnostics.model import Related
from costlens_policy.source.syntax.failure import QUOTE_IT, Failure, Words

__all__ = ["colon_without_key", "item_here", "next_document", "no_colon", "no_item", "no_key", "second_colon", "tab"]


def tab(failure: Failure) -> Words | None:
    before = failure.line_before(failure.at)
    blank = before + "\t" if failure.source.text.startswith("\t", failure.at) else before
    indent = blank[: len(blank) - len(blank.lstrip(" \t"))]
    if "\t" not in indent:
        return None
    start = failure.at - len(before) + indent.index("\t")
    return Words(
        "a tab stands in the indentation of this line",
        start,
        1,
        label="tab",
        help="indent with spaces; YAML does not allow tabs here",
        code="CL006",
    )


def second_colon(failure: Failure) -> Words | None:
    before = failure.line_before(failure.at)
    if key := re.match(r"\s*(?:-\s+)*([^\s:'\"\[{][^:]*?)\s*:\s", before):
        return Words(
            f"the value of `{key.group(1)}` contains a colon followed by a space, which starts a new key",
            failure.at,
            1,
            label="this colon",
            help=QUOTE_IT,
        )
    if len(before) > 1000:
        return Words("a key is longer than 1,000 characters", failure.at, 1, label="the key ends here")
    return _glued(failure) or _too_deep(failure, before)


def _glued(failure: Failure) -> Words | None:
    """The line above lacks the space that makes it a key or an item."""
    start, line = failure.previous_line(failure.at)
    if key := re.match(r"\s*(?:-\s+)*([\w.-]+:)(?=\S)", line):
        return Words(
            f"there is no space after `{key.group(1)}`",
            start + key.end() - 1,
            1,
            label="without a space this is text, not a key",
            help="put a space after the colon",
        )
    if item := re.match(r"\s*-(?=\w)", line):
        return Words(
            "there is no space after `-`",
            start + item.end() - 1,
            1,
            label="without a space this is text, not an item",
            help="put a space after the dash",
        )
    return None


def _too_deep(failure: Failure, before: str) -> Words:
    key = before.strip()
    return Words(
        f"the key `{key}` cannot start here, since the line above already has a value",
        failure.at - len(before.lstrip()),
        len(before.lstrip()),
        label="this line continues the value above",
        help="give keys of one mapping the same indentation",
    )


def no_colon(failure: Failure) -> Words:
    text = failure.line_after(failure.since)
    return Words(
        f"there is no colon after `{text}`",
        failure.since,
        len(text),
        label="a key with its value was expected",
        help="write `key: value`; indent the line if it continues the text above",
    )


def no_key(failure: Failure) -> Words:
    before, word = failure.line_before(failure.at).strip(), failure.word(failure.at)
    if word == ":":
        return colon_without_key(failure)
    if before and not before.endswith(("-", "?", ":")):
        return _trailing_text(failure, before)
    if word == "-":
        return _misplaced(failure, "an item (`-`) stands where a key was expected", "the mapping starts here")
    return _misplaced(failure, "the indentation of this line fits no line above", "the mapping starts here")


def _trailing_text(failure: Failure, before: str) -> Words:
    text = failure.line_after(failure.at)
    if text[:1] in ("]", "}"):
        return Words(f"the bracket `{text[:1]}` closes nothing", failure.at, 1, help="remove it")
    return Words(
        f"text follows after the closing `{before[-1]}`",
        failure.at,
        len(text),
        label="the value ended before this",
        help=QUOTE_IT,
    )


def no_item(failure: Failure) -> Words:
    if failure.column(failure.at) == failure.column(failure.since):
        return _misplaced(failure, "a key stands where an item (`-`) was expected", "the list starts here")
    return _misplaced(failure, "the indentation of this line fits no line above", "the list starts here")


def _misplaced(failure: Failure, message: str, label: str) -> Words:
    column, wanted = failure.column(failure.at), failure.column(failure.since)
    advice = (
        f"it starts in column {column}; start it in column {wanted}, or as deep as the lines above it"
        if column != wanted
        else "keep the items of a list and the keys of a mapping apart by indentation"
    )
    return Words(
        message,
        failure.at,
        len(failure.word(failure.at)),
        help=advice,
        related=(Related(failure.span(failure.since, len(failure.word(failure.since))), label),),
    )


def item_here(failure: Failure) -> Words:
    return Words("an item (`-`) cannot start here", failure.at, 1, help="start the list on a line of its own")


def next_document(failure: Failure) -> Words:
    text = failure.line_after(failure.at)
    return Words(
        "the document ended before this",
        failure.at,
        len(text),
        label="this does not belong to the value above",
        help="indent it if it does, or put `---` before it if it starts another document",
    )


def colon_without_key(failure: Failure) -> Words:
    return Words(
        "a key is missing before the colon",
        failure.at,
        1,
        label="keys must be text",
        help="write a key before the colon",
        code="CL018",
    )
