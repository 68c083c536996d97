"""What the scalars of YAML mean, and where each of their characters is written in the file, for all five styles.

A scalar is read a second time, by the rules that its style has for escapes, folding and indentation, while noting where
each character came from. What comes out must equal the string that the YAML parser found.

Plain scalars mean what the core schema of YAML 1.2 says, with exact decimals and ISO dates. Where the older YAML 1.1
reads one differently, the author is warned, since other tools in the same repository may follow it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final, overload

from costlens_policy.diagnostics.model import Severity
from costlens_policy.frozen import frozen
from costlens_policy.source.located import Scalar

__all__ = ["Doubt", "Offsets", "offsets_of", "read_block", "resolve_plain"]

_FOLD = r"[ \t]*(?:\r\n?|\n)[ \t\r\n]*"
_LINE_END = re.compile(r"\r\n?|\n")
_PLAIN = re.compile(_FOLD)
_SINGLE = re.compile(rf"''|{_FOLD}")
_DOUBLE = re.compile(rf"\\(?:(?:\r\n?|\n)[ \t\r\n]*|x..|u.{{4}}|U.{{8}}|.)|{_FOLD}")
_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r",
    "e": "\x1b", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip


class Offsets(Sequence[int]):
    """File offsets of a string's characters and of its end. Worked out when first asked for."""

    __slots__ = ("_end", "_length", "_start", "_stretches", "_style", "_text", "_value")

    def __init__(self, text: str, start: int, end: int, value: str, style: str) -> None:
        """Take what ``offsets_of`` takes."""
        self._text, self._start, self._end, self._value, self._style = text, start, end, value, style
        self._length = len(value) + 1
        self._stretches: tuple[Sequence[int], Sequence[int]] | None = None

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[int, ...]: ...

    def __getitem__(self, index: int | slice) -> int | tuple[int, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(self._length)))
        if index < 0:
            index += self._length
        if not 0 <= index < self._length:
            raise IndexError(index)
        if self._stretches is None:
            self._stretches = self._read()
        values, files = self._stretches
        stretch = bisect_right(values, index) - 1
        return files[stretch] + index - values[stretch]

    def __repr__(self) -> str:
        return f"Offsets({list(self)})"

    def _read(self) -> tuple[Sequence[int], Sequence[int]]:
        trail = _trail(self._text, self._start, self._end, self._value, self._style)
        if trail is None or trail.value() != self._value:
            # Point at the whole scalar: never wrong, though not exact.
            return range(self._length), (*(self._start,) * (self._length - 1), self._end)
        return trail.stretches()


def offsets_of(text: str, start: int, end: int, value: str, style: str) -> Sequence[int]:
    """Return the file offset of each character of ``value``, then of its end.

    ``start`` and ``end`` enclose the scalar in ``text``, quotes and block header included. ``style`` is the
    character that opens it: ``'``, ``"``, ``|``, ``>``, or anything else for a plain scalar.
    """
    quote = 1 if style in ("'", '"') else 0
    first = start + quote
    if first + len(value) + quote == end and text.startswith(value, first):
        return range(first, first + len(value) + 1)
    return Offsets(text, start, end, value, style)


def _trail(text: str, start: int, end: int, value: str, style: str) -> Trail | None:
    if style in ("|", ">"):
        return read_block(text, start, end, value, folded=style == ">")
    quote = 1 if style in ("'", '"') else 0
    return _read_flow(text, start + quote, end - quote, style)


def _read_flow(text: str, start: int, end: int, style: str) -> Trail:
    pattern = {"'": _SINGLE, '"': _DOUBLE}.get(style, _PLAIN)
    trail = Trail(text)
    at = start
    for match in pattern.finditer(text, start, end):
        trail.copy(at, match.start())
        _read_special(trail, match)
        at = match.end()
    trail.copy(at, end)
    trail.finish(end)
    return trail


def _read_special(trail: Trail, match: re.Match[str]) -> None:
    found, start = match.group(), match.start()
    if found == "''":
        trail.write("'", start)
    elif found[0] != "\\":
        _fold(trail, found, start)
    elif found[1] in "\r\n":
        for line_end in list(_LINE_END.finditer(found))[1:]:
            trail.write("\n", start + line_end.start())
    elif found[1] in "xuU" and len(found) > 2:
        trail.write(chr(int(found[2:], 16)), start)
    else:
        trail.write(_ESCAPES.get(found[1], found[1]), start)


def _fold(trail: Trail, found: str, start: int) -> None:
    """One line end becomes a space; of several, each after the first stays."""
    ends = [start + match.start() for match in _LINE_END.finditer(found)]
    if len(ends) == 1:
        trail.write(" ", ends[0])
    for end in ends[1:]:
        trail.write("\n", end)


