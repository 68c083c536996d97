"""Policy sets made for a few conditions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from costlens_policy.checker import CheckedBundle, check

ATTRIBUTES = """\
  tier: {type: string, default: free, values: [free, pro, team]}
  paid: {type: bool}
  age: {type: int}
  score: {type: double}
  groups: {type: list(string)}
  note: {type: string}
"""
CATALOGUE = """\
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: models, version: "1"}
models:
  small: {provider: acme, prices: [{usd_per_million_tokens: {input: 0.1, output: 0.4}}]}
  large: {provider: acme, prices: [{usd_per_million_tokens: {input: 2, output: 8}}]}
"""


def checked(
    folder: Path,
    *,
    denies: Sequence[str] = (),
    routes: Sequence[str] = (),
    budgets: str = "",
    attributes: str = ATTRIBUTES,
    on_error: str = "skip",
    variables: Sequence[str] = (),
) -> CheckedBundle:
    """Return a policy set whose denies and routes have these conditions."""
    lines = [
        f'apiVersion: costlens-policy/v1\nkind: Policy\nmetadata: {{name: p, version: "1"}}\non_error: {on_error}\n'
    ]
    if variables:
        lines.append("variables:\n")
    lines += [f"  part{n}: {json.dumps(text)}\n" for n, text in enumerate(variables)]
    if denies:
        lines.append("access:\n")
    lines += [
        f"  - {{id: deny-{n}, when: {json.dumps(when)}, effect: deny, reason: no}}\n" for n, when in enumerate(denies)
    ]
    if routes:
        lines.append("routes:\n")
    lines += [f"  - {{id: route-{n}, when: {json.dumps(when)}, model: small}}\n" for n, when in enumerate(routes)]
    (folder / "p.yaml").write_text("".join(lines) + budgets)
    (folder / "models.yaml").write_text(CATALOGUE)
    (folder / "set.yaml").write_text(
        'apiVersion: costlens-policy/v1\nkind: PolicySet\nmetadata: {name: s, version: "1"}\npolicies: [p.yaml]\n'
        f"catalogues: [models.yaml]\nattributes:\n{attributes}"
        "defaults: {access: allow, route: {model: small}, max_output_tokens: 1000}\n"
    )
    return check(folder)
