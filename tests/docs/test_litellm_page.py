"""What docs/litellm.md shows: its settings are those of the program, and its snippets can be read."""

from __future__ import annotations

import ast
import json
import re

import yaml

from costlens_policy.integrations.litellm.identity import _READERS, TRUSTED
from costlens_policy.integrations.litellm.settings import Settings, settings_from
from costlens_policy.integrations.litellm.versions import NEWEST, OLDEST
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "litellm.md").read_text(encoding="utf-8")


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}[^\n]*\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_file_of_the_proxy_has_settings_that_are_accepted() -> None:
    (text,) = snippets("yaml")
    config = yaml.safe_load(text)
    section = config["litellm_settings"]["costlens_policy"]
    settings = settings_from(section, {"COSTLENS_LEDGER": "redis://localhost"})
    assert settings.ledger == "redis://localhost"
    assert config["litellm_settings"]["callbacks"] == "costlens_policy.integrations.litellm.callback"
    assert list(config["litellm_settings"]) == ["costlens_policy", "callbacks"]


def test_every_setting_and_source_is_described() -> None:
    for name in Settings.model_fields:
        assert f"\n| `{name}` |" in PAGE, name
    for name in TRUSTED:
        assert f"\n| `{name}` |" in PAGE, name
    for kind in _READERS:
        assert f"`{kind}.…`" in PAGE, kind


def test_versions_and_methods_are_those_of_the_program() -> None:
    for version in (OLDEST, NEWEST):
        assert ".".join(map(str, version)) in PAGE
    router = (ROOT / "costlens_policy" / "integrations" / "litellm" / "router.py").read_text(encoding="utf-8")
    methods = re.findall(r'^    "(a\w+)": "', router, re.MULTILINE)  # LiteLLM is not installed here
    assert len(methods) == 5
    for method in methods:
        assert f"`{method}`" in PAGE


def test_the_other_snippets_can_be_read() -> None:
    for text in snippets("python"):
        ast.parse(text)
    for text in snippets("json"):
        assert json.loads(text)["error"]["provider_specific_fields"]["budget"]
