"""The guide: what it shows is accepted, and every operation, kind and merge is in it."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from costlens_policy.documents.policy import Route
from costlens_policy.documents.policy_set import Admission
from costlens_policy.documents.rewrites import OPERATIONS, Rewrite
from costlens_policy.rewrites import Merge, compile_operation
from costlens_policy.rewrites.personal_data import DETECTORS

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "rewrites.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


def exact(value: Any) -> Any:
    """Return YAML with numbers as documents have them."""
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    return [exact(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippets_are_accepted(snippet: str) -> None:
    content = exact(yaml.safe_load(snippet))
    if "admit" in content:
        assert Admission.model_validate(content["admit"]).params
        return
    kind, rules = (Route, content["routes"]) if "routes" in content else (Rewrite, content.get("rewrites"))
    for rule in rules or [{"id": "shown", **content}]:
        for operation in kind.model_validate(rule).apply:
            values = operation.template.values if operation.template else {}
            compile_operation(operation, dict.fromkeys(values, str))


@pytest.mark.parametrize("word", [*OPERATIONS, *DETECTORS, *get_args(Merge)])
def test_nothing_is_left_out(word: str) -> None:
    assert f"`{word}`" in GUIDE or f"- {word}:" in GUIDE
