"""Small policy sets and traffic for replay."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costlens_policy import load
from costlens_policy.compiler.plan import Plan
from costlens_policy.replay import READY, ColumnMapping, Settings, Traffic, read_traffic

CATALOGUE = """
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: c, version: "1.0.0"}
models:
  large:
    provider: p
    context_window: 100000
    max_output_tokens: 8000
    quality: {coding: {value: 0.9, low: 0.85, high: 0.95}, extraction: 0.83, summarization: {value: 0.8, cases: 50}}
    prices:
      - usd_per_million_tokens: {input: 5, cache_read: 0.5, cache_write: 6.25, cache_write_1h: 10, output: 25}
      - effective: 2026-07-01
        usd_per_million_tokens: {input: 4, cache_read: 0.4, cache_write: 5, cache_write_1h: 8, output: 20}
  small:
    provider: p
    context_window: 20000
    max_output_tokens: 8000
    quality: {coding: {value: 0.88, low: 0.7, high: 0.9}, extraction: 0.8, summarization: 0.6}
    prices: [{usd_per_million_tokens: {input: 1, output: 5}}]
  free-of-price: {provider: p}
  nightly:
    provider: p
    context_window: 100000
    max_output_tokens: 8000
    prices:
      - usd_per_million_tokens:
          {input: 6, cache_read: 0.3, output: 30, input_audio: 60, output_audio: 90, reasoning: 40}
        service_tiers:
          flex: {usd_per_million_tokens: {input: 3, output: 15}}
          priority:
            usd_per_million_tokens: {input: 9, output: 50}
            long_context: [{above_input_tokens: 900, usd_per_million_tokens: {input: 11}}]
        hours:
          - {start: "16:30", end: "00:30", usd_per_million_tokens: {input: 4, output: 25}}
"""
SET = """
apiVersion: costlens-policy/v1
kind: PolicySet
metadata: {name: s, version: "1.0.0"}
policies: [policy.yaml]
catalogues: [catalogue.yaml]
admit: {unpriced_models: true}
defaults: {access: allow, route: {model: large}, max_output_tokens: 1000}
"""
SHARED = (
    SET
    + """
data: [tables.yaml]
variables:
  row: 'data.tables.teams[request.team]'
  is_vip: request.?team.orValue("") == data.tables.vip
"""
)
TABLES = """
apiVersion: costlens-policy/v1
kind: Data
metadata: {name: tables, version: "1"}
data:
  vip: vip
  tokens: 5000
  teams: {a: {usd: 1, tier: gold}, vip: {usd: 2.5, tier: tin}}
  users: [u1, u2, "a\\0b"]
"""
POLICY = """
apiVersion: costlens-policy/v1
kind: Policy
metadata: {name: p, version: "1.0.0"}
on_error: skip
"""
NOTHING = """
routes:
  - {id: never, when: 'has(request.team) && request.team == "nobody"', model: small}
"""


@pytest.fixture
def plan_of(tmp_path) -> Callable[..., Plan]:
    """Return a function that makes a plan of one policy's sections."""

    def make(sections: str = NOTHING, name: str = "set", policy_set: str = SET) -> Plan:
        return load(folder_of(tmp_path / name, sections, policy_set)).plan

    return make


def folder_of(folder: Path, sections: str = NOTHING, policy_set: str = SET) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "catalogue.yaml").write_text(CATALOGUE)
    (folder / "policy-set.yaml").write_text(policy_set)
    (folder / "policy.yaml").write_text(POLICY + sections)
    if "data:" in policy_set:
        (folder / "tables.yaml").write_text(TABLES)
    return folder


def call(at: str = "10:00:00", **fields: Any) -> dict[str, Any]:
    """Return one row of traffic."""
    return {"time": f"2026-06-01T{at}Z", "prompt_tokens": 1000, "output_tokens": 100, **fields}


@pytest.fixture
def traffic_of(tmp_path) -> Callable[..., Traffic]:
    """Return a function that reads rows as JSON lines."""

    def make(
        plan: Plan, rows: list[Any], mapping: ColumnMapping = READY["plain"], settings: Settings | None = None
    ) -> Traffic:
        path = tmp_path / "traffic.jsonl"
        path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
        return read_traffic([str(path)], mapping, plan, Settings().start)

    return make
