"""The pages on expressions: the list of functions is the declarations', and every example is free of problems."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from costlens_policy.expressions import BOOL, Limits, analyze
from costlens_policy.expressions.functions.reference import reference
from costlens_policy.expressions.syntax.macros import MACRO_NAMES
from tests.conftest import ROOT
from tests.expressions.front_end.attributes import ENVIRONMENT

_PAGE = (ROOT / "docs" / "expressions.md").read_text(encoding="utf-8")
_EXAMPLES = [line for block in re.findall(r"```cel\n(.*?)```", _PAGE, re.DOTALL) for line in block.splitlines()]


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
