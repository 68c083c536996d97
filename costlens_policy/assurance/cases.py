"""The requests that show findings as a suite: its cases pass as long as they are decided as they are today."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from costlens_policy.catalogue.writing import yaml_lines
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["cases_of", "suite_text"]


def cases_of(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Return a case for each request that shows a finding, which expects what is decided on it today."""
    cases: list[dict[str, Any]] = []
    for item in diagnostics:
        for at, witness in enumerate(item.witnesses):
            number = f" ({at + 1})" if len(item.witnesses) > 1 else ""
            cases.append({"name": f"{item.code}: {item.message}"[:180] + number, **_case(witness.data)})
    return cases


def _case(data: Any) -> dict[str, Any]:
    balances = list(_balances(data["balances"]))
    decided = data["decision"]
    expected = {"effect": decided["effect"], "rule": decided["rule"]}
    if decided["model"] is not None:
        expected["model"] = decided["model"]
    return {
        "request": data["request"],
        "now": datetime.fromisoformat(data["now"]),
        **({"balances": balances} if balances else {}),
        "expect": expected,
    }


def _balances(balances: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for item in balances:
        amounts = {name: Decimal(item[name]) for name in ("used", "held", "override") if item.get(name) is not None}
        if amounts.get("held") == 0:
            del amounts["held"]
        yield {"budget": item["budget"], "key": item["key"], **amounts}


def suite_text(policy_set: Path, cases: list[dict[str, Any]], file: Path) -> str:
    """Return the text of a suite that stands in a file, with cases of a policy set."""
    folder = os.path.dirname(os.path.realpath(file))
    document: dict[str, Any] = {
        "apiVersion": "costlens-policy/v1",
        "kind": "Suite",
        "metadata": {"name": "findings", "version": "1.0.0"},
        "policy_set": os.path.relpath(os.path.realpath(policy_set), folder),
        "cases": cases,
    }
    return "\n".join(yaml_lines(document)) + "\n"
