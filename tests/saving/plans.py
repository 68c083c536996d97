"""Policy sets to save and load, and plans that went through a file."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from costlens_policy import Engine, RequestError
from costlens_policy.compiler import Plan
from costlens_policy.engine.context import Balances
from costlens_policy.quantiles import Measures
from costlens_policy.saving.files import content_of, parse

__all__ = ["CATALOGUE", "POLICY", "POLICY_SET", "answer", "reloaded", "write_set"]

POLICY_SET: Final = """\
apiVersion: costlens-policy/v1
kind: PolicySet
metadata: {name: small, version: "1"}
policies: [policy.yaml]
catalogues: [catalogue.yaml]
defaults: {access: allow, route: {model: nano}, max_output_tokens: 100, max_fallbacks: 1}
"""
POLICY: Final = """\
apiVersion: costlens-policy/v1
kind: Policy
metadata: {name: routing, version: "1"}
routes:
  - id: code
    when: has(request.task) && request.task == "code"
    model: large
"""
CATALOGUE: Final = """\
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: catalogue, version: "1"}
models:
  nano: {provider: acme, prices: [{usd_per_million_tokens: {input: 1, output: 2}}]}
  large: {provider: acme, prices: [{usd_per_million_tokens: {input: 10, output: 30}}]}
"""


def write_set(folder: Path) -> Path:
    """Write a small policy set into a folder, which is made, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("policy-set", POLICY_SET), ("policy", POLICY), ("catalogue", CATALOGUE)):
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def reloaded(plan: Plan) -> Plan:
    """Return a plan that was written and read again."""
    return parse(content_of(plan, {})).plan()


def answer(
    plan: Plan, request: dict[str, Any], balances: Balances | None, now: datetime, measured: Measures | None = None
) -> str:
    """Return all that a plan says to a request: the decision with its record, or why the request is not acceptable."""
    try:
        decision = Engine(plan).decide(request, balances=balances, now=now, measured=measured)
    except RequestError as error:
        return repr(error.problems)
    return json.dumps(decision.to_dict())
