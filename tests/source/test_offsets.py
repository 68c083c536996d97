"""Each character of a string leads back to the place in the file that it was written at."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from costlens_policy.source.compose import compose
from costlens_policy.source.located import LocatedValue
from costlens_policy.source.read import source_of
from tests.source.styles import LINE_ENDS, WORDS, first_value, parsed

_ESCAPED = {
    "n": "\n", "t": "\t", "0": "\0", "a": "\a", "b": "\b", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b",
    "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029", "\t": "\t",
}  # fmt: skip


def _located(text: str) -> LocatedValue:
    value = first_value(text)
    assume(value is not None)
    assert value is not None
    return value


def _check(text: str, value: LocatedValue) -> None:
    """Every character is written at its offset, or an escape, doubled quote or line end there stands for it."""
    assert isinstance(value.content, str)
    assert value.content == parsed(text)
    offsets = value.offsets
    assert offsets is not None
    assert len(offsets) == len(value.content) + 1
    assert list(offsets) == sorted(offsets)
    assert len(set(offsets[:-1])) == len(value.content), "no two characters share a place"
    written_at = _escaped_at if text[value.span.start.offset] == '"' else _written_at
    for character, offset in zip(value.content, offsets, strict=False):
        assert value.span.start.offset <= offset < len(text)
        assert character in written_at(text, offset), (text, value.content, offset)


def _written_at(text: str, offset: int) -> tuple[str, ...]:
    return (" ", "\n") if text[offset] in "\r\n" else (text[offset],)


def _escaped_at(text: str, offset: int) -> tuple[str, ...]:
    if text[offset] != "\\":
        return _written_at(text, offset)
    match = re.compile(r"\\(?:x(..)|u(.{4})|U(.{8})|(.)|(?=[\r\n]))").match(text, offset)
    assert match is not None
    digits = match[1] or match[2] or match[3]
    return (chr(int(digits, 16)) if digits else _ESCAPED.get(match[4], match[4]),)


@given(st.lists(WORDS, min_size=1, max_size=5), LINE_ENDS, st.sampled_from(["k: ", "k:   ", "😀: "]))
@example(["a", "", "b"], "\n", "k: ")
@example(["a  ", "", "", "  b"], "\r\n", "k: ")
def test_plain_scalars(lines: list[str], line_end: str, key: str) -> None:
    text = key + (line_end + "  ").join(lines) + line_end
    _check(text, _located(text))


@given(st.lists(WORDS, min_size=1, max_size=5), LINE_ENDS)
@example(["it's", "", " 'x' "], "\n")
def test_single_quoted_scalars(lines: list[str], line_end: str) -> None:
    text = "k: '" + (line_end + "  ").join(line.replace("'", "''") for line in lines) + "'" + line_end
    value = _located(text)
    _check(text, value)
    assert value.offsets is not None
    assert text[value.offsets[-1]] == "'"


_PIECES = st.sampled_from(
    [r"\n", r"\t", r"\"", r"\\", r"\x41", r"\u6f22", r"\U0001F600", r"\0", r"\N", r"\_", r"\/", "\\\n  ", "\\\n\n "]
)  # fmt: skip


@given(st.lists(_PIECES | st.text(st.sampled_from("ab '😀漢\t\n#:"), max_size=6), max_size=8))
@example(["a  ", "\\\n\n ", "b"])
def test_double_quoted_scalars(pieces: list[str]) -> None:
    text = 'k: "' + "".join(pieces).replace("\n", "\n ") + '"\n'
    value = _located(text)
    _check(text, value)
    assert value.offsets is not None
    assert text[value.offsets[-1]] == '"'


_BLOCK_LINES = st.lists(st.text(st.sampled_from("ab #'\"\\:😀漢\t "), max_size=8), min_size=1, max_size=6)


@settings(max_examples=400)
@given(
    st.sampled_from("|>"),
    st.sampled_from(["", "-", "+", "2", "2-", "+2"]),
    _BLOCK_LINES,
    LINE_ENDS,
    st.sampled_from(["", "\n", "\n\n", "\nz: 1\n", "\n\n\nz: 1\n", "\n# note\nz: 1\n"]),
)
@example(">", "", ["a", "b", "", "c", "  d", "e"], "\n", "\n")
@example(">", "2", ["   ", "a"], "\n", "\n")
@example("|", "2-", ["  a", " b"], "\n", "")
@example("|", "+", ["", ""], "\n", "\nz: 1\n")
def test_block_scalars(style: str, header: str, lines: list[str], line_end: str, after: str) -> None:
    text = f"k: {style}{header} # note{line_end}  " + (line_end + "  ").join(lines) + after
    _check(text, _located(text))


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("when: a == b\n", "a == b"),
        ("when: 'a == ''b'''\n", "a == 'b'"),
        ('when: "a == \\"b\\""\n', 'a == "b"'),
        ("when: |\n  a &&\n  b\n", "a &&\nb\n"),
        ("when: >-\n  a &&\n  b\n", "a && b"),
        ("when: a &&\n  b\n", "a && b"),
        ("w:\n- when: |2\n      a\n    b\n", "  a\nb\n"),
    ],
)
def test_the_last_name_of_an_expression_is_found(text: str, expression: str) -> None:
    (document,) = compose(source_of(text)).documents
    value = document.root.find(("when",)) or document.root.find(("w", 0, "when"))
    assert value is not None
    assert value.offsets is not None
    assert value.content == expression
    assert text[value.offsets[expression.rindex("b")]] == "b"
