"""The example on a code's page gives the code."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Final

import pytest

from costlens_policy.assurance import examine
from costlens_policy.checker import check_all

PAGES: Final = Path(__file__).parents[2] / "docs" / "codes"
EXAMPLE: Final = re.compile(r"## Example\n\n```yaml\n(.*?)```", re.DOTALL)
FIXED: Final = re.compile(r"## How to fix it\n.*?```yaml\n(on_error.*?)```", re.DOTALL)
HEAD: Final = 'apiVersion: costlens-policy/v1\nkind: Policy\nmetadata: {name: fixed, version: "1"}\n'

SET: Final = """\
apiVersion: costlens-policy/v1
kind: PolicySet
metadata: {name: around-an-example, version: "1"}
policies: [example.yaml]
catalogues: [catalogue.yaml]
defaults:
  access: allow
  route: {model: gpt-5-nano}
  max_output_tokens: 1000
"""
CATALOGUE: Final = """\
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: around-an-example, version: "1"}
imports:
  - {source: genai-prices, models: ["openai/gpt-5*", "openai/gpt-4.1*", "openai/gpt-3.5-turbo"]}
models:
  openai/gpt-3.5-turbo: {deprecated: 2025-01-01}
"""


def _pages() -> list[Path]:
    """Return the pages whose example is a whole policy, of the codes that checking such a policy gives."""
    found = []
    for page in sorted(PAGES.glob("CL[0-4]*.md")):
        example = EXAMPLE.search(page.read_text())
        listed = page.stem != "CL216"  # the policies of all others stand in a set
        if listed and example is not None and "\nkind: Policy\n" in example[1]:
            found.append(page)
    return found


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.stem)
def test_example_gives_the_code(page: Path, tmp_path: Path) -> None:
    example = EXAMPLE.search(page.read_text())
    assert example is not None
    assert page.stem in _codes(example[1], tmp_path)


@pytest.mark.parametrize(
    "page", [page for page in sorted(PAGES.glob("CL4[3-9]*.md")) if page.stem != "CL491"], ids=lambda page: page.stem
)
def test_the_fix_removes_the_code(page: Path, tmp_path: Path) -> None:
    fixed = FIXED.search(page.read_text())
    assert fixed is not None, "`## How to fix it` has no policy that begins with `on_error`"
    assert page.stem not in _codes(HEAD + fixed[1], tmp_path, loads=True)


def _codes(example: str, folder: Path, *, loads: bool = False) -> set[str]:
    """Return the codes that a policy gives in a small policy set; one that ``loads`` can be examined."""
    for name, text in (("example", example), ("catalogue", CATALOGUE), ("policy-set", SET)):
        (folder / f"{name}.yaml").write_text(text)
    checked = check_all(folder, on=date(2026, 11, 1))
    assert checked.bundles or not loads, checked.diagnostics
    return {
        item.code for item in (*checked.diagnostics, *(item for bundle in checked.bundles for item in examine(bundle)))
    }
