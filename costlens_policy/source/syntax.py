"""Explain in plain words why text is not valid YAML, at the place to change."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import yaml

from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.frozen import frozen
from costlens_policy.source.located import SourceText, position_at, span_between

__all__ = ["syntax_problem"]

_QUOTE_IT: Final = "put the whole value in quotes, or on separate lines after `|`"


@frozen
class _Failure:
    """The error of the parser, from either of PyYAML's parsers, in C or in Python."""

    source: SourceText
    problem: str
    context: str
    at: int  # offset of the problem
    since: int  # offset of what was being read

    def word(self, offset: int) -> str:
        found = re.compile(r"[^\s,\[\]{}]+|.").match(self.source.text, offset)
        return found.group() if found else ""

    def line_before(self, offset: int) -> str:
        return self.source.text[self._line_start(offset) : offset]

    def line_after(self, offset: int) -> str:
        found = re.compile(r"[^\r\n]*").match(self.source.text, offset)
        return found.group().rstrip() if found else ""

    def previous_line(self, offset: int) -> tuple[int, str]:
        """Return the nearest line above that is not blank, with its offset; an empty one where none is."""
        number = position_at(self.source, offset).line - 1
        while number > 0:
            start = self.source.line_starts[number - 1]
            if self.line_after(start).strip():
                return start, self.line_after(start)
            number -= 1
        return 0, ""

    def column(self, offset: int) -> int:
        return position_at(self.source, offset).column

    def same_line(self) -> bool:
        return self._line_start(self.at) == self._line_start(self.since)

    def span(self, start: int, length: int) -> Span:
        return span_between(self.source, start, start + length)

    def _line_start(self, offset: int) -> int:
        return self.source.line_starts[position_at(self.source, offset).line - 1]


@frozen
class _Words:
    """The parts of a diagnostic, with its place as offset and length."""

    message: str
    start: int
    length: int
    label: str = ""
    help: str = ""
    related: tuple[Related, ...] = ()
    code: str = "CL005"


def syntax_problem(source: SourceText, error: yaml.YAMLError) -> Diagnostic:
    """Return the diagnostic (CL005, CL006 for tabs, CL019 for tags) for an error of the YAML parser."""
    failure = _failure(source, error)
    words = _tab(failure) or _explained(failure) or _unexplained(failure)
    return Diagnostic(
        words.code,
        Severity.ERROR,
        words.message,
        failure.span(words.start, words.length),
        label=words.label,
        help=words.help,
        related=words.related,
    )


def _failure(source: SourceText, error: yaml.YAMLError) -> _Failure:
    used = len(source.text.rstrip())
    problem, context = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    at = min(problem.index, used) if problem else used
    since = min(context.index, used) if context else at
    problem, doing = getattr(error, "problem", None), getattr(error, "context", None)
    return _Failure(source, problem or str(error), doing or "", at, since)


def _explained(failure: _Failure) -> _Words | None:
    for pattern, explain in _EXPLANATIONS:
        if pattern.search(failure.problem):
            return explain(failure)
    return None


def _unexplained(failure: _Failure) -> _Words:
    return _Words(f"this is not valid YAML: {failure.problem}", failure.at, 1, help="check the lines around this place")


def _tab(failure: _Failure) -> _Words | None:
    before = failure.line_before(failure.at)
    blank = before + "\t" if failure.source.text.startswith("\t", failure.at) else before
    indent = blank[: len(blank) - len(blank.lstrip(" \t"))]
    if "\t" not in indent:
        return None
    start = failure.at - len(before) + indent.index("\t")
    return _Words(
        "this line is indented with a tab",
        start,
        1,
        label="tab",
        help="indent with spaces; YAML does not allow tabs here",
        code="CL006",
    )


def _second_colon(failure: _Failure) -> _Words | None:
    before = failure.line_before(failure.at)
    if key := re.match(r"\s*(?:-\s+)*([^\s:'\"\[{][^:]*?)\s*:\s", before):
        return _Words(
            f"the value of `{key.group(1)}` contains a colon followed by a space, which starts a new key",
            failure.at,
            1,
            label="this colon",
            help=_QUOTE_IT,
        )
    if len(before) > 1000:
        return _Words("a key is longer than 1,000 characters", failure.at, 1, label="the key ends here")
    return _glued(failure) or _too_deep(failure, before)


