"""Edits remove one thing and leave every other character as it was, or are not offered."""

from __future__ import annotations

import pytest

from costlens_policy.source.compose import compose
from costlens_policy.source.edits import apply_edits, replacing_part, without_value
from costlens_policy.source.located import LocatedDocument
from costlens_policy.source.read import source_of


def _located(text: str) -> LocatedDocument:
    source = source_of(text, "a.yaml")
    [document] = compose(source).documents
    return document


BLOCK = """\
a:
  # one
  - id: x # first
    b: 1

  # two
  - id: y
    b: >
      folded
      text
  # three
  - id: z
c: 1
"""


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        (BLOCK, ("a", 1), BLOCK.replace("  - id: y\n    b: >\n      folded\n      text\n", "")),
        (BLOCK, ("a", 0), BLOCK.replace("  - id: x # first\n    b: 1\n", "")),
        (BLOCK, ("a", 2), BLOCK.replace("  - id: z\n", "")),
        (BLOCK, ("a", 1, "b"), BLOCK.replace("    b: >\n      folded\n      text\n", "")),
        (BLOCK, ("c",), BLOCK.replace("c: 1\n", "")),
        ("a: [x, {b: 1}, z]\n", ("a", 1), "a: [x, z]\n"),
        ("a: [x, {b: 1}, z]\n", ("a", 2), "a: [x, {b: 1}]\n"),
        ("a: {b: 1, c: 2}\n", ("a", "b"), "a: {c: 2}\n"),
        ("a:\n- x\n- y", ("a", 1), "a:\n- x\n"),
        ("a: [x]\n", ("a", 0), None),
        ("a: &one [x, y]\nb: *one\n", ("a", 0), None),
    ],
)
def test_one_value_is_removed(text: str, path: tuple[str | int, ...], expected: str | None) -> None:
    edit = without_value(_located(text), path)
    assert (None if edit is None else apply_edits(text, [edit])) == (None if expected is None else (expected, 1))


_IGNORED = """\
a:
  # costlens-policy: ignore[CL413] the first one is kept
  - id: x
    b: 1
  # above both
  # costlens-policy: ignore[CL432] as the law asks
  # costlens-policy: ignore[CL435] no image is sent
  - id: y
  - id: z
"""


def test_comments_that_suppress_what_a_value_holds_go_with_it() -> None:
    """They would speak of what comes after it, and hide what is found there."""
    edit = without_value(_located(_IGNORED), ("a", 1))
    assert edit is not None
    left, _ = apply_edits(_IGNORED, [edit])
    assert left == _IGNORED[: _IGNORED.index("  # costlens-policy: ignore[CL432]")] + "  - id: z\n"
    apart = _IGNORED.replace("  # costlens-policy: ignore[CL435]", "  # why\n  # costlens-policy: ignore[CL435]")
    assert without_value(_located(apart), ("a", 1)) is None, "what stands between is to stay"


@pytest.mark.parametrize("text", ["a: b && c # d\n", "a: 'b && c'\n", "a: >-\n  b\n  && c\n", 'a: "b \\u0026& c"\n'])
def test_a_part_of_a_string_is_replaced_in_any_style(text: str) -> None:
    edit = replacing_part(_located(text), ("a",), 1, 6, "")
    assert edit is not None
    changed, made = apply_edits(text, [edit])
    assert made == 1
    assert compose(source_of(changed, "a.yaml")).documents[0].root.to_plain() == {"a": "b"}


def test_of_two_that_overlap_the_first_is_made() -> None:
    text = "a: [x, y, z]\n"
    edits = [without_value(_located(text), ("a", at)) for at in (0, 1)]
    changed, made = apply_edits(text, [edit for edit in edits if edit is not None])
    assert (changed, made) == ("a: [z]\n", 2)
