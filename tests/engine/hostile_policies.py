"""Policy sets with thousands of rules, made on disk. Run as a program this loads one and decides with it."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from costlens_policy import load

__all__ = ["RULES", "decided", "write"]

RULES: Final = 3_000
_HEAD: Final = 'apiVersion: costlens-policy/v1\nkind: {kind}\nmetadata: {{name: {name}, version: "1"}}\n'
_SET: Final = """\
policies: [policy.yaml]
catalogues: [catalogue.yaml]
attributes: {number: {type: int, required: true}}
defaults: {access: allow, route: {model: small}, max_output_tokens: 100}
"""
_CATALOGUE: Final = """\
models:
  small: {provider: acme, prices: [{usd_per_million_tokens: {input: 0.1, output: 0.4}}]}
  large: {provider: acme, prices: [{usd_per_million_tokens: {input: 2, output: 8}}]}
"""


def write(folder: Path) -> Path:
    """Write a policy set with thousands of rules of each kind of condition: some can be indexed, some cannot."""
    for name, kind, text in (
        ("policy-set", "PolicySet", _SET),
        ("catalogue", "Catalogue", _CATALOGUE),
        ("policy", "Policy", "\n".join(_rules())),
    ):
        path = folder / f"{name}.yaml"
        path.write_text(_HEAD.format(kind=kind, name=name) + text + "\n", encoding="utf-8")
    return folder


def _rules() -> Iterator[str]:
    yield "on_error: deny"
    yield "access:"
    for number in range(RULES // 3):
        when = f"request.number == {number} && request.?task.orValue('') == 'forbidden'"
        yield f'  - {{id: a-{number}, effect: deny, reason: no, when: "{when}"}}'
    yield "routes:"
    for number in range(RULES):
        when = (
            f"request.number == {number}",
            f"request.?team.orValue('').startsWith('team-{number}-')",
            f"request.number * 7 % 3001 == {number * 7 % 3001} && request.?team.orValue('') != 'x'",
        )[number % 3]
        yield f'  - {{id: r-{number}, model: large, when: "{when}"}}'


def decided(folder: Path) -> list[str]:
    """Return who decided: the first rule, the last ones of each kind, none, and a deny."""
    engine = load(folder)
    requests = (
        {"number": 0},
        {"number": RULES - 3},
        {"number": RULES + 1, "team": f"team-{RULES - 2}-x"},
        {"number": RULES - 1},
        {"number": 10**6 * 3001 + RULES},
        {"number": RULES // 3 - 1, "task": "forbidden"},
    )
    decisions = [engine.decide({"prompt": "x", **request}) for request in requests]
    return [decision.effect if not decision.allowed else f"{decision.model} {decision.rule}" for decision in decisions]


if __name__ == "__main__":
    limit = int(sys.argv[2]) * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    print(json.dumps(decided(Path(sys.argv[1]))))  # noqa: T201 - this is what the caller reads
