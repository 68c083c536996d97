"""Small repositories of policies on disk."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Final

from costlens_policy.checker import check, check_all
from costlens_policy.checker.bundle import CheckedBundle
from costlens_policy.diagnostics.model import Diagnostic

HEAD: Final = 'apiVersion: costlens-policy/v1\nkind: {kind}\nmetadata: {{name: {name}, version: "1"}}\n'
SET: Final = """\
policies: [policy.yaml]
catalogues: [catalogue.yaml]
defaults:
  access: allow
  route: {model: small}
  max_output_tokens: 1000
"""
CATALOGUE: Final = """\
models:
  small: {provider: acme, prices: [{usd_per_million_tokens: {input: 0.1, output: 0.4}}]}
  large: {provider: acme, prices: [{usd_per_million_tokens: {input: 2, output: 8}}]}
"""


def write(folder: Path, policy: str = "routes: [{id: all, model: small}]", extra: str = "", **files: str) -> Path:
    """Write a policy set with one policy, its catalogue and further policies; return the folder."""
    put(folder / "policy-set.yaml", SET + dedent(extra), "PolicySet", "company")
    put(folder / "catalogue.yaml", CATALOGUE, "Catalogue", "models")
    put(folder / "policy.yaml", dedent(policy), "Policy", "team")
    for name, text in files.items():
        put(folder / f"{name}.yaml", dedent(text), "Policy", name.replace("_", "-"))
    return folder


def put(path: Path, text: str, kind: str, name: str) -> Path:
    """Write one document with its head."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD.format(kind=kind, name=name) + text, encoding="utf-8")
    return path


def found(path: Path) -> list[tuple[str, str]]:
    """Return code and message of everything found, in order."""
    return [(item.code, item.message) for item in diagnostics(path)]


def codes(path: Path) -> list[str]:
    return [item.code for item in diagnostics(path)]


def diagnostics(path: Path) -> tuple[Diagnostic, ...]:
    return check_all(path).diagnostics


def bundle(path: Path) -> CheckedBundle:
    return check(path)