def _glued(failure: _Failure) -> _Words | None:
    """The line above lacks the space that makes it a key or an item."""
    start, line = failure.previous_line(failure.at)
    if key := re.match(r"\s*(?:-\s+)*([\w.-]+:)(?=\S)", line):
        return _Words(
            f"there is no space after `{key.group(1)}`",
            start + key.end() - 1,
            1,
            label="without a space this is text, not a key",
            help="put a space after the colon",
        )
    if item := re.match(r"\s*-(?=\w)", line):
        return _Words(
            "there is no space after `-`",
            start + item.end() - 1,
            1,
            label="without a space this is text, not an item",
            help="put a space after the dash",
        )
    return None


def _too_deep(failure: _Failure, before: str) -> _Words:
    key = before.strip()
    return _Words(
        f"the key `{key}` cannot start here, since the line above already has a value",
        failure.at - len(before.lstrip()),
        len(before.lstrip()),
        label="this line continues the value above",
        help="give keys of one mapping the same indentation",
    )


def _no_colon(failure: _Failure) -> _Words:
    text = failure.line_after(failure.since)
    return _Words(
        f"there is no colon after `{text}`",
        failure.since,
        len(text),
        label="a key with its value was expected",
        help="write `key: value`; indent the line if it continues the text above",
    )


def _no_key(failure: _Failure) -> _Words:
    before, word = failure.line_before(failure.at).strip(), failure.word(failure.at)
    if word == ":":
        return _colon_without_key(failure)
    if before and not before.endswith(("-", "?", ":")):
        return _trailing_text(failure, before)
    if word == "-":
        return _misplaced(failure, "expected a key, got an item (`-`)", "the mapping starts here")
    return _misplaced(failure, "the indentation of this line matches no line above", "the mapping starts here")


def _trailing_text(failure: _Failure, before: str) -> _Words:
    text = failure.line_after(failure.at)
    if text[:1] in ("]", "}"):
        return _Words(f"unmatched bracket `{text[:1]}`", failure.at, 1, help="remove it")
    return _Words(
        f"text follows after the closing `{before[-1]}`",
        failure.at,
        len(text),
        label="the value ended before this",
        help=_QUOTE_IT,
    )


def _no_item(failure: _Failure) -> _Words:
    if failure.column(failure.at) == failure.column(failure.since):
        return _misplaced(failure, "expected an item (`-`), got a key", "the list starts here")
    return _misplaced(failure, "the indentation of this line matches no line above", "the list starts here")


def _misplaced(failure: _Failure, message: str, label: str) -> _Words:
    column, wanted = failure.column(failure.at), failure.column(failure.since)
    advice = (
        f"it starts in column {column}; start it in column {wanted}, or as deep as the lines above it"
        if column != wanted
        else "indent the items of a list and the keys of a mapping differently"
    )
    return _Words(
        message,
        failure.at,
        len(failure.word(failure.at)),
        help=advice,
        related=(Related(failure.span(failure.since, len(failure.word(failure.since))), label),),
    )


def _item_here(failure: _Failure) -> _Words:
    return _Words("an item (`-`) cannot start here", failure.at, 1, help="start the list on a new line")


def _next_document(failure: _Failure) -> _Words:
    text = failure.line_after(failure.at)
    return _Words(
        "the document ended before this",
        failure.at,
        len(text),
        label="this does not belong to the value above",
        help="indent it if it does, or put `---` before it if it starts another document",
    )


def _colon_without_key(failure: _Failure) -> _Words:
    return _Words(
        "a key is missing before the colon",
        failure.at,
        1,
        label="keys must be text",
        help="write a key before the colon",
        code="CL018",
    )


def _open_quote(failure: _Failure) -> _Words:
    quote = failure.source.text[failure.since : failure.since + 1]
    return _Words(
        f"the quote `{quote}` is never closed",
        failure.since,
        1,
        label="it opens here",
        help=f"close it with `{quote}`, or begin the value without it",
    )


