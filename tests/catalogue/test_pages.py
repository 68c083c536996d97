"""The example on each page of CL5xx, and the case of the corpus, trigger just that code."""

from __future__ import annotations

from pathlib import Path

import pytest

from costlens_policy.catalogue.resolve import resolve
from costlens_policy.diagnostics.codes import CODES
from tests.catalogue.reading import read

ROOT = Path(__file__).resolve().parents[2]
MONEY = sorted(code for code in CODES if code.startswith("CL5"))


@pytest.mark.parametrize("code", MONEY)
def test_the_example_triggers_the_code(code: str) -> None:
    page = (ROOT / "docs" / "codes" / f"{code}.md").read_text(encoding="utf-8")
    case = (ROOT / "tests" / "corpus" / "diagnostics" / code / "input.yaml").read_text(encoding="utf-8")
    assert page.startswith(f"# {code}: {CODES[code].title}\n")
    for text in (page.split("```yaml\n")[1].split("```")[0], case):
        assert {item.code for item in resolve([read(text)]).diagnostics} == {code}
