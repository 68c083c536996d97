"""Known kinds of rule sets: permits and forbids as Cedar publishes them, and priorities of a semantic router."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from costlens_policy.proof import Holds, Refuted, prove

NOW: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)
HEAD: Final = 'apiVersion: costlens-policy/v1\nkind: {}\nmetadata: {{name: main, version: "1"}}\n'
CATALOGUE: Final = (
    HEAD.format("Catalogue")
    + """\
models:
  general: {provider: acme, regions: [us, eu], prices: [{usd_per_million_tokens: {input: 0.1, output: 0.4}}]}
  math: {provider: acme, regions: [us], prices: [{usd_per_million_tokens: {input: 1, output: 4}}]}
  guarded: {provider: acme, regions: [us], prices: [{usd_per_million_tokens: {input: 2, output: 8}}]}
"""
)

# Owners may do everything with their albums, friends may view what is not private, nobody may delete what is locked.
PHOTOS: Final = """\
on_error: deny
access:
  - {id: owner, when: 'has(request.user) && request.user == request.owner', effect: allow, reason: owners may}
  - id: friends
    when: 'request.action == "view" && request.?user.orValue("") in request.?friends.orValue([])'
    effect: allow
    reason: friends may view
  - {id: private, when: 'request.private && request.?user.orValue("") != request.owner', effect: deny, reason: private}
  - {id: locked, when: 'request.action == "delete" && request.locked', effect: deny, reason: locked}
"""
PHOTO_ATTRIBUTES: Final = """\
  action: {type: string, required: true, values: [view, edit, delete]}
  owner: {type: string, required: true}
  friends: {type: list(string)}
  private: {type: bool, default: false}
  locked: {type: bool, default: false}
"""

# Safety comes before everything, then the domain of the question, then its length; the order is the priority.
ROUTER: Final = """\
on_error: skip
routes:
  - {id: jailbreak, when: request.jailbreak_score > 0.8, model: guarded}
  - {id: math, when: 'request.domain == "math" && request.complexity != "low"', model: math, fallbacks: [guarded]}
  - {id: easy, when: 'request.complexity == "low"', model: general}
"""
ROUTER_ATTRIBUTES: Final = """\
  domain: {type: string, default: other, values: [math, law, other]}
  complexity: {type: string, default: low, values: [low, medium, high]}
  jailbreak_score: {type: double, default: 0.0}
"""


def _verdict(folder: Path, policy: str, attributes: str, access: str, invariant: str) -> object:
    files = {
        "catalogue.yaml": CATALOGUE,
        "main.yaml": HEAD.format("Policy") + policy,
        "policy-set.yaml": HEAD.format("PolicySet")
        + "policies: [main.yaml]\ncatalogues: [catalogue.yaml]\nattributes:\n"
        + attributes
        + f"defaults: {{access: {access}, route: {{model: general}}, max_output_tokens: 100}}\n",
        "invariants.yaml": HEAD.format("Invariants")
        + f"policy_set: policy-set.yaml\ninvariants:\n  - {{id: p, title: t, {invariant}}}\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    found = prove([folder], now=NOW)
    assert not found.broken, found.diagnostics
    return found.proofs[0].verdict


@pytest.mark.parametrize(
    ("invariant", "expected"),
    [
        ("""when: 'request.action == "delete" && request.locked', effect: deny""", Holds),
        ("""when: 'request.action == "delete"', effect: deny""", Refuted),
        ("""when: 'request.locked && request.action != "view"', effect: deny""", Refuted),
        ("""when: '!has(request.user) && !has(request.friends)', effect: deny""", Holds),
    ],
)
def test_permits_and_forbids(invariant: str, expected: type, tmp_path: Path) -> None:
    verdict = _verdict(tmp_path, PHOTOS, PHOTO_ATTRIBUTES, "deny", invariant)
    assert isinstance(verdict, expected), verdict


@pytest.mark.parametrize(
    ("invariant", "expected"),
    [
        ("""when: request.jailbreak_score > 0.9, always: 'model.name == "guarded"'""", Holds),
        ("""when: request.jailbreak_score > 0.7, always: 'model.name == "guarded"'""", Refuted),
        ("""when: 'request.complexity == "low"', never: 'model.name == "math"'""", Holds),
        ("""when: 'request.domain == "math" && request.complexity == "high"', routed_by: [main/math]""", Refuted),
        (
            """when: 'request.domain == "math" && request.complexity == "high"', """
            """routed_by: [main/math, main/jailbreak]""",
            Holds,
        ),
        ("""when: 'request.domain == "law"', never: model.output_usd_per_million_tokens == 4.0""", Holds),
    ],
)
def test_priorities_of_a_router(invariant: str, expected: type, tmp_path: Path) -> None:
    verdict = _verdict(tmp_path, ROUTER, ROUTER_ATTRIBUTES, "allow", invariant)
    assert isinstance(verdict, expected), verdict