def _open_bracket(failure: _Failure) -> _Words:
    opening = failure.source.text[failure.since : failure.since + 1]
    closing = {"[": "]", "{": "}"}.get(opening, "]")
    if failure.same_line() and failure.word(failure.at):
        word = failure.word(failure.at)
        return _Words(
            f"`,` or `{closing}` is missing before `{word}`",
            failure.at,
            len(word),
            help="separate items by commas; quote values that contain brackets, braces, commas or colons",
            related=(Related(failure.span(failure.since, 1), "opened here"),),
        )
    return _Words(
        f"the bracket `{opening}` is never closed",
        failure.since,
        1,
        label="it opens here",
        help=f"close it with `{closing}`, or quote the value if it is text",
        related=(Related(failure.span(failure.at, 0), f"`{closing}` is missing before this place"),),
    )


def _no_value(failure: _Failure) -> _Words:
    word = failure.word(failure.at)
    if word == ":":
        return _colon_without_key(failure)
    return _Words(f"`{word}` cannot start a value", failure.at, len(word), help="quote the value if it is text")


def _bad_start(failure: _Failure) -> _Words:
    sign = failure.source.text[failure.at : failure.at + 1]
    return _Words(
        "a value cannot start with a backtick" if sign == "`" else f"a value cannot start with `{sign}`",
        failure.at,
        1,
        label="this character is reserved in YAML",
        help="put the value in quotes",
    )


def _key_here(failure: _Failure) -> _Words:
    return _Words("a key (`?`) cannot start here", failure.at, 1, help=_QUOTE_IT)


def _escape(failure: _Failure) -> _Words:
    start = failure.source.text.rfind("\\", failure.since, failure.at + 1)
    start = failure.at if start < 0 else start
    found = re.compile(r"\\(?:x\w{0,2}|u\w{0,4}|U\w{0,8}|.)?").match(failure.source.text, start)
    escape = found.group() if found else "\\"
    return _Words(
        f"`{escape}` is not a YAML escape",
        start,
        len(escape),
        label="escapes are read inside double quotes",
        help="write `\\\\` for a backslash, or put the value in single quotes",
    )


def _no_name(failure: _Failure) -> _Words:
    sign = failure.source.text[failure.since : failure.since + 1]
    return _Words(
        f"`{sign}` needs a name right after it",
        failure.since,
        1,
        label="this starts an alias" if sign == "*" else "this starts an anchor",
        help="quote the value if it is text",
    )


def _directive(failure: _Failure) -> _Words:
    start = failure.at - len(failure.line_before(failure.at))
    return _Words(
        "unsupported YAML directive",
        start,
        len(failure.line_after(start)),
        help="remove the line; only `%YAML 1.1` and `%YAML 1.2` are supported",
    )


def _block_header(failure: _Failure) -> _Words:
    sign = failure.source.text[failure.since : failure.since + 1]
    text = failure.line_after(failure.since + 1)
    return _Words(
        f"only `-`, `+` or a digit from 1 to 9 may follow `{sign}` on its line",
        failure.since + 1,
        len(text),
        help=f"start the text on the line after `{sign}`, or quote the value",
    )


def _tag(failure: _Failure) -> _Words:
    word = failure.word(failure.since)
    return _Words(
        f"`{word}` is a YAML tag, and tags are not allowed",
        failure.since,
        len(word),
        help="quote the value if it is text that starts with `!`",
        code="CL019",
    )


_Explanation = Callable[[_Failure], _Words | None]

_EXPLANATIONS: Final[tuple[tuple[re.Pattern[str], _Explanation], ...]] = tuple(
    (re.compile(pattern), explain)
    for pattern, explain in (
        ("mapping values are not allowed", _second_colon),
        ("could not find expected ':'", _no_colon),
        ("found unexpected (end of stream|document)", _open_quote),
        (r"expected ',' or '[\]}]'", _open_bracket),
        ("expected (the )?node content", _no_value),
        ("cannot start any token", _bad_start),
        ("sequence entries are not allowed", _item_here),
        ("mapping keys are not allowed", _key_here),
        ("escape|hexdecimal", _escape),
        ("directive|incompatible YAML", _directive),
        ("<document start>", _next_document),
        ("indentation indicator|comment or (a )?line break", _block_header),
        ("tag|'>'|'!'|URI", _tag),
        ("alphabetic or numeric", _no_name),
        ("expected key", _no_key),
        ("'-' indicator", _no_item),
        (
            "<block end>",
            lambda failure: (_no_item if "collection" in failure.context else _no_key)(failure),
        ),
    )
)
