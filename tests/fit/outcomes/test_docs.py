"""Each snippet of docs/outcomes.md is read, and gives the scores that all of them have."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from costlens_policy.catalogue import Catalogue
from costlens_policy.fit.outcomes import OutcomeSettings, Scale, read_outcomes
from costlens_policy.fit.outcomes.formats import FORMATS
from costlens_policy.fit.outcomes.mapping import FIELDS
from tests.conftest import ROOT
from tests.docs.walkthrough import Block, blocks

PAGE: Final = (ROOT / "docs" / "outcomes.md").read_text(encoding="utf-8")
SNIPPETS: Final = {block.file: block for block in blocks(PAGE) if block.file is not None}
OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "wide.csv": {"columns": {"task": "domain"}},
    "samples_geography_2026-11-30T17-29-31.410913.jsonl": {"constants": {"model": "gpt-5-mini"}},
    "ratings.csv": {
        "columns": {"id": "request_id", "task": "kind", "prompt": "question", "score": "rating"},
        "scale": Scale.parse("1..5"),
    },
}
"""What the page says beside a snippet, or leaves to the reader."""


@pytest.mark.parametrize("block", SNIPPETS.values(), ids=list(SNIPPETS))
def test_snippets_are_read(block: Block, tmp_path: Path, catalogue: Catalogue) -> None:
    assert block.file is not None
    path = tmp_path / block.file
    path.write_text(block.text, encoding="utf-8")
    found = read_outcomes([str(path)], OutcomeSettings(**OPTIONS.get(block.file, {})), catalogue)
    assert [case.prompt for case in found.cases] == ["Capital of France?", "Capital of Peru?"]
    assert found.tasks == ("geography",)
    assert found.scores["gpt-5-mini"] == (1.0, 0.0)
    assert found.scores.get("claude-haiku-4-5", (1.0, 0.5)) in ((1.0, 0.5), (0.0, 1.0))
    assert not found.notes.dropped


def test_every_format_and_field_is_described() -> None:
    for item in FORMATS:
        assert f"| `{item.name}` | {item.about} |" in PAGE, item.name
    for name in FIELDS:
        assert f"`{name}`" in PAGE, name
