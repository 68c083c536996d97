"""The page on approvals: its policy is right, and its suite passes on it."""

from __future__ import annotations

from pathlib import Path

from costlens_policy.checker import check_all
from costlens_policy.testing import render, run_suites
from tests.conftest import ROOT
from tests.docs.walkthrough import blocks

_HEAD = 'apiVersion: costlens-policy/v1\nkind: {kind}\nmetadata: {{name: {name}, version: "1"}}\n'
_SET = """policies: [spend.yaml]
catalogues: [catalogue.yaml]
defaults: {access: allow, route: {model: small}, max_output_tokens: 100}
"""
_CATALOGUE = """models:
  small:
    provider: acme
    context_window: 100000
    max_output_tokens: 1000
    prices: [{usd_per_million_tokens: {input: 1, output: 2}}]
"""


def test_the_suite_of_the_page_passes(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "approvals.md").read_text(encoding="utf-8")
    policy, _, suite = (block.text for block in blocks(page) if block.language == "yaml")
    parts = {
        "policy-set": _HEAD.format(kind="PolicySet", name="set") + _SET,
        "spend": _HEAD.format(kind="Policy", name="spend") + policy,
        "catalogue": _HEAD.format(kind="Catalogue", name="catalogue") + _CATALOGUE,
        "spend_test": _HEAD.format(kind="Suite", name="suite")
        + "policy_set: policy-set.yaml\nnow: 2026-11-20T12:00:00Z\n"
        + suite,
    }
    for name, text in parts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    assert not [item for item in check_all(tmp_path).diagnostics if item.severity == "error"]
    run = run_suites([tmp_path])
    assert run.exit_code == 0, render(run, "pretty", color=False)
