"""Two versions compared: what is equal, stricter or looser is so for every request of a small world."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from costlens_policy import load
from costlens_policy.checker import check
from costlens_policy.cli.app import app
from costlens_policy.compiler.plan import Plan
from costlens_policy.diagnostics.model import PolicyError
from costlens_policy.engine.access import decide_access, refused_model
from costlens_policy.engine.decide import models_for, open_context
from costlens_policy.proof import Comparison, compare
from tests.conftest import ROOT
from tests.proof.worlds import MODELS, Moment, World, moments, worlds

NOW: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)
EVERY: Final = tuple(moments())
SAMPLE: Final = 300


def _verdicts(compared: Comparison) -> dict[str, str]:
    return {stage.name: stage.verdict for stage in compared.stages}


def _permitted(plan: Plan, moment: Moment) -> frozenset[str]:
    """Return the models that access lets serve; none where it refuses the request."""
    context = open_context(plan, moment.request, moment.balances, moment.now)
    access = decide_access(context)
    if not access.allowed:
        return frozenset()
    return frozenset(name for name in MODELS if refused_model(context, access, context.priced_model(name)) is None)


@given(worlds(), worlds(), st.sets(st.sampled_from(["access", "routes", "rewrites", "budgets"])))
@settings(max_examples=12, phases=[Phase.generate])
def test_verdicts_are_true_of_every_request(
    tmp_path_factory: pytest.TempPathFactory, world: World, other: World, changed: set[str]
) -> None:
    agree(tmp_path_factory.mktemp("versions"), world, other, changed)


def agree(folder: Path, world: World, other: World, changed: set[str]) -> dict[str, str]:
    """Compare a policy set with one in which some sections are those of another one."""
    policy = dict(world.documents["rules.yaml"])
    policy |= {section: other.documents["rules.yaml"].get(section, []) for section in changed}
    plans = []
    bundles = []
    for name, rules in (("old", world.documents["rules.yaml"]), ("new", policy)):
        (folder / name).mkdir()
        world.write(folder / name)
        (folder / name / "rules.yaml").write_text(json.dumps(rules))
        try:
            bundles.append(check(folder / name / "policy-set.yaml"))
        except PolicyError:
            assume(False)
        plans.append(load(folder / name / "policy-set.yaml", cache=False).plan)
    compared = compare(*bundles, NOW)
    verdicts = _verdicts(compared)
    for section in {"access", "routes", "rewrites", "budgets"} - changed:
        assert verdicts[section] == "equal", (section, compared)
    for moment in random.Random(5).sample(EVERY, SAMPLE):
        old, new = (_permitted(plan, moment) for plan in plans)
        assert verdicts["access"] != "equal" or old == new, (moment, world.documents, policy)
        assert verdicts["access"] != "stricter" or new <= old, (moment, world.documents, policy)
        assert verdicts["access"] != "looser" or old <= new, (moment, world.documents, policy)
        if set(verdicts.values()) == {"equal"}:
            served = [models_for(plan, moment.request, moment.balances, moment.now).may_serve for plan in plans]
            assert served[0] == served[1], (moment, world.documents, policy)
    return verdicts


def _edited(folder: Path, name: str, *edits: tuple[str, str, str]) -> Path:
    """Copy the reference policies with some texts replaced: the file, what stands there, and what comes instead."""
    (folder / name).mkdir()
    for file in (ROOT / "policies").glob("*.yaml"):
        (folder / name / file.name).write_text(file.read_text())
    for stem, old, new in edits:
        file = folder / name / f"{stem}.yaml"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
    return folder / name


def _stages(folder: Path, *edits: tuple[str, str, str]) -> dict[str, str]:
    old, new = _edited(folder, "old"), _edited(folder, "new", *edits)
    return _verdicts(compare(check(old / "policy-set.yaml"), check(new / "policy-set.yaml"), NOW))


_EQUAL: Final = {"access": "equal", "routes": "equal", "rewrites": "equal", "budgets": "equal"}


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ((), {}),
        ([("tier-access", "> 8000", "> 4000")], {"access": "stricter"}),
        ([("tier-access", "> 8000", "> 8000.0")], {}),
        ([("tier-access", "> 8000", ">= 8001")], {}),
        ([("tier-access", '!= "free"', 'in ["standard", "premium"]')], {}),
        ([("restricted-data", '"restricted"', '"restricted" && request.tier != "premium"')], {"access": "looser"}),
        ([("restricted-data", '"restricted"', '"confidential"')], {"access": "neither"}),
        ([("task-routing", "fallbacks: [gpt-5-nano]", "fallbacks: []")], {"routes": "stricter"}),
        ([("task-routing", "fallbacks: [gpt-5-nano]", "fallbacks: [gpt-5-nano, gpt-5]")], {"routes": "looser"}),
        ([("task-routing", '"translation"]', '"translation", "chat"]')], {"routes": "neither"}),
        ([("cost-caps", "hard_limit_usd: 500", "hard_limit_usd: 400")], {"budgets": "stricter"}),
        ([("cost-caps", "hard_limit_usd: 500", "hard_limit_usd: 600")], {"budgets": "looser"}),
        ([("cost-caps", "at_ratio: 0.8", "at_ratio: 0.7")], {"budgets": "neither"}),
        ([("tier-access", "max: 512", "max: 256")], {"rewrites": "neither"}),
        ([("concise-prompts", '== "gpt-5-nano"', 'in ["gpt-5-nano", "gpt-5-mini"]')], {"rewrites": "stricter"}),
        ([("policy-set", "default: internal", "default: confidential")], {"access": "unknown", "rewrites": "unknown"}),
        ([("policy-set", "max_output_tokens: 1024", "max_output_tokens: 2048")], {"routes": "neither"}),
    ],
)
def test_stages_of_the_reference_policies(
    edits: list[tuple[str, str, str]], expected: dict[str, str], tmp_path: Path
) -> None:
    found = _stages(tmp_path, *edits)
    assert found | expected == found
    if "policy-set" not in {edit[0] for edit in edits}:
        assert found == _EQUAL | expected


def test_a_difference_shows_both_decisions(tmp_path: Path) -> None:
    old, new = _edited(tmp_path, "old"), _edited(tmp_path, "new", ("tier-access", "> 8000", "> 4000"))
    run = CliRunner().invoke(app, ["prove", str(old), str(new), "--format", "json"])
    assert run.exit_code == 0, run.output
    (difference,) = json.loads(run.stdout)["stages"]["access"]["differences"]
    witness = difference["witness"]
    assert 4000 < witness["request"]["prompt_tokens"] <= 8000
    assert (witness["old_decision"]["effect"], witness["decision"]["effect"]) == ("allow", "deny")


def test_what_is_looser_fails_where_it_must_not_be(tmp_path: Path) -> None:
    old, new = _edited(tmp_path, "old"), _edited(tmp_path, "new", ("tier-access", "> 8000", "> 4000"))
    assert CliRunner().invoke(app, ["prove", str(old), str(new), "--no-looser"]).exit_code == 0
    run = CliRunner().invoke(app, ["prove", str(new), str(old), "--no-looser"])
    assert run.exit_code == 7
    assert "access    looser" in run.stdout


def test_a_git_revision_is_a_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _edited(tmp_path, "policies")
    monkeypatch.chdir(tmp_path)
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"],
    ):
        subprocess.run(["git", *command], check=True)
    file = folder / "tier-access.yaml"
    file.write_text(file.read_text().replace("> 8000", "> 9000"))
    run = CliRunner().invoke(app, ["prove", "HEAD:policies", "policies"])
    assert run.exit_code == 0, run.output
    assert "access    looser" in run.stdout


def test_two_folders_without_policy_sets_are_no_versions(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["prove", str(tmp_path), str(tmp_path)]).exit_code == 3
    assert CliRunner().invoke(app, ["prove", str(tmp_path), "--no-looser"]).exit_code == 2
    assert CliRunner().invoke(app, ["prove", str(tmp_path / "nothing")]).exit_code == 2


def test_the_limit_of_time_ends_a_comparison(tmp_path: Path) -> None:
    bundles = []
    for tier in ("free", "standard"):
        folder = tmp_path / tier
        shutil.copytree(ROOT / "policies", folder)
        text = (folder / "tier-access.yaml").read_text()
        assert '"free"' in text
        (folder / "tier-access.yaml").write_text(text.replace('"free"', f'"{tier}"'))
        bundles.append(check(folder))
    compared = compare(*bundles, NOW, limit_s=1e-9)
    assert _verdicts(compared)["access"] == "unknown"
    assert "the limit of time is reached" in str(compared.to_dict())
