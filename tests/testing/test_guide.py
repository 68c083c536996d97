"""The suites of the guide run as they stand there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from costlens_policy.documents.suite import Expectation
from costlens_policy.testing import Run, RunFormat

GUIDE = (Path(__file__).parent.parent.parent / "docs" / "testing.md").read_text(encoding="utf-8")
SUITES = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("text", SUITES, ids=lambda text: text.split("name: ", 1)[1].splitlines()[0])
def test_each_suite_of_the_guide_passes(text: str, run_text: Callable[..., Run]) -> None:
    run = run_text(text, head="") if "kind: Suite" in text else run_text(text)
    assert not run.diagnostics
    assert [(result.case.name, result.differences, result.notes) for result in run.results if not result.passed] == []
    assert any(True for _ in run.results)


def test_the_guide_names_every_format_and_key() -> None:
    keys = [*Expectation.model_fields, *RunFormat]
    assert [key for key in keys if f"`{key}" not in GUIDE and f"`--{key}" not in GUIDE] == []
