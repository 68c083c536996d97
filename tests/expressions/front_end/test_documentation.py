"""The pages on expressions: functions as their rows, examples that are free of problems, and codes with theirs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.expressions import BOOL, Limits, analyze
from costlens_policy.expressions.functions.reference import reference
from costlens_policy.expressions.syntax.macros import MACRO_NAMES
from tests.conftest import ROOT
from tests.expressions.front_end.attributes import ENVIRONMENT

_PAGE = (ROOT / "docs" / "expressions.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"```cel\n(.*?)```", re.DOTALL)
_EXAMPLES = [line for block in _BLOCK.findall(_PAGE) for line in block.splitlines()]


def test_the_list_of_functions_is_complete(golden: Callable[[Path, str], None]) -> None:
    golden(ROOT / "docs" / "functions.md", reference())


@pytest.mark.parametrize("example", _EXAMPLES)
def test_examples_are_free_of_problems(example: str) -> None:
    assert analyze(example, ENVIRONMENT, BOOL).problems == ()


def test_every_macro_is_named() -> None:
    spellings = {"existsOne": "exists_one", "cel.block": "", "cel.index": "", "cel.iterVar": "", "cel.accuVar": ""}
    names = {spellings.get(name, name) for name in MACRO_NAMES if not name.startswith("math.")}
    assert [name for name in names if name not in _PAGE] == []


def test_the_limits_are_those_of_the_code() -> None:
    limits = Limits()
    for limit in (limits.source, limits.nesting, limits.literal, limits.elements):
        assert f"{limit:,}" in _PAGE


_CODE_PAGES = sorted((ROOT / "docs" / "codes").glob("CL3*.md"))


@pytest.mark.parametrize("page", _CODE_PAGES, ids=lambda page: page.stem)
def test_examples_do_what_the_page_says(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.stem}: {CODES[page.stem].title}\n")
    examples, remedies = (block.splitlines() for block in _BLOCK.findall(text))
    for example in examples:
        if "…" not in example:
            assert page.stem in {problem.code for problem in analyze(example, ENVIRONMENT, BOOL).problems}, example
    for remedy in remedies:
        assert analyze(remedy, ENVIRONMENT, BOOL).problems == (), remedy


def test_every_code_of_expressions_has_a_page() -> None:
    assert {page.stem for page in _CODE_PAGES} == {code for code in CODES if code.startswith("CL3")}
