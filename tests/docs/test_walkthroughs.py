"""The tutorial and the README do what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.walkthrough import blocks, run_command, walk

TUTORIAL = ROOT / "docs" / "tutorial.md"


def test_the_tutorial(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    document = TUTORIAL.read_text(encoding="utf-8")
    if request.config.getoption("--update-golden"):
        TUTORIAL.write_text(walk(document, tmp_path, update=True), encoding="utf-8")
    else:
        walk(document, tmp_path)


class TestReadme:
    README = (ROOT / "README.md").read_text(encoding="utf-8")

    def test_the_first_policy_is_valid(self, tmp_path: Path) -> None:
        policy = next(block.text for block in blocks(self.README) if block.language == "yaml")
        head = 'apiVersion: costlens-policy/v1\nkind: Policy\nmetadata: {name: readme, version: "1"}\n'
        (tmp_path / "policy-set.yaml").write_text(
            'apiVersion: costlens-policy/v1\nkind: PolicySet\nmetadata: {name: readme, version: "1"}\n'
            f"policies: [policy.yaml]\ncatalogues: [{ROOT}/policies/catalogue.yaml]\n"
            "attributes: {task: {type: string, default: other}}\n"
            "defaults: {access: allow, route: {model: gpt-5-mini}, max_output_tokens: 100}\n"
        )
        (tmp_path / "catalogue.yaml").write_text((ROOT / "policies/catalogue.yaml").read_text(encoding="utf-8"))
        text = (tmp_path / "policy-set.yaml").read_text().replace(f"{ROOT}/policies/", "")
        (tmp_path / "policy-set.yaml").write_text(text)
        (tmp_path / "policy.yaml").write_text(head + policy)
        assert run_command("costlens-policy check --strict .; echo $?", tmp_path).startswith("0\n")

    def test_the_first_decision(self) -> None:
        snippet = next(block.text for block in blocks(self.README) if "engine.decide" in block.text)
        checks = []
        for line in snippet.splitlines():
            match = re.fullmatch(r"decision\.([\w.]+)\s+# ('.*'|True|\(.*\)|\{.*\})", line)
            if match:
                checks.append(f"assert decision.{match[1]} == {match[2]}, decision.{match[1]}")
        assert len(checks) >= 5
        assert run_command(f'python - <<"END"\n{snippet}\n' + "\n".join(checks) + "\nEND", ROOT) == ""

    def test_the_router(self) -> None:
        first = next(block.text for block in blocks(self.README) if "engine.decide" in block.text)
        router = next(block.text for block in blocks(self.README) if "get_optimal_model" in block.text)
        shown = run_command(f'python - <<"END"\n{first}\n{router}\nprint(best.name)\nEND', ROOT)
        assert shown == "support-summarizer\n"

    def test_the_starter_passes(self, tmp_path: Path) -> None:
        command = (
            "costlens-policy init my-policies && cd my-policies && costlens-policy check . && costlens-policy test ."
        )
        assert "12 passed" in run_command(command, tmp_path)
