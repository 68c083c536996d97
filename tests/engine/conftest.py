"""A small company whose policies each test writes itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from costlens_policy import Engine, load

CATALOGUE = """
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: catalogue, version: "1"}
models:
  nano:
    provider: acme
    family: small
    context_window: 8000
    max_output_tokens: 2000
    capabilities: [tools, json_mode]
    latency_ms: {p50: 500}
    quality: {chat: {value: 0.7, low: 0.66, high: 0.74, cases: 500}}
    prices: [{usd_per_million_tokens: {input: 1, output: 2}}]
  mini:
    provider: acme
    family: small
    aliases: [mini-latest]
    context_window: 32000
    max_output_tokens: 4000
    capabilities: [tools, vision]
    latency_ms: {p50: 900}
    quality: {chat: {value: 0.8, low: 0.69, high: 0.91, cases: 40, measured: 2026-04-01}}
    prices:
      - usd_per_million_tokens: {input: 2, output: 8}
        service_tiers: {flex: {usd_per_million_tokens: {input: 0.5, output: 1}}}
  large:
    provider: acme
    family: big
    context_window: 100000
    max_output_tokens: 8000
    quality: {chat: 0.9}
    deprecated: 2026-06-01
    retired: 2027-06-01
    prices:
      - usd_per_million_tokens: {input: 10, output: 30}
      - effective: 2026-03-01
        usd_per_million_tokens: {input: 5, output: 15}
        long_context: [{above_input_tokens: 50000, usd_per_million_tokens: {input: 10, output: 20}}]
"""

POLICY_SET = """
apiVersion: costlens-policy/v1
kind: PolicySet
metadata: {name: set, version: "1"}
policies: [%(files)s]
catalogues: [catalogue.yaml]
attributes:
  task: {type: string, default: ""}
  user: {type: string, default: ""}
%(attributes)s
defaults: {access: %(access)s, route: %(route)s, max_output_tokens: 100, max_fallbacks: %(fallbacks)d}
%(more)s
"""

HEAD = 'apiVersion: costlens-policy/v1\nkind: Policy\nmetadata: {name: %s, version: "1"}\n'

Write = Callable[..., Engine]


@pytest.fixture
def company(tmp_path: Path) -> Write:
    """Return a function that loads policies given as texts, layer by layer: ``p0``, ``p1`` and so on."""
    return writer(tmp_path)


def writer(folder: Path) -> Write:
    """Return what ``company`` does, for a folder."""

    def write(
        *policies: str,
        access: str = "allow",
        route: str = "{model: nano}",
        attributes: str = "",
        fallbacks: int = 2,
        more: str = "",
    ) -> Engine:
        files = [f"p{index}.yaml" for index in range(len(policies))]
        for index, text in enumerate(policies):
            (folder / files[index]).write_text(HEAD % f"p{index}" + text, encoding="utf-8")
        (folder / "catalogue.yaml").write_text(CATALOGUE, encoding="utf-8")
        values = {
            "files": ", ".join(files),
            "attributes": attributes,
            "access": access,
            "route": route,
            "fallbacks": fallbacks,
            "more": more,
        }
        (folder / "policy-set.yaml").write_text(POLICY_SET % values, encoding="utf-8")
        return load(folder)

    return write
