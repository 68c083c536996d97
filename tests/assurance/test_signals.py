"""Signals are inputs like any: with their labels and ranges, absent where they may be, and given to the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from costlens_policy.assurance import examine
from costlens_policy.checker import check
from costlens_policy.proof import prove

_HEAD: Final = 'apiVersion: costlens-policy/v1\nkind: {}\nmetadata: {{name: {}, version: "1"}}\n'
SIGNALS: Final = """\
signals:
  task: {labels: {code: [{words: [python]}], chat: [{words: [hello]}]}}
  share: {share: code, default: 0}
  words: {length: words, default: 0}
  risk: {external: {range: [0, 100]}}
"""


def write(folder: Path, routes: str, invariants: str = "") -> Path:
    files = {
        "set": _HEAD.format("PolicySet", "company")
        + "policies: [policy.yaml]\ncatalogues: [catalogue.yaml]\nsignals: [signals.yaml]\n"
        + "defaults: {access: allow, route: {model: mini}, max_output_tokens: 100}\n",
        "signals": _HEAD.format("Signals", "prompts") + SIGNALS,
        "policy": _HEAD.format("Policy", "policy") + f"on_error: skip\nroutes:\n{routes}",
        "catalogue": _HEAD.format("Catalogue", "models")
        + "models:\n  mini: {prices: [{usd_per_million_tokens: {input: 1, output: 4}}]}\n"
        + "  large: {prices: [{usd_per_million_tokens: {input: 2, output: 8}}]}\n",
    }
    if invariants:
        files["invariants"] = (
            _HEAD.format("Invariants", "promises") + f"policy_set: set.yaml\ninvariants:\n{invariants}"
        )
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("condition", "constant"),
    [
        ("signals.share > 1.0", True),
        ("signals.share >= 1.0", False),
        ("signals.words < 0", True),
        ("signals.words > 20000", True),
        ("signals.words >= 20000", False),
        ("has(signals.risk) && signals.risk > 100.0", True),
        ("has(signals.risk) && signals.risk < 0.5", False),
        ('has(signals.task) && signals.task != "code" && signals.task != "chat"', True),
        ("!has(signals.task)", False),
        ("!has(signals.share)", True),
    ],
)
def test_a_condition_outside_the_range_never_holds(condition: str, constant: bool, tmp_path: Path) -> None:
    write(tmp_path, f"  - {{id: a, when: '{condition}', model: large}}\n")
    bundle = check(tmp_path)
    codes = {item.code for item in (*bundle.warnings, *examine(bundle))}
    assert bool(codes & {"CL423", "CL434"}) is constant, codes


INVARIANTS: Final = """\
  - id: code
    title: code goes to the large model
    when: has(signals.task) && signals.task == "code"
    always: model.name == "large"
  - id: risk
    title: a high risk goes to the large model
    when: has(signals.risk) && signals.risk >= 80.0
    always: model.name == "large"
  - id: rest
    title: all else goes to the small model
    when: '!has(signals.task) && !has(signals.risk)'
    always: model.name == "mini"
"""


def test_invariants_over_signals_are_proved_and_refuted_with_values_of_signals(tmp_path: Path) -> None:
    routes = (
        "  - {id: code, when: 'has(signals.task) && signals.task == \"code\"', model: large}\n"
        "  - {id: risky, when: 'has(signals.risk) && signals.risk > 80.0', model: large}\n"
    )
    proofs = prove([write(tmp_path, routes, INVARIANTS)])
    found = {proof.invariant.id: proof.to_dict() for proof in proofs.proofs}
    verdicts = {name: proof["verdict"] for name, proof in found.items()}
    assert verdicts == {"code": "holds", "risk": "refuted", "rest": "holds"}
    assert found["risk"]["witness"]["request"]["signals"]["risk"] == 80.0


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ('has(signals.task) && signals.task == "cod"', "CL313"),
        ('signals.?task.orValue("") == "cod"', "CL313"),
        ('signals.?task.orValue("none") == "none"', ""),
        ('has(signals.task) && signals.task in ["code", "chats"]', "CL313"),
        ('signals.task == "code"', "CL314"),
    ],
)
def test_labels_that_are_not_declared_and_unguarded_reads_are_reported(
    condition: str, code: str, tmp_path: Path
) -> None:
    write(tmp_path, f"  - {{id: a, when: '{condition}', model: large}}\n")
    codes = {item.code for item in check(tmp_path).warnings} - {"CL232"}
    assert codes == ({code} if code else set())
