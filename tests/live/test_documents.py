"""docs/bundles.md does what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.walkthrough import walk
from tests.guard.company import POLICY, POLICY_SET

PAGE = ROOT / "docs" / "bundles.md"
CATALOGUE = """
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: catalogue, version: "1"}
models:
  nano: {provider: acme, prices: [{usd_per_million_tokens: {input: 1, output: 2}}]}
"""
BUDGET = """
budgets:
  - id: all
    hard_limit_usd: 1
    window: {calendar: day}
"""


def test_the_page(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    pytest.importorskip("cryptography")
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "catalogue.yaml").write_text(CATALOGUE, encoding="utf-8")
    (folder / "policy-set.yaml").write_text(
        (POLICY_SET % ("nano", "")).replace("admit: {unpriced_models: true}\n", ""), encoding="utf-8"
    )
    (folder / "p.yaml").write_text(POLICY % BUDGET, encoding="utf-8")
    document = PAGE.read_text(encoding="utf-8")
    if request.config.getoption("--update-golden"):
        PAGE.write_text(walk(document, tmp_path, update=True), encoding="utf-8")
    else:
        walk(document, tmp_path)
