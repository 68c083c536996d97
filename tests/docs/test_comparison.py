"""The comparison with other systems: its links lead to the rules that they name, and no example is left out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT

PAGE: Final = ROOT / "docs" / "comparison.md"
SYSTEMS: Final = ("agentgateway-", "archgw-", "bifrost-", "ccr-", "envoy-", "litellm-", "portkey-", "vllmsr-")
_RULE: Final = re.compile(r"\[`(?P<rule>[^`]+)`\]\((?P<file>\.\./examples/[^)#]+)#L(?P<line>[0-9]+)\)")
_ROW: Final = re.compile(r"^\| ([0-9]+) \|.*\| (fully|partly)[^|]* \|$", re.MULTILINE)
_FEATURE: Final = re.compile(r"^\| (?!feature |\||---)(?P<feature>.+?) \| (?P<expressed>.+?) \| (?P<how>.+) \|$")


def _line_of(rule: str, file: Path) -> int:
    """Return the line on which a document first has a rule, a variable, an attribute or a key of that name."""
    begins = re.compile(rf"^\s*(?:- )?(?:\{{?id: {re.escape(rule)}\b|{re.escape(rule)}:)")
    lines = file.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if begins.match(line))


def test_links_lead_to_the_rules_that_they_name(request: pytest.FixtureRequest) -> None:
    text = PAGE.read_text(encoding="utf-8")

    def right(link: re.Match[str]) -> str:
        line = _line_of(link["rule"], (PAGE.parent / link["file"]).resolve())
        return f"[`{link['rule']}`]({link['file']}#L{line})"

    expected = _RULE.sub(right, text)
    if request.config.getoption("--update-golden"):
        PAGE.write_text(expected, encoding="utf-8")
        return
    assert text == expected, "a rule has moved; --update-golden writes its line"
    assert len(_RULE.findall(text)) > 30


def test_fourteen_configurations_are_compared() -> None:
    rows = _ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert [int(number) for number, _ in rows] == list(range(1, 15))


def test_every_feature_has_an_answer_and_a_reason() -> None:
    sections = PAGE.read_text(encoding="utf-8").partition("\n## LiteLLM\n")[2].splitlines()
    rows = [match for line in sections if (match := _FEATURE.match(line))]
    assert len(rows) > 60
    assert {row["expressed"] for row in rows} == {"yes", "partly", "no"}


def test_every_example_of_another_system_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for example in (ROOT / "examples").iterdir():
        if example.name.startswith(SYSTEMS):
            assert f"../examples/{example.name}" in text, f"docs/comparison.md does not mention {example.name}"
