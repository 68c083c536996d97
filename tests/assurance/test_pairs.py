"""Pairs of small policies: one has a mistake that is found by its code, its sound twin has nothing more to report."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from costlens_policy.assurance import examine
from costlens_policy.checker import check_all
from costlens_policy.diagnostics.model import Severity

_HERE: Final = Path(__file__).parent
_POLICY: Final = 'apiVersion: costlens-policy/v1\nkind: Policy\nmetadata: {{name: main, version: "1"}}\non_error: {}\n'
_SET: Final = """\
apiVersion: costlens-policy/v1
kind: PolicySet
metadata: {{name: acme, version: "1"}}
policies: [main.yaml]
catalogues: [catalogue.yaml]
attributes:
  tier: {{type: string, default: standard, values: [free, standard, premium]}}
  data_class: {{type: string, default: internal, values: [public, internal, restricted]}}
  region: {{type: string, default: us, values: [us, eu]}}
  labels: {{type: list(string), max_size: 3}}
  seats: {{type: int}}
defaults: {{access: {access}, route: {route}, max_output_tokens: 1024}}
"""


@cache
def _pairs() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((_HERE / "pairs.yaml").read_text(encoding="utf-8"))
    return found


def _found(pair: dict[str, Any], side: str, folder: Path) -> set[tuple[str, str]]:
    """Return the codes and messages of what is reported as more than a note."""
    (folder / ".git").mkdir(parents=True)
    catalogue = pair.get(f"catalogue_{side}") or (_HERE / "catalogue.yaml").read_text(encoding="utf-8")
    route = pair.get("route", "{model: small, fallbacks: [haiku]}")
    (folder / "catalogue.yaml").write_text(catalogue, encoding="utf-8")
    (folder / "main.yaml").write_text(_POLICY.format(pair.get("on_error", "deny")) + pair[side], encoding="utf-8")
    (folder / "set.yaml").write_text(_SET.format(access=pair.get("access", "allow"), route=route), encoding="utf-8")
    checked = check_all(folder)
    found = [*checked.diagnostics, *(item for bundle in checked.bundles for item in examine(bundle))]
    return {(item.code, item.message) for item in found if item.severity is not Severity.NOTE}


@pytest.mark.parametrize("pair", _pairs(), ids=lambda pair: pair["name"])
def test_the_mistake_is_found_and_its_twin_is_silent(pair: dict[str, Any], tmp_path: Path) -> None:
    bad, good = _found(pair, "bad", tmp_path / "bad"), _found(pair, "good", tmp_path / "good")
    assert pair["code"] in {code for code, _ in bad - good}
    assert not good - bad
