"""Refutations as a suite: its cases fail as long as the policy set does not keep what it promises."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from costlens_policy.assurance import Witness
from costlens_policy.catalogue.writing import yaml_lines
from costlens_policy.documents.invariants import Invariant, ParameterBounds
from costlens_policy.engine.decision import json_value
from costlens_policy.errors import InputError
from costlens_policy.proof.proofs import Proof
from costlens_policy.proof.sent import DATA
from costlens_policy.proof.verdicts import Refuted

__all__ = ["suite_of"]


def suite_of(proofs: Sequence[Proof], file: Path) -> str:
    """Return the text of a suite, for a file, with a case for each refutation of one policy set.

    Raises ``InputError`` where they are of several.
    """
    sets = {proof.policy_set for proof in proofs}
    if len(sets) > 1:
        raise InputError(f"a suite tests one policy set, and invariants of {len(sets)} are refuted; name one of them")
    folder = os.path.dirname(os.path.realpath(file))
    document: dict[str, Any] = {
        "apiVersion": "costlens-policy/v1",
        "kind": "Suite",
        "metadata": {"name": "refuted-invariants", "version": "1.0.0"},
        "policy_set": os.path.relpath(os.path.realpath(sets.pop()), folder),
        "cases": [_case(proof) for proof in proofs],
    }
    return "\n".join(yaml_lines(document)) + "\n"


def _case(proof: Proof) -> dict[str, Any]:
    assert isinstance(proof.verdict, Refuted)
    witness = proof.verdict.witness
    found: dict[str, Any] = {"name": f"{proof.invariant.title} ({proof.invariant.id})"[:200]}
    found["request"] = json_value(witness.request)
    found["now"] = witness.now
    if witness.balances:
        found["balances"] = list(_balances(witness))
    found["expect"] = _expected(proof, proof.verdict)
    return found


def _balances(witness: Witness) -> Iterable[dict[str, Any]]:
    for (budget, key), balance in witness.balances.items():
        held = {"held": balance.held} if balance.held else {}
        yield {"budget": budget, "key": key, "used": balance.used, **held}


def _expected(proof: Proof, refuted: Refuted) -> dict[str, Any]:
    """Return what an invariant expects of the decision that breaks it."""
    invariant, decision, model = proof.invariant, refuted.witness.decision, refuted.breach.model
    if invariant.effect is not None:
        return {"effect": invariant.effect}
    if invariant.routed_by:
        return {"rule": invariant.routed_by[0]}
    if invariant.always is not None or invariant.never is not None:
        return {"not_served_by": [model]}
    expected = _expected_call(invariant)
    return expected if model == decision.model else {"fallback_calls": [{"model": model, **expected}]}


def _expected_call(invariant: Invariant) -> dict[str, Any]:
    """Return what an invariant expects of a call that breaks it."""
    if rules := invariant.rewritten_by or invariant.rewritten_in_order:
        return {"rewrites": list(rules)}
    if invariant.redacted:
        return {"prompt": {"excludes": [DATA[kind] for kind in invariant.redacted]}}
    if invariant.system_contains is not None:
        return {"system": {"contains": [invariant.system_contains]}}
    if invariant.params:
        return {"params": {name: _value(bounds) for name, bounds in invariant.parameters.items()}}
    return {"estimate": {"max_cost_usd": invariant.max_cost_usd}}


def _value(bounds: ParameterBounds) -> Any:
    """Return the value that a parameter has at the edge of its bounds; None where it is to be absent."""
    return next((value for value in (bounds.equals, bounds.max, bounds.min) if value is not None), None)