_HEADER = re.compile(r"[|>]([-+0-9]*)[^\r\n]*(?:\r\n?|\n|\Z)")
_DEEPEST_GUESS = 40
_LINE = re.compile(r"([^\r\n]*)(\r\n?|\n|\Z)")


@frozen
class _Line:
    start: int  # offset of its first character
    text: str
    line_end: int  # length of its line end; 0 where the file ends

    @property
    def spaces(self) -> int:
        return len(self.text) - len(self.text.lstrip(" "))


def read_block(text: str, start: int, end: int, value: str, *, folded: bool) -> Trail | None:
    """Return the scalar between two offsets with its trail, or None where it cannot be read as ``value``."""
    header = _HEADER.match(text, start)
    assert header is not None
    lines = _lines(text, header.end(), end)
    for indent in _indents(lines, value):
        trail = _Block(text, lines, indent, header.group(1), folded).read()
        if trail.value() == value:
            trail.finish(max(trail.last, header.end() if not value else 0))
            return trail
    return None


def _lines(text: str, start: int, end: int) -> list[_Line]:
    lines = []
    while start < end:
        match = _LINE.match(text, start, end)
        assert match is not None
        lines.append(_Line(start, match.group(1), len(match.group(2))))
        start = match.end()
    return lines


def _indents(lines: list[_Line], value: str) -> Iterator[int]:
    """Yield likely indentations: first the one at which the first words of text and value agree."""
    first = next((line for line in lines if line.text.strip(" ")), None)
    if first is not None:
        word = next((line for line in value.split("\n") if line.strip(" ")), "")
        yield first.spaces - (len(word) - len(word.lstrip(" ")))
    deepest = max((line.spaces for line in lines), default=0)
    yield deepest
    yield from range(min(deepest, _DEEPEST_GUESS))


class _Block:
    """One reading of a block scalar at a supposed indentation."""

    def __init__(self, text: str, lines: list[_Line], indent: int, indicators: str, folded: bool) -> None:
        self._lines, self._indent, self._indicators, self._folded = lines, indent, indicators, folded
        self._trail = Trail(text)
        self._at = 0

    def read(self) -> Trail:
        held: int | None = None  # the line end of the line before, until it is known what becomes of it
        blanks = self._blank_lines()
        was_indented = False
        while self._at < len(self._lines):
            line = self._lines[self._at]
            is_indented = line.text[self._indent : self._indent + 1] in (" ", "\t")
            self._join(held, blanks, kept=not self._folded or was_indented or is_indented)
            self._trail.copy(line.start + self._indent, line.start + len(line.text))
            held = line.start + len(line.text) if line.line_end else None
            was_indented = is_indented
            self._at += 1
            blanks = self._blank_lines()
        self._chomp(held, blanks)
        return self._trail

    def _join(self, held: int | None, blanks: list[int], *, kept: bool) -> None:
        if held is not None and kept:
            self._trail.write("\n", held)
        elif held is not None and not blanks:
            self._trail.write(" ", held)
        for blank in blanks:
            self._trail.write("\n", blank)

    def _chomp(self, held: int | None, blanks: list[int]) -> None:
        if held is not None and "-" not in self._indicators:
            self._trail.write("\n", held)
        if "+" in self._indicators:
            for blank in blanks:
                self._trail.write("\n", blank)

    def _blank_lines(self) -> list[int]:
        """Pass over lines that hold nothing beyond the indentation; return where their line ends are."""
        found = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.spaces < len(line.text) or len(line.text) > self._indent:
                break
            if line.line_end:
                found.append(line.start + len(line.text))
            self._at += 1
        return found


