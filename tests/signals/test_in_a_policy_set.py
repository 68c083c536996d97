"""Signals of a policy set wherever its plan goes: caches, files, pickles, bundles; and what a review sees change."""

from __future__ import annotations

import os
import pickle
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from costlens_policy import Engine, PolicyError, load, load_plan
from costlens_policy.bundles import build
from costlens_policy.decision_log import decide_again
from costlens_policy.decision_log.entries import decision_entry
from costlens_policy.engine.mask import Mask
from costlens_policy.engine.record import RuleOutcome, record_of
from costlens_policy.signals import Signal
from costlens_policy.signals.learned import written
from tests.signals.learned.models import TASKS

_HEAD: Final = 'apiVersion: costlens-policy/v1\nkind: {}\nmetadata: {{name: {}, version: "1"}}\n'
CODE: Final = {"prompt": "def function(x): def function(y)"}


def write(folder: Path, model: str, digest: str = "") -> Path:
    digest = digest or sha256(model.encode()).hexdigest()
    files = {
        "set.yaml": _HEAD.format("PolicySet", "company")
        + "policies: [policy.yaml]\ncatalogues: [catalogue.yaml]\nsignals: [signals/prompts.yaml]\n"
        + "defaults: {access: allow, route: {model: mini}, max_output_tokens: 100}\n",
        "signals/prompts.yaml": _HEAD.format("Signals", "prompts")
        + f'signals:\n  task: {{learned: {{model: task.json, digest: "sha256:{digest}"}}, min_confidence: 0.5}}\n',
        "signals/task.json": model,
        "policy.yaml": _HEAD.format("Policy", "policy")
        + f"on_error: skip\nroutes:\n  - {{id: a, when: 'has(signals.task) && signals.task == \"{TASKS.labels[0]}\"',"
        + " model: large}\n",
        "catalogue.yaml": _HEAD.format("Catalogue", "models")
        + "models:\n  mini: {prices: [{usd_per_million_tokens: {input: 1, output: 4}}]}\n"
        + "  large: {prices: [{usd_per_million_tokens: {input: 2, output: 8}}]}\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    return write(tmp_path / "policies", written(TASKS))


def outcome(engine: Engine) -> object:
    decision = engine.decide(CODE)
    return decision.rule, decision.request["signals"], decision.plan.policy_digest


def test_a_learned_signal_decides_and_is_explained(folder: Path) -> None:
    decision = load(folder, cache=False).decide(CODE)
    label = decision.request["signals"]["task"]
    assert label in TASKS.labels
    (note,) = [note for note in record_of(decision).stages[0].notes if note.startswith("`signals.task`")]
    assert note.startswith(f'`signals.task` = "{label}", confidence ')
    assert "by `" in note


@pytest.mark.parametrize("read", ["signals.?task", "request.?signals.?task", "request.signals.?task"])
def test_only_what_is_read_is_worked_out_also_to_explain(folder: Path, read: str, monkeypatch) -> None:
    declared, worked_out = folder / "signals/prompts.yaml", []
    declared.write_text(declared.read_text() + "  size: {length: characters}\n")
    (folder / "policy.yaml").write_text(
        _HEAD.format("Policy", "policy") + f"routes:\n  - {{id: a, when: '{read}.hasValue()', model: large}}\n"
    )
    monkeypatch.setattr(Signal, "value_of", _counting(Signal.value_of, worked_out))
    decision = load(folder, cache=False).decide(CODE)
    assert [*decision.request["signals"]] == ["task"]
    assert record_of(decision).stages[2].rules[0].outcome is RuleOutcome.MATCHED
    assert set(worked_out) == {"task"}


def _counting(value_of, names: list[str]):
    def counted(signal: Signal, found: object) -> object:
        names.append(signal.name)
        return value_of(signal, found)

    return counted


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize(
    ("make", "message"),
    [(os.mkdir, "is a folder, not a file"), (getattr(os, "mkfifo", None), "is a named pipe, not a file")],
)
def test_a_model_must_be_a_file(folder: Path, make, message: str) -> None:
    (folder / "signals/task.json").unlink()
    make(folder / "signals/task.json")
    with pytest.raises(PolicyError, match=f"`task.json` {message}"):
        load(folder, cache=False)


def test_it_goes_where_its_plan_goes(folder: Path, tmp_path: Path) -> None:
    engine = load(folder, cache=False)
    expected = outcome(engine)
    engine.save(tmp_path / "plan")
    assert outcome(load_plan(tmp_path / "plan")) == expected
    assert outcome(Engine(pickle.loads(pickle.dumps(engine.plan)))) == expected
    bundle = build(folder)
    (tmp_path / "a.bundle").write_bytes(bundle.packed)
    assert outcome(load(tmp_path / "a.bundle")) == expected
    assert build(folder).packed == bundle.packed
    assert "signals/task.json" in bundle.manifest.files


def test_a_cached_plan_is_not_used_for_another_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSTLENS_POLICY_CACHE", str(tmp_path / "cache"))
    expected = outcome(load(folder))
    assert outcome(load(folder)) == expected
    (folder / "signals/task.json").write_text(written(TASKS) + "\n", encoding="utf-8")
    with pytest.raises(PolicyError, match="CL230"):
        load(folder)


def test_a_record_without_texts_is_decided_again_the_same(folder: Path) -> None:
    engine = load(folder, cache=False)
    decision = engine.decide(CODE)
    entry = decision_entry(decision, "one", False, Mask(), record=False)
    assert "prompt" in entry["masked"]
    assert entry["request"]["signals"] == decision.request["signals"]
    assert decide_again(engine, entry).verdict == "same"
    del entry["request"]["signals"]
    assert decide_again(engine, entry).why == "signals are worked out from what is masked: `signals.task`"


@pytest.mark.parametrize("outside", ["../../task.json", "/etc/passwd"])
def test_a_model_stays_inside_the_repository(folder: Path, outside: str) -> None:
    path = folder / "signals/prompts.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("task.json", outside), encoding="utf-8")
    with pytest.raises(PolicyError, match="CL204"):
        load(folder, cache=False)
