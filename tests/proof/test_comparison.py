"""Two versions compared: what is equal, stricter or looser is so for every request of a small world."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
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
from tests.soak import examples

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
@settings(max_examples=examples(4), phases=[Phase.generate])
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


HEAD: Final = 'apiVersion: costlens-policy/v1\nkind: {}\nmetadata: {{name: {}, version: "1"}}\n'
MODEL: Final = (
    "{{provider: acme, latency_ms: {{p50: {}}}, prices: [{{usd_per_million_tokens: {{input: 1, output: {}}}}}]}}"
)
SMALL_SET: Final = HEAD.format("PolicySet", "s") + (
    "policies: [a.yaml]\ncatalogues: [c.yaml]\ndata: [caps.yaml]\n"
    "attributes: {tier: {type: string, values: [free, pro], required: true}, n: {type: int, required: true}}\n"
    "defaults: {access: allow, route: {model: small}, max_output_tokens: 500}\n"
)
DAY: Final = "window: {calendar: day, zone: UTC}"
SPLIT: Final = "routes:\n  - {id: r, split: {key: request.?user.orValue(''), targets: [%s]}}\n"
WAIVED: Final = "routes:\n  - {id: r, model: big, fallbacks: [small]%s}\n"
CHOICE: Final = "routes:\n  - {id: r, choose: {minimize: estimate.cost_usd%s}}\n"
CLAMP: Final = "apply: [{clamp_params: {max_output_tokens: {max: 50}}}]"


def _two(rule: str, *, turned: bool = False) -> str:
    """Return two rules that no request meets both of."""
    rules = [f"  - {{id: {name}, when: request.n {test} 3, {rule}}}\n" for name, test in (("x", ">"), ("y", "<"))]
    return "".join(rules[::-1] if turned else rules)


def _small(folder: Path, policy: str) -> Path:
    folder.mkdir()
    models = f"models:\n  small: {MODEL.format(100, 2)}\n  big: {MODEL.format(900, 9)}\n"
    (folder / "c.yaml").write_text(HEAD.format("Catalogue", "c") + models)
    (folder / "caps.yaml").write_text(HEAD.format("Data", "caps") + "data: {free: 9.0, pro: 10.0}\n")
    (folder / "policy-set.yaml").write_text(SMALL_SET)
    (folder / "a.yaml").write_text(HEAD.format("Policy", "a") + "on_error: deny\n" + policy)
    return folder / "policy-set.yaml"


def _limited(limit: str, more: str = DAY) -> str:
    return f"budgets:\n  - {{id: m, scope: request.tier, hard_limit_usd: {limit}, {more}}}\n"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # Limits are compared by what they come to; nothing of it is blamed on routes.
        (_limited("10"), _limited("'request.tier == \"pro\" ? 10.0 : 11.0'"), {"budgets": "looser"}),
        (_limited("'request.tier == \"pro\" ? 10.0 : 11.0'"), _limited("10"), {"budgets": "stricter"}),
        (_limited("10"), _limited("'request.n > 3 ? 9.0 : 11.0'"), {"budgets": "neither"}),
        (_limited("10"), _limited("'request.n > 3 ? 10.0 : 10.0'"), {}),
        (_limited("10"), _limited("'data.caps[request.tier]'"), {"budgets": "stricter"}),
        (_limited("'request.tier == \"pro\" ? 10.0 : 9.0'"), _limited("'data.caps[request.tier]'"), {}),
        (_limited("'double(request.n)'"), _limited("'double(request.n)'"), {}),
        (_limited("10"), _limited("10", DAY.replace("UTC", "Europe/Berlin")), {"budgets": "neither"}),
        (_limited("10"), _limited("10", DAY + ", thresholds: [{at_ratio: 0.5, alert: half}]"), {"budgets": "neither"}),
        (
            _limited("10", DAY + ", overflow: p") + f"  - {{id: p, hard_limit_usd: 3, {DAY}}}\n",
            _limited("10") + f"  - {{id: p, hard_limit_usd: 3, {DAY}}}\n",
            {"budgets": "neither"},
        ),
        # Keys that make no difference.
        (SPLIT % "{model: small, weight: 50}, {model: big, weight: 50}",
         SPLIT % "{model: small, weight: 5}, {model: big, weight: 5}", {}),
        (SPLIT % "{model: small, weight: 50}, {model: big, weight: 50}",
         SPLIT % "{model: small, weight: 5}, {model: big, weight: 6}", {"routes": "neither"}),
        (WAIVED % "", WAIVED % ", waive_terms_for: [downgrades]", {}),
        (WAIVED % "", "routes:\n  - {id: other, models: [big, small]}\n", {}),
        (CHOICE % "", CHOICE % ", limits: {max_latency_ms: 900}", {}),
        (CHOICE % "", CHOICE % ", limits: {max_latency_ms: 899}", {"routes": "stricter"}),
        # Order matters where two rules may meet.
        ("routes:\n" + _two("model: big"), "routes:\n" + _two("model: big", turned=True), {}),
        ("rewrites:\n" + _two(CLAMP), "rewrites:\n" + _two(CLAMP, turned=True), {}),
    ],
)  # fmt: skip
def test_stages_are_compared_each_by_itself(old: str, new: str, expected: dict[str, str], tmp_path: Path) -> None:
    compared = compare(check(_small(tmp_path / "old", old)), check(_small(tmp_path / "new", new)), NOW)
    assert _verdicts(compared) == _EQUAL | expected, compared.to_dict()


_TIERS: Final = ("free", "pro")
_NUMBERS: Final = range(6)


@st.composite
def _limits(draw: st.DrawFn, depth: int = 2) -> tuple[str, Callable[[str, int], float | None]]:
    """Draw a limit as CEL and as Python side by side; None where it is no number from zero on."""
    kind = draw(st.sampled_from(["number", "tier", "n", "table", "sum", "index"] if depth else ["number"]))
    if kind == "number":
        value = draw(st.sampled_from([1.0, 2.0, 2.5, 4.0]))
        return str(value), lambda tier, n: value
    if kind == "table":
        return "data.caps[request.tier]", lambda tier, n: {"free": 9.0, "pro": 10.0}[tier]
    if kind == "sum":
        return "double(request.n) + 1.0", lambda tier, n: None if n < -1 else n + 1.0
    if kind == "index":
        return '{"pro": 3.0}[request.tier]', lambda tier, n: {"pro": 3.0}.get(tier)
    one, other = draw(_limits(depth - 1)), draw(_limits(depth - 1))
    bound = draw(st.sampled_from(_NUMBERS))
    condition = 'request.tier == "pro"' if kind == "tier" else f"request.n > {bound}"

    def limit(tier: str, n: int) -> float | None:
        return (one if (tier == "pro" if kind == "tier" else n > bound) else other)[1](tier, n)

    return f"{condition} ? ({one[0]}) : ({other[0]})", limit


@given(_limits(), _limits())
@settings(max_examples=examples(5), phases=[Phase.generate], deadline=None)
def test_limits_are_compared_by_what_they_come_to(
    tmp_path_factory: pytest.TempPathFactory,
    old: tuple[str, Callable[[str, int], float | None]],
    new: tuple[str, Callable[[str, int], float | None]],
) -> None:
    agree_on_limits(tmp_path_factory.mktemp("limits"), old, new)


def agree_on_limits(
    folder: Path,
    old: tuple[str, Callable[[str, int], float | None]],
    new: tuple[str, Callable[[str, int], float | None]],
) -> str:
    """Assert that what is said of limits is so for each of some requests; return the verdict."""
    sets = [_small(folder / name, _limited(json.dumps(text))) for name, (text, _) in (("old", old), ("new", new))]
    try:
        compared = compare(sets[0], sets[1], NOW)
    except PolicyError:
        assume(False)
    verdict = _verdicts(compared)["budgets"]
    pairs = [(old[1](tier, n), new[1](tier, n)) for tier in _TIERS for n in range(-3, 8)]
    directions = {_direction(*pair) for pair in pairs} - {""}
    expected = "neither" if len(directions) > 1 else next(iter(directions), "equal")
    if verdict == "unknown":
        assert {item.direction for item in compared.stages[3].differences} <= directions
    elif verdict != expected:  # what other numbers would show is beyond this small world
        assert verdict == "neither" or expected == "equal", (old[0], new[0], verdict, expected)
        assert "request.n" in old[0] + new[0], (old[0], new[0], verdict, expected)
    return verdict


def _direction(old: float | None, new: float | None) -> str:
    if old is None or new is None:
        return "" if old is new else "stricter" if new is None else "looser"
    return "stricter" if new < old else "looser" if new > old else ""
