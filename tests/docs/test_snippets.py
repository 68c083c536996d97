"""Every block of the documentation is what its language says, and what can be run is run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from costlens_policy.expressions import parse
from costlens_policy.schema import read_document, with_windows_apart
from costlens_policy.source.compose import compose
from costlens_policy.source.located import SourceText, line_starts
from tests.conftest import ROOT
from tests.docs.walkthrough import Block, blocks, run_command

PAGES: Final = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]
_LANGUAGES: Final = {"cel", "console", "js", "json", "python", "text", "yaml"}
_FENCE: Final = re.compile(r"^```(?P<info>.*)$", re.MULTILINE)
_HEAD: Final = 'apiVersion: costlens-policy/v1\nkind: {kind}\nmetadata: {{name: part, version: "1"}}\n'
_TARGET: Final = "defaults: {access: allow, route: {model: small}, max_output_tokens: 1}\n"
_AROUND: Final = {
    "access": _HEAD.format(kind="Policy"),
    "imports": _HEAD.format(kind="Catalogue"),
    "routes": _HEAD.format(kind="Policy"),
    "rewrites": _HEAD.format(kind="Policy"),
    "budgets": _HEAD.format(kind="Policy"),
    "apply": _HEAD.format(kind="Policy") + "rewrites:\n- id: part\n",
    "attributes": _HEAD.format(kind="PolicySet") + "policies: [a.yaml]\ncatalogues: [b.yaml]\n" + _TARGET,
    "variables": _HEAD.format(kind="PolicySet") + "policies: [a.yaml]\ncatalogues: [b.yaml]\n" + _TARGET,
    "ledger": _HEAD.format(kind="PolicySet") + "policies: [a.yaml]\ncatalogues: [b.yaml]\n" + _TARGET,
    "admit": _HEAD.format(kind="PolicySet") + "policies: [a.yaml]\ncatalogues: [b.yaml]\n" + _TARGET,
    "signals": _HEAD.format(kind="PolicySet") + "policies: [a.yaml]\ncatalogues: [b.yaml]\n" + _TARGET,
    "severities": _HEAD.format(kind="PolicySet") + "policies: [a.yaml]\ncatalogues: [b.yaml]\n" + _TARGET,
    "cases": _HEAD.format(kind="Suite") + "policy_set: policy-set.yaml\n",
    "invariants": _HEAD.format(kind="Invariants") + "policy_set: policy-set.yaml\n",
    "matrix": _HEAD.format(kind="Suite") + "policy_set: policy-set.yaml\n",
}
"""What makes a whole document of a part, by the first key of the part."""


def _of(language: str) -> Iterator[tuple[Path, Block]]:
    return (
        (page, block)
        for page in PAGES
        for block in blocks(page.read_text(encoding="utf-8"))
        if block.language == language
    )


def _parameters(language: str) -> list[object]:
    found = list(_of(language))
    assert found, f"no block of {language}"
    return [pytest.param(block, id=f"{page.name}-{block.offset}") for page, block in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_its_language(page: Path) -> None:
    opening = [match["info"] for match in _FENCE.finditer(page.read_text(encoding="utf-8"))][::2]
    assert {info.partition(" ")[0] for info in opening} <= _LANGUAGES


@pytest.mark.parametrize("block", _parameters("yaml"))
def test_yaml_fits_its_schema(block: Block) -> None:
    first = block.text.lstrip().partition(":")[0]
    if block.file is not None and "kind:" not in block.text:
        return  # a request
    indent = "  " if first == "apply" else ""
    part = "".join(indent + line for line in block.text.splitlines(keepends=True))
    whole = _AROUND.get(first, "") + (part if first in _AROUND else block.text)
    composed = compose(SourceText("part.yaml", whole, line_starts(whole)))
    assert not composed.diagnostics
    for located in composed.documents:
        document, problems = read_document(with_windows_apart(located))
        assert document is not None, "\n".join(problem.message for problem in problems)


@pytest.mark.parametrize("block", _parameters("json"))
def test_json_is_json(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", _parameters("cel"))
def test_cel_parses(block: Block) -> None:
    for line in block.text.splitlines():
        parse(line)


def test_what_testing_shows_can_be_run() -> None:
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    (python,) = (block.text for block in blocks(page) if block.language == "python")
    (console,) = (block.text for block in blocks(page) if block.language == "console")
    command = console.removeprefix("$ ").strip()
    assert "failed" not in run_command(command, ROOT)
    assert run_command(f'python - <<"END"\n{python}END', ROOT).strip().endswith(" passed")
