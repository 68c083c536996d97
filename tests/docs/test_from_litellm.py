"""The page on moving from LiteLLM shows what the example has."""

from __future__ import annotations

from textwrap import dedent
from typing import Final

import pytest

from tests.conftest import ROOT
from tests.docs.walkthrough import Block, blocks

PAGE: Final = ROOT / "docs" / "from-litellm.md"
EXAMPLE: Final = ROOT / "examples" / "litellm-migration"
_BLOCKS: Final = [block for block in blocks(PAGE.read_text(encoding="utf-8")) if block.language == "yaml"]


def test_there_is_something_to_hold() -> None:
    assert len(_BLOCKS) > 5


@pytest.mark.parametrize("block", _BLOCKS, ids=lambda block: str(block.offset))
def test_a_block_of_the_page_stands_in_the_example(block: Block) -> None:
    """Each line does, and in that order, in one of the files, apart from the heads of documents."""
    lines = dedent(block.text).splitlines()
    shown = [line for line in lines if line and not line.startswith(("metadata:", "on_error:"))]
    files = [path.read_text(encoding="utf-8").splitlines() for path in EXAMPLE.rglob("*.yaml")]
    assert any(_in_order(shown, file) for file in files), block.text


def _in_order(shown: list[str], lines: list[str]) -> bool:
    rest = iter(lines)
    return all(line in rest for line in shown)
