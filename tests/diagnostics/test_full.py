"""The format for people."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.diagnostics.model import Diagnostic, Position, Severity, Span
from costlens_policy.diagnostics.render import render
from costlens_policy.diagnostics.text import printable, width
from tests.diagnostics.places import problem, related


def _full(text: str, *items: Diagnostic, color: bool = False, **others: str) -> str:
    files = {"policies/premium.yaml": text, **{name.replace("_", "."): other for name, other in others.items()}}
    return render(items, "full", lambda name: files[name].split("\n") if name in files else None, color=color)


def _expected(text: str) -> str:
    return dedent(text).lstrip("\n")


def test_one_place() -> None:
    text = "\n" * 13 + '    when: request.modle == "gpt-5"\n'
    item = problem(text, "modle", "`request` has no attribute `modle`", help="did you mean `model`?")
    assert _full(text, item) == _expected(
        """
        error[CL302]: unknown variable `modle`
          --> policies/premium.yaml:14:19
           |
        14 |     when: request.modle == "gpt-5"
           |                   ^^^^^ `request` has no attribute `modle`
           = help: did you mean `model`?
        """
    )


def test_related_places_in_the_same_and_in_other_files() -> None:
    text = "id: a\nx: 1\ny: 2\nz: 3\nmodle: b\n"
    other = "model: c\n"
    more = (related(text, "id", "first"), related(other, "c", "declared here", "b.yaml"))
    assert _full(text, problem(text, "modle", "again", more=more), b_yaml=other) == _expected(
        """
        error[CL302]: unknown variable `modle`
         --> policies/premium.yaml:5:1
          |
        1 | id: a
          | -- first
        ...
        5 | modle: b
          | ^^^^^ again
         ::: b.yaml:1:8
          |
        1 | model: c
          |        - declared here
        """
    )


def test_a_gap_of_one_line_is_filled() -> None:
    text = "a\nb\nmodle\n"
    shown = _full(text, problem(text, "modle", more=(related(text, "a", "first"),)))
    assert "2 | b\n" in shown
    assert "..." not in shown


def test_several_lines_that_start_a_line() -> None:
    text = "rules:\n  - id: x\n    when: y\n"
    assert _full(text, problem(text, "- id: x\n    when: y", "this rule")) == _expected(
        """
        error[CL302]: unknown variable `modle`
         --> policies/premium.yaml:2:3
          |
        2 | /   - id: x
        3 | |     when: y
          | |___________^ this rule
        """
    )


def test_many_lines_that_start_inside_a_line() -> None:
    text = "when: |\n" + "".join(f"  {n}\n" for n in range(12))
    assert _full(text, problem(text, text[6:], "here", help="one\ntwo")) == _expected(
        """
        error[CL302]: unknown variable `modle`
          --> policies/premium.yaml:1:7
           |
         1 |   when: |
           |  _______^
         2 | |   0
         3 | |   1
        ...
        11 | |   9
        12 | |   10
        13 | |   11
           | |____^ here
           = help: one
                   two
        """
    )


def test_wide_characters_and_tabs_move_the_caret() -> None:
    text = 'a:\t"漢字😀e\u0301" modle\n'
    lines = _full(text, problem(text, "modle", "x")).splitlines()
    assert lines[3] == '1 | a:    "漢字😀e\u0301" modle'
    assert lines[4] == "  | " + " " * 16 + "^^^^^ x"


def test_a_long_line_is_cut_around_the_place() -> None:
    text = "x" * 500 + " modle " + "y" * 500
    line, marks = _full(text, problem(text, "modle")).splitlines()[3:5]
    assert len(line) < 180
    assert line.index("modle") == marks.index("^")
    assert line.startswith("1 | …x")
    assert line.endswith("y…")


def test_an_empty_place_gets_one_caret() -> None:
    place = Span("policies/premium.yaml", Position(2, 2, 1), Position(2, 2, 1))
    shown = _full("a\n", Diagnostic("CL007", Severity.WARNING, "nothing", place))
    assert shown.endswith("2 |\n  | ^\n")


def test_without_lines_the_labels_remain() -> None:
    item = problem("modle", "modle", "here", more=(related("ab", "b", "there"),))
    assert render([item]) == _expected(
        """
        error[CL302]: unknown variable `modle`
         --> policies/premium.yaml:1:1
          = note: here
          = note: line 1, column 2: there
        """
    )


def test_without_a_place_the_message_stands_alone() -> None:
    item = Diagnostic("CL001", Severity.ERROR, "there is no file `a`", help="check the path")
    assert render([item]) == "error[CL001]: there is no file `a`\n  = help: check the path\n"


def test_nothing_to_show() -> None:
    assert render([]) == ""


def test_diagnostics_are_ordered_and_parted_by_an_empty_line() -> None:
    text = "modle b modle"
    first, second = problem(text, "modle"), problem(text, "b")
    assert _full(text, second, first, first) == _full(text, first) + "\n" + _full(text, second)


@pytest.mark.parametrize("hostile", ["\x1b[31m", "\u202e", "\x9b1m", "a\nb", "\x00", "\ud800"])
def test_nothing_in_a_file_commands_the_terminal(hostile: str) -> None:
    text = f"# {hostile.strip()} modle"
    item = Diagnostic("CL302", Severity.ERROR, f"bad `{hostile}`", problem("modle", "modle").span, f"is {hostile}")
    for format in ("full", "concise"):
        shown = render([item], format, lambda _: text.split("\n"))
        assert all(character.isprintable() for character in shown.replace("\n", ""))
        assert "\n" not in printable(hostile)


def test_colors_only_on_request() -> None:
    text = "modle: 1"
    item = problem(text, "modle", "here", help="do")
    plain, colored = _full(text, item), _full(text, item, color=True)
    assert "\x1b" not in plain
    assert "\x1b[1;31merror[CL302]\x1b[0m" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain


@given(st.text(st.characters(exclude_characters="\r\n"), max_size=30), st.text("ab漢😀\t", min_size=1, max_size=8))
def test_the_caret_stands_under_its_text(before: str, part: str) -> None:
    text = before + part
    start = len(before)
    place = Span("f", Position(start, 1, start + 1), Position(len(text), 1, len(text) + 1))
    _, marks = render([Diagnostic("CL302", Severity.ERROR, "m", place)], "full", lambda _: [text]).splitlines()[3:5]
    assert width(marks) - marks.index("^") == max(width(printable(part)), 1)
    assert marks.index("^") == width("1 | " + printable(before))
