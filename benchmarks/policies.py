"""Policy sets for measurements, written into a folder as an author would."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.rules import MODELS, Rule, cel_condition

__all__ = ["DEFAULT_MODEL", "write_pipeline", "write_route_rules"]

DEFAULT_MODEL: Final = "model-default"
"""What the default route names: no rule of a workload matched."""

_HEAD: Final = "apiVersion: costlens-policy/v1\nkind: {kind}\nmetadata: {{name: {name}, version: '1'}}\n"

_SET: Final = """policies: [routes.yaml]
catalogues: [catalogue.yaml]
attributes:
  team: {{type: string, required: true}}
  task: {{type: string, required: true}}
  prompt_tokens: {{type: int, required: true}}
  cost_budget: {{type: double, required: true}}
defaults: {{access: allow, route: {{model: {default}}}, max_output_tokens: 500, max_fallbacks: 2}}
"""


def write_route_rules(folder: Path, rules: Sequence[Rule]) -> None:
    """Write a policy set with these rules as routes and nothing else."""
    _write(folder, "PolicySet", "policy-set", _SET.format(default=DEFAULT_MODEL))
    _write(folder, "Catalogue", "catalogue", _models((*MODELS, DEFAULT_MODEL)))
    _write(folder, "Policy", "routes", "routes:\n" + "".join(_route(*entry) for entry in enumerate(rules)))


def _write(folder: Path, kind: str, name: str, body: str) -> None:
    (folder / f"{name}.yaml").write_text(_HEAD.format(kind=kind, name=name) + body, encoding="utf-8")


def _route(index: int, rule: Rule) -> str:
    return f"  - {{id: r{index}, when: '{cel_condition(rule, of='request.')}', model: {rule.model}}}\n"


def _models(names: Iterable[str]) -> str:
    return "models:\n" + "".join(_model(index, name) for index, name in enumerate(names))


def _model(index: int, name: str) -> str:
    prices = f"{{input: {1 + index % 9}, output: {3 + 2 * (index % 9)}}}"
    return (
        f"  {name}:\n    context_window: {100_000 + 1000 * index}\n    max_output_tokens: 8000\n"
        f"    prices: [{{usd_per_million_tokens: {prices}}}]\n"
    )


_PIPELINE_SET: Final = """policies: [guardrails.yaml, routes.yaml]
catalogues: [catalogue.yaml]
attributes:
  team: {{type: string, required: true}}
  user: {{type: string, required: true}}
  task: {{type: string, required: true}}
  tier: {{type: string, default: standard, values: [free, standard, premium]}}
defaults: {{access: deny, route: {{model: {default}}}, max_output_tokens: 500, max_fallbacks: 2}}
"""

_GUARDRAILS: Final = """on_error: deny
access:
  - {id: known-teams, when: 'request.team.startsWith("team-")', effect: allow, reason: a team of ours}
  - {id: no-code-for-free, when: 'request.tier == "free" && request.task == "code"', effect: deny, reason: not free}
budgets:
  - {id: company-month, hard_limit_usd: 100000, window: {calendar: month}}
  - id: team-month
    scope: request.team
    hard_limit_usd: 'request.tier == "premium" ? 5000 : 500'
    window: {calendar: month}
    thresholds: [{at_ratio: 0.8, alert: 80 % is spent}, {at_ratio: 0.95, downgrade: {models: [model-0]}}]
  - {id: user-day, when: 'request.user != ""', scope: request.user, hard_limit_tokens: 2000000, window: {rolling: 24h}}
  - {id: per-call, hard_limit_usd: 0.5, window: {per_call: true}}
rewrites:
  - {id: concise, when: 'request.task == "chat"', apply: [{suffix: {text: ' Answer concisely.'}}]}
  - {id: house-style, apply: [{system: {text: Write plain English., place: before}}]}
  - {id: sober, apply: [{clamp_params: {temperature: {max: 0.7}, max_output_tokens: {max: 800}}}]}
"""

_CHOICE: Final = """routes:
  - id: cheapest
    choose:
      among: 'model.output_usd_per_million_tokens > 0.0 && model.context_window >= 32000'
      minimize: estimate.cost_usd
      limits: {max_cost_usd: 0.25}
"""


def write_pipeline(folder: Path) -> None:
    """Write a policy set of every stage: access, a choice among 50 models, four budgets and three rewrites."""
    _write(folder, "PolicySet", "policy-set", _PIPELINE_SET.format(default=DEFAULT_MODEL))
    _write(folder, "Catalogue", "catalogue", _models((*MODELS, DEFAULT_MODEL)))
    _write(folder, "Policy", "guardrails", _GUARDRAILS)
    _write(folder, "Policy", "routes", _CHOICE)