class Trail:
    """Characters are added in order, either copied from the text or standing for something else in it."""

    __slots__ = ("_files", "_length", "_pieces", "_text", "_values", "last")

    def __init__(self, text: str) -> None:
        self._text = text
        self._pieces: list[str] = []
        self._values: list[int] = []
        self._files: list[int] = []
        self._length = 0
        self.last = 0
        """Offset after the last character, or of the line end that the last character stands for."""

    def copy(self, start: int, end: int) -> None:
        """Add the characters between two offsets of the text."""
        if start < end:
            self._note(start)
            self._pieces.append(self._text[start:end])
            self._length += end - start
            self.last = end

    def write(self, character: str, offset: int) -> None:
        """Add a character that an escape, a doubled quote or a line end at ``offset`` stands for."""
        self._note(offset)
        self._pieces.append(character)
        self._length += 1
        self.last = offset

    def finish(self, offset: int) -> None:
        """Note where the string ends."""
        self._note(offset)

    def value(self) -> str:
        return "".join(self._pieces)

    def stretches(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return where each stretch starts, in the string and in the text; offsets advance in step within one."""
        return tuple(self._values), tuple(self._files)

    def _note(self, offset: int) -> None:
        if self._values and offset - self._files[-1] == self._length - self._values[-1]:
            return
        self._values.append(self._length)
        self._files.append(offset)


_MOST_DIGITS: Final = 60
_MOST_EXPONENT: Final = 300

_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TRUTH_WORDS: Final = {"y": "true", "yes": "true", "on": "true", "n": "false", "no": "false", "off": "false"}

_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_PREFIXED: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_DECIMAL: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE]([-+]?[0-9]+))?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME: Final = re.compile(
    rf"{_DATE.pattern}(?:[Tt]| +)[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]+)?(?:Z|[-+][0-9]{{2}}(?::?[0-9]{{2}})?)?"
)
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_OCTAL: Final = re.compile(r"[-+]?0[0-9]+")
_SEXAGESIMAL: Final = re.compile(r"[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?")
_UNDERSCORED: Final = re.compile(
    r"[-+]?(?:0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+|[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*)"
)


@frozen
class Doubt:
    """What is questionable about a plain scalar; the caller knows its place."""

    code: str
    severity: Severity
    message: str
    label: str
    help: str

    def is_about_number(self) -> bool:
        """Return whether the scalar might be a number or date, not a boolean."""
        return self.severity is Severity.ERROR


def resolve_plain(text: str) -> tuple[Scalar, Doubt | None]:
    """Return the value of a plain scalar, and a doubt about it; under a doubt the value is the text."""
    if text in _WORDS:
        return _WORDS[text], None
    if text[0] in "-+.0123456789":
        return _number_or_time(text)
    if text.lower() in _TRUTH_WORDS:
        return text, _boolean_word(text)
    return text, None


def _number_or_time(text: str) -> tuple[Scalar, Doubt | None]:
    if _OCTAL.fullmatch(text):
        return text, _ambiguous(text, f"write `{_stripped(text)}`, or quote it if it is text")
    if match := _DECIMAL.fullmatch(text):
        return _number(text, match.group(1))
    if _PREFIXED.fullmatch(text):
        return (int(text, 0), None) if len(text) <= _MOST_DIGITS else (text, _out_of_range(text))
    if _DATE.fullmatch(text) or _TIME.fullmatch(text):
        return _timestamp(text)
    if _NOT_FINITE.fullmatch(text):
        return text, _not_finite(text)
    if _SEXAGESIMAL.fullmatch(text):
        return text, _ambiguous(text, "quote it")
    if _UNDERSCORED.fullmatch(text):
        return text, _ambiguous(text, "write it without underscores and in decimal, or quote it if it is text")
    return text, None


def _number(text: str, exponent: str | None) -> tuple[Scalar, Doubt | None]:
    if len(text) > _MOST_DIGITS or (exponent and abs(int(exponent)) > _MOST_EXPONENT):
        return text, _out_of_range(text)
    return (int(text) if _INTEGER.fullmatch(text) else Decimal(text)), None


def _timestamp(text: str) -> tuple[Scalar, Doubt | None]:
    try:
        if len(text) == len("2026-01-31"):
            return date.fromisoformat(text), None
        day, time = text[:10], text[10:].lstrip("Tt ")
        return datetime.fromisoformat(f"{day}T{time}"), None
    except ValueError as error:
        return text, Doubt(
            "CL017",
            Severity.ERROR,
            f"`{text}` is not a valid date",
            str(error),
            "correct it, or quote it if it is text",
        )


def _boolean_word(text: str) -> Doubt:
    meaning = _TRUTH_WORDS[text.lower()]
    return Doubt(
        "CL014",
        Severity.WARNING,
        f"`{text}` is text here, but other YAML readers take it for `{meaning}`",
        "neither quoted nor `true` or `false`",
        f'write `{meaning}`, or `"{text}"` if it is text',
    )


def _ambiguous(text: str, advice: str) -> Doubt:
    return Doubt(
        "CL015",
        Severity.ERROR,
        f"`{text}` is a number to some YAML readers and something else to others",
        "neither clearly a number nor clearly text",
        advice,
    )


def _not_finite(text: str) -> Doubt:
    return Doubt(
        "CL016",
        Severity.ERROR,
        f"`{text}` is not a finite number",
        "not a valid amount or limit",
        "leave the key out if there is no limit, or quote it if it is text",
    )


def _out_of_range(text: str) -> Doubt:
    shown = text if len(text) <= 24 else f"{text[:20]}…"
    return Doubt(
        "CL016",
        Severity.ERROR,
        f"the number `{shown}` is out of range",
        f"at most {_MOST_DIGITS} characters and exponents from -{_MOST_EXPONENT} to {_MOST_EXPONENT}",
        "write a smaller number, or quote it if it is text",
    )


def _stripped(text: str) -> str:
    sign = text[0] if text[0] in "-+" else ""
    return sign + (text.lstrip("-+").lstrip("0") or "0")
