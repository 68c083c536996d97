"""Mistakes with quotes, brackets, escapes and the other signs that mean something in YAML."""

from __future__ import annotations

import re

from costlens_policy.diagnostics.model import Related
from costlens_policy.source.syntax.failure import QUOTE_IT, Failure, Words
from costlens_policy.source.syntax.layout import colon_without_key

__all__ = [
    "bad_start",
    "block_header",
    "directive",
    "escape",
    "key_here",
    "no_name",
    "no_value",
    "open_bracket",
    "open_quote",
    "tag",
]


def open_quote(failure: Failure) -> Words:
    quote = failure.source.text[failure.since : failure.since + 1]
    return Words(
        f"the quote `{quote}` is never closed",
        failure.since,
        1,
        label="it opens here",
        help=f"close it with `{quote}`, or begin the value without it",
    )


def open_bracket(failure: Failure) -> Words:
    opening = failure.source.text[failure.since : failure.since + 1]
    closing = {"[": "]", "{": "}"}.get(opening, "]")
    if failure.same_line() and failure.word(failure.at):
        word = failure.word(failure.at)
        return Words(
            f"`,` or `{closing}` is missing before `{word}`",
            failure.at,
            len(word),
            help="separate items by commas; quote values that contain brackets, braces, commas or colons",
            related=(Related(failure.span(failure.since, 1), "opened here"),),
        )
    return Words(
        f"the bracket `{opening}` is never closed",
        failure.since,
        1,
        label="it opens here",
        help=f"close it with `{closing}`, or quote the value if it is text",
        related=(Related(failure.span(failure.at, 0), f"`{closing}` is missing before this place"),),
    )


def no_value(failure: Failure) -> Words:
    word = failure.word(failure.at)
    if word == ":":
        return colon_without_key(failure)
    return Words(f"`{word}` cannot start a value", failure.at, len(word), help="quote the value if it is text")


def bad_start(failure: Failure) -> Words:
    sign = failure.source.text[failure.at : failure.at + 1]
    return Words(
        "a value cannot start with a backtick" if sign == "`" else f"a value cannot start with `{sign}`",
        failure.at,
        1,
        label="this character is reserved in YAML",
        help="put the value in quotes",
    )


def key_here(failure: Failure) -> Words:
    return Words("a key (`?`) cannot start here", failure.at, 1, help=QUOTE_IT)


def escape(failure: Failure) -> Words:
    start = failure.source.text.rfind("\\", failure.since, failure.at + 1)
    start = failure.at if start < 0 else start
    found = re.compile(r"\\(?:x\w{0,2}|u\w{0,4}|U\w{0,8}|.)?").match(failure.source.text, start)
    escape = found.group() if found else "\\"
    return Words(
        f"`{escape}` is not an escape that YAML knows",
        start,
        len(escape),
        label="escapes are read inside double quotes",
        help="write `\\\\` for a backslash, or put the value in single quotes",
    )


def no_name(failure: Failure) -> Words:
    sign = failure.source.text[failure.since : failure.since + 1]
    return Words(
        f"`{sign}` needs a name right after it",
        failure.since,
        1,
        label="this starts an alias" if sign == "*" else "this starts an anchor",
        help="quote the value if it is text",
    )


def directive(failure: Failure) -> Words:
    start = failure.at - len(failure.line_before(failure.at))
    return Words(
        "this line is a directive that cannot be used",
        start,
        len(failure.line_after(start)),
        help="remove the line; only `%YAML 1.1` and `%YAML 1.2` have a meaning",
    )


def block_header(failure: Failure) -> Words:
    sign = failure.source.text[failure.since : failure.since + 1]
    text = failure.line_after(failure.since + 1)
    return Words(
        f"only `-`, `+` or a digit from 1 to 9 may follow `{sign}` on its line",
        failure.since + 1,
        len(text),
        help=f"start the text on the line after `{sign}`, or quote the value",
    )


def tag(failure: Failure) -> Words:
    word = failure.word(failure.since)
    return Words(
        f"`{word}` is a YAML tag, and tags are not allowed",
        failure.since,
        len(word),
        help="quote the value if it is text that starts with `!`",
        code="CL019",
    )
