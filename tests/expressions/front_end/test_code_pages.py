"""The pages of the codes: each example triggers its code, and each remedy is free of problems."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.expressions import BOOL, analyze
from tests.conftest import ROOT
from tests.expressions.front_end.attributes import ENVIRONMENT

_BLOCK = re.compile(r"```cel\n(.*?)```", re.DOTALL)
_PAGES = sorted((ROOT / "docs" / "codes").glob("CL3*.md"))


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.stem)
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
    assert {page.stem for page in _PAGES} == {code for code in CODES if code.startswith("CL3")}
