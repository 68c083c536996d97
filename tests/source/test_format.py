"""Laying out files: what changes, what stays, and that nothing is lost."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from costlens_policy.diagnostics.model import PolicyError
from costlens_policy.source.compose import compose
from costlens_policy.source.formatting import format_text
from costlens_policy.source.read import read_source, source_of

_ROOT = Path(__file__).resolve().parents[2]


def _composes(text: str) -> bool:
    return not any(item.is_error for item in compose(source_of(text)).diagnostics)


def _documents(text: str) -> list[str]:
    plain = [document.root.to_plain() for document in compose(source_of(text)).documents]
    return [repr(sorted(item.items()) if isinstance(item, dict) else item) for item in plain]


def _check(text: str) -> str:
    formatted = format_text(text)
    assert _documents(formatted) == _documents(text)
    assert format_text(formatted) == formatted
    assert formatted.endswith("\n")
    assert _comments(formatted) == _comments(text)
    return formatted


def _comments(text: str) -> list[str]:
    return sorted(line.strip() for line in text.splitlines() if line.strip().startswith("#"))


def _formatted(text: str) -> str:
    return _check(dedent(text).lstrip("\n"))


_FRAGMENTS = st.sampled_from(
    ["a: ", "b:", "- ", "-   ", "\n", "\n  ", "\n    ", "\n\n", "x", "'y'", '"z"', "[1,", "]", "{c: 1}", ",", "&x ",
     "*x", "|\n", ">-\n", "|2+\n", "|+", " # c", "\n# d\n", "😀: ", "---\n", "...\n", "1.10", "\r\n", "d :  e\n",
     "'\n\n q'",
     "? ", "\\ \n", '"p\\ \n  q"', "kind: K\n", "apiVersion: v\n", "metadata:\n", "    ", "  ", "\n      ", "t"]
)  # fmt: skip


@settings(max_examples=400)
@given(st.lists(_FRAGMENTS, max_size=20).map("".join))
@example("a: |+\n\n\n\nb: 1\n")
@example("a: |\n  x")
@example("a: |+\n  x\n  ")
@example('- "p\\ \n  q"')
def test_whatever_composes_can_be_laid_out(text: str) -> None:
    assume(_composes(text))
    _check(text)


_SCALARS = st.sampled_from(
    ["plain text", "1.10", "'it''s'", '"a \\" b"', "[1, {x: y}]", "{a: [b]}", "[\n{i}  1, # one\n{i}  2\n{i}]",
     "|\n{i}   a\n{i}     b\n\n{i}   c", ">-\n{i} a\n{i} b", "|2+\n{i}   a\n\n", "request.a &&\n{i}    request.b",
     '"long \\\n{i}  line"', "~", "2026-11-01T00:00:00Z", "|-  # note\n{i} x", "&n{n} anchored"]
)  # fmt: skip


@st.composite
def _nodes(draw: st.DrawFn, indent: int = 0, depth: int = 3) -> list[str]:
    """Lines of a mapping or sequence at an indentation, written as carelessly as YAML allows."""
    is_sequence = draw(st.booleans())
    lines: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        if draw(st.integers(0, 4)) == 0:
            lines.append(" " * draw(st.sampled_from([0, indent, indent])) + f"# note {number}")
        lines += [""] * draw(st.sampled_from([0, 0, 0, 1, 3]))
        start = "-" + " " * draw(st.integers(1, 3)) if is_sequence else f"k{number}:" + " " * draw(st.integers(1, 3))
        if depth and draw(st.booleans()):
            lines += draw(_children(indent, depth, start, is_sequence))
        else:
            scalar = draw(_SCALARS).replace("{i}", " " * (indent + 1)).replace("{n}", str(draw(st.integers(0, 10**9))))
            lines.append(" " * indent + start + scalar)
    return lines


@st.composite
def _children(draw: st.DrawFn, indent: int, depth: int, start: str, is_sequence: bool) -> list[str]:
    if is_sequence and draw(st.booleans()):
        inner = draw(_nodes(indent + len(start), depth - 1))
        first = next(number for number, line in enumerate(inner) if line.strip() and not line.strip().startswith("#"))
        return [*inner[:first], " " * indent + start + inner[first].lstrip(), *inner[first + 1 :]]
    return [" " * indent + start.rstrip(), *draw(_nodes(indent + draw(st.integers(1, 5)), depth - 1))]


@settings(max_examples=200)
@given(_nodes(), st.sampled_from(["\n", "\r\n"]))
def test_careless_documents(lines: list[str], line_end: str) -> None:
    text = line_end.join(lines) + line_end
    assume(_composes(text))
    formatted = _check(text)
    assert "\r" not in formatted
    assert "\n\n\n" not in formatted or "+" in text


def test_indentation_lists_and_spaces() -> None:
    assert _formatted(
        """
        rules:
        -   id:   a
            deep:
                  key : 1   # note
        -
            id: b
            list:
            -  - x
               - y
        """
    ) == dedent(
        """\
        rules:
          - id: a
            deep:
              key: 1   # note
          -
            id: b
            list:
              - - x
                - y
        """
    )


def test_the_head_comes_first_with_its_comments() -> None:
    assert _formatted(
        """
        # yaml-language-server: $schema=policy.json
        metadata: {name: a}
        # which rules
        access:
          - id: a
        # what it is
        kind: Policy


        apiVersion: costlens-policy/v1
        # the end
        """
    ) == dedent(
        """\
        # yaml-language-server: $schema=policy.json
        apiVersion: costlens-policy/v1
        # what it is
        kind: Policy
        metadata: {name: a}

        # which rules
        access:
          - id: a
        # the end
        """
    )


def test_one_empty_line_between_sections() -> None:
    assert _formatted("a:\n  b: 1\nc: 1\nd: 2\n\n\n\ne:\n- f\n\n\n\n- g\n\n\n") == (
        "a:\n  b: 1\n\nc: 1\nd: 2\n\ne:\n  - f\n\n  - g\n"
    )


def test_comments_stay_with_what_they_are_aligned_with() -> None:
    assert _formatted(
        """
        access:
        # first
        -   id: a
            # inside a
            when: |
                  x
            # after the text
        # between
        -   id: b
            # end of b
        # end of access

        routes: []
        """
    ) == dedent(
        """\
        access:
          # first
          - id: a
            # inside a
            when: |
              x
            # after the text
          # between
          - id: b
            # end of b

        # end of access

        routes: []
        """
    )


def test_texts_keep_every_character() -> None:
    text = "a:\n    b: |2\n          code\n        more  \n    c: >+\n      folded\n       x\n\n\nd: 'q\n\n  r'\n"
    assert _check(text) == "a:\n  b: |2\n        code\n      more  \n  c: >+\n    folded\n     x\n\n\nd: 'q\n\n  r'\n"


def test_a_long_expression_is_not_wrapped() -> None:
    text = "when: " + " && ".join(f'request.team == "t{n}"' for n in range(100)) + "\n"
    assert _check(text) == text


@pytest.mark.parametrize("text", ["a: |\n  x", "a: |+\n  x", "a: |-\n  x"])
def test_a_text_without_line_end_stays_so(text: str) -> None:
    assert _check(text) == "a: |-\n  x\n"


def test_an_alias_is_not_moved_above_its_anchor() -> None:
    text = "labels: &x {a: b}\n\nmetadata:\n  labels: *x\n"
    assert _check(text) == text


def test_several_documents() -> None:
    assert _check("kind: A\napiVersion: v\n---\n\n\nkind: B\napiVersion: v\n...\n") == (
        "apiVersion: v\nkind: A\n---\n\napiVersion: v\nkind: B\n...\n"
    )


@pytest.mark.parametrize("text", ["a: [\n", "a: 1\na: 2\n", "", "a: 010\n"])
def test_a_file_with_errors_is_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        format_text(text)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=str(path.relative_to(_ROOT)))
        for folder in ("policies", "examples", "costlens_policy")
        for path in sorted((_ROOT / folder).rglob("*.yaml"))
    ],
)
def test_our_own_documents_are_laid_out(path: Path) -> None:
    source = read_source(path)
    assert format_text(source.text) == source.text
