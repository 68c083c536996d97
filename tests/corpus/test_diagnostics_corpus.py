"""Every code has a page and a case; the full rendering of each case is golden.

A case is a folder ``diagnostics/CLxxx…``. It holds either a whole repository of policies, or one ``input.yaml``, which
is put into a small policy set when it is a policy or a catalogue.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import pytest

from costlens_policy.assurance import examine
from costlens_policy.checker import check_all
from costlens_policy.diagnostics.codes import CODES
from costlens_policy.diagnostics.model import in_order
from costlens_policy.diagnostics.render import render
from costlens_policy.source.suppressions import suppress, unused_suppressions

CASES: Final = Path(__file__).parent / "diagnostics"
PAGES: Final = Path(__file__).parents[2] / "docs" / "codes"
FOLDERS: Final = sorted(path for path in CASES.iterdir() if path.is_dir() and not path.name.startswith(("CL6", "CL7")))
DAY: Final = date(2026, 11, 1)
NOON: Final = datetime(2026, 11, 1, 12, tzinfo=UTC)

NOT_BY_CHECK: Final = {
    "CL001": "a path that cannot be read is no file of a case",
    "CL002": "a file that large does not belong into a repository",
    "CL021": "a file that large does not belong into a repository",
    "CL022": "only formatting finds that a file cannot be laid out",
    "CL024": "only a saved plan can be damaged, and `load_plan` alone reads one",
    "CL025": "only a saved plan has a version of this program, and `load_plan` alone reads one",
    "CL201": "paths without a policy set are checked document by document; only loading needs one",
    "CL491": "a policy set that takes that long to examine is no case",
    "CL202": "several policy sets are all checked; only loading needs a single one",
}
"""Codes that a check of files does not give, with the reason; CL6 comes from running suites, CL7 from
invariants, CL9 from deciding."""

_SET: Final = """\
apiVersion: costlens-policy/v1
kind: PolicySet
metadata: {{name: around-a-case, version: "1"}}
policies: [{policy}]
catalogues: [{catalogue}]
defaults:
  access: allow
  route: {{model: small}}
  max_output_tokens: 1000
"""
_POLICY: Final = """\
apiVersion: costlens-policy/v1
kind: Policy
metadata: {name: around-a-case, version: "1"}
rewrites:
  - {id: concise, apply: [{prefix: {text: "Be concise. "}}]}
"""
_CATALOGUE: Final = """\
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: around-a-case, version: "1"}
models:
  small: {provider: acme, prices: [{usd_per_million_tokens: {input: 0.1, output: 0.4}}]}
  large: {provider: acme, prices: [{usd_per_million_tokens: {input: 2, output: 8}}]}
"""


def _wrap(folder: Path) -> list[str]:
    """Put a single document into a policy set; return the paths to check."""
    source = folder / "input.yaml"
    if not source.exists():
        return ["."]
    kind = re.search(rb"^kind:\s*(Policy|Catalogue)\s*$", source.read_bytes(), re.MULTILINE)
    if kind is None:
        return ["input.yaml"]
    is_policy = kind[1] == b"Policy"
    (folder / "policy.yaml").write_text(_POLICY)
    (folder / "catalogue.yaml").write_text(_CATALOGUE)
    catalogues = "catalogue.yaml" if is_policy else "catalogue.yaml, input.yaml"
    text = _SET.format(policy="input.yaml" if is_policy else "policy.yaml", catalogue=catalogues)
    (folder / "policy-set.yaml").write_text(text)
    return ["input.yaml", "policy-set.yaml"]


def _rendered(folder: Path) -> tuple[str, set[str]]:
    checked = check_all(_wrap(folder), on=DAY)
    found = [item for bundle in checked.bundles for item in examine(bundle, NOON)]
    diagnostics = suppress([*checked.diagnostics, *found], checked.sources)
    diagnostics = in_order([*diagnostics, *unused_suppressions(diagnostics, checked.sources)])
    text = render(diagnostics, lines_of=lambda name: checked.sources[name].lines() if name in checked.sources else None)
    return text, {item.code for item in diagnostics}


@pytest.mark.parametrize("case", FOLDERS, ids=lambda path: path.name)
def test_case_is_explained(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Callable[[Path, str], None]
) -> None:
    folder = tmp_path / "case"
    shutil.copytree(case, folder, ignore=shutil.ignore_patterns("expected.txt"), symlinks=True)
    (folder / ".git").mkdir()
    monkeypatch.chdir(folder)
    text, codes = _rendered(folder)
    assert case.name.split("-")[0] in codes, f"{case.name} gives {sorted(codes) or 'nothing'}\n{text}"
    assert os.fspath(folder) not in text
    golden(case / "expected.txt", text)


def test_every_code_has_a_case() -> None:
    cases = {path.name.split("-")[0] for path in FOLDERS}
    wanted = {code for code in CODES if not code.startswith(("CL6", "CL7", "CL9"))} - set(NOT_BY_CHECK)
    assert wanted - cases == set()
    assert cases - set(CODES) == set()


def test_every_code_has_a_page() -> None:
    for code in CODES.values():
        page = PAGES / f"{code.id}.md"
        assert page.exists(), f"{page} is missing"
        assert page.read_text().startswith(f"# {code.id}: {code.title}\n"), page
    assert {page.stem for page in PAGES.glob("CL*.md")} == set(CODES)
