"""The command and the library: what the reference policies promise, refutations as tests, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from costlens_policy.cli.app import app
from costlens_policy.proof import Holds, Refuted, Unknown, prove
from costlens_policy.testing import run_suites
from tests.conftest import ROOT

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
HEAD = 'apiVersion: costlens-policy/v1\nkind: {}\nmetadata: {{name: main, version: "1"}}\n'
CATALOGUE = HEAD.format("Catalogue") + (
    "models:\n"
    "  small: {provider: acme, regions: [us, eu], prices: [{usd_per_million_tokens: {input: 0.1, output: 0.4}}]}\n"
    "  opus: {provider: acme, regions: [us], prices: [{usd_per_million_tokens: {input: 5, output: 25}}]}\n"
)
SET = HEAD.format("PolicySet") + (
    "policies: [main.yaml]\ncatalogues: [catalogue.yaml]\n"
    "attributes: {region: {type: string, default: us, values: [us, eu]}}\n"
    "defaults: {access: allow, route: {model: small}, max_output_tokens: 1000}\n"
)
CODING = '  - {id: coding, when: \'request.?task.orValue("") == "coding"\', model: opus}\n'
INTERNS = '  - {id: interns, when: \'request.?team.orValue("") == "interns"\', model: small}\n'
CHEAP = (
    '  - id: interns-stay-cheap\n    title: interns stay cheap\n    when: request.?team.orValue("") == "interns"\n'
    "    never: model.output_usd_per_million_tokens > 10.0\n"
)


def _written(folder: Path, policy: str, invariants: str, policy_set: str = SET) -> Path:
    files = {
        "catalogue": CATALOGUE,
        "policy-set": policy_set,
        "main": HEAD.format("Policy") + "on_error: deny\n" + policy,
        "invariants": HEAD.format("Invariants") + "policy_set: policy-set.yaml\ninvariants:\n" + invariants,
    }
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def _verdict(folder: Path) -> object:
    found = prove([folder], now=NOW)
    assert not found.broken, found.diagnostics
    (proof,) = found.proofs
    return proof.verdict


def test_the_reference_policies_keep_what_they_promise() -> None:
    found = prove([ROOT / "policies"], now=NOW)
    assert len(found.of(Holds)) == len(found.proofs) >= 14


@pytest.mark.parametrize(
    ("edits", "broken"),
    [
        ({"data-residency": ('"eu" in model.regions', '"us" in model.regions')}, "eu-data-stays-in-the-eu"),
        (
            {"restricted-data": ("!model.external", "model.external"), "data-residency": ("house-llama", "gpt-5")},
            "restricted-data-stays-in-house",
        ),
        ({"pii-redaction": ("when: model.external", "when: model.fine_tuned")}, "personal-data-stays-inside"),
        ({"cost-caps": ("0.002 :", "0.2 :")}, "free-calls-are-cheap"),
    ],
)
def test_a_defect_in_the_reference_policies_is_not_proved(
    edits: dict[str, tuple[str, str]], broken: str, tmp_path: Path
) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(ROOT / "policies", folder)
    for name, (old, new) in edits.items():
        text = (folder / f"{name}.yaml").read_text()
        assert old in text
        (folder / f"{name}.yaml").write_text(text.replace(old, new))
    found = prove([folder], now=NOW)
    assert not found.broken
    assert broken in [proof.invariant.id for proof in found.proofs if not isinstance(proof.verdict, Holds)]


def test_the_smallest_request_refutes(tmp_path: Path) -> None:
    verdict = _verdict(_written(tmp_path, f"routes:\n{CODING}{INTERNS}", CHEAP))
    assert isinstance(verdict, Refuted)
    assert verdict.witness.request == {"team": "interns", "task": "coding"}
    assert verdict.breach.model == "opus"
    assert isinstance(_verdict(_written(tmp_path, f"routes:\n{INTERNS}{CODING}", CHEAP)), Holds)


def test_a_model_that_a_threshold_adds_refutes(tmp_path: Path) -> None:
    budget = (
        "budgets:\n  - id: month\n    hard_limit_usd: 10\n    window: {calendar: month, zone: UTC}\n"
        "    thresholds: [{at_ratio: 0.5, downgrade: {models: [opus]}}]\n"
    )
    route = "routes:\n  - {id: all, model: small, waive_terms_for: [downgrades]}\n"
    verdict = _verdict(_written(tmp_path, route + budget, CHEAP))
    assert isinstance(verdict, Refuted)
    assert verdict.witness.balances[("main/month", "")].used >= 5 - 1
    kept = _verdict(_written(tmp_path, route.replace(", waive_terms_for: [downgrades]", "") + budget, CHEAP))
    assert isinstance(kept, Holds)


def test_what_is_only_searched_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "z3", None)  # the solver would decide it
    rule = 'access:\n  - {id: no, when: request.?user.orValue("x").matches("b.d"), effect: deny, reason: "no"}\n'
    promise = '  - {id: p, title: t, when: request.?user.orValue("x").contains("really bad"), effect: deny}\n'
    verdict = _verdict(_written(tmp_path, rule, promise))
    assert isinstance(verdict, Unknown)
    assert "matches" in verdict.why
    assert "costlens-policy[prove]" in verdict.why


def test_prices_to_come_count(tmp_path: Path) -> None:
    folder = _written(tmp_path, "routes:\n  - {id: all, model: small}\n", CHEAP)
    assert isinstance(_verdict(folder), Holds)
    price = "{usd_per_million_tokens: {input: 0.1, output: 0.4}}"
    later = "{effective: 2027-01-01, usd_per_million_tokens: {input: 9, output: 30}}"
    text = CATALOGUE.replace(f"[{price}]", f"[{price}, {later}]")
    (folder / "catalogue.yaml").write_text(text)
    verdict = _verdict(folder)
    assert isinstance(verdict, Refuted)
    assert verdict.witness.now.year == 2027


@pytest.mark.parametrize(
    ("claim", "policy"),
    [
        ("never: model.output_usd_per_million_tokens > 10.0", "routes:\n  - {id: all, model: opus}\n"),
        ("effect: deny", "routes:\n  - {id: all, model: small}\n"),
        ("effect: allow", "access:\n  - {id: no, when: has(request.user), effect: deny, reason: never}\n"),
        ("routed_by: [main/one]", "routes:\n  - {id: one, when: has(request.user), model: small}\n"),
        ("rewritten_by: [main/r]", "rewrites:\n  - {id: r, when: has(request.user), apply: [{prefix: {text: x}}]}\n"),
        ("max_cost_usd: 0.001", "routes:\n  - {id: all, model: small}\n"),
        ("redacted: [phone]", "rewrites:\n  - {id: r, when: has(request.user), apply: [{redact: {kinds: [phone]}}]}\n"),
        (
            "system_contains: Be kind",
            "rewrites:\n  - {id: r, when: has(request.user), apply: [{system: {text: Be kind}}]}\n",
        ),
        (
            "params: {max_tokens: {max: 400}}",
            "rewrites:\n  - {id: r, apply: [{clamp_params: {max_tokens: {max: 500}}}]}\n",
        ),
        (
            "params: {n: {absent: true}}",
            "rewrites:\n  - {id: r, when: has(request.user), apply: [{remove_params: [n]}]}\n",
        ),
        (
            "rewritten_in_order: [main/s, main/p]",
            "rewrites:\n  - {id: p, apply: [{prefix: {text: x}}]}\n  - {id: s, apply: [{suffix: {text: x}}]}\n",
        ),
    ],
)
def test_a_refutation_is_a_failing_case(claim: str, policy: str, tmp_path: Path) -> None:
    folder = _written(tmp_path, policy, f"  - {{id: p, title: a promise, {claim}}}\n")
    run = CliRunner().invoke(app, ["prove", str(folder), "--save-case", str(folder / "refuted_test.yaml")])
    assert run.exit_code == 4, run.output
    suite = run_suites([folder / "refuted_test.yaml"])
    assert not suite.diagnostics, suite.diagnostics
    assert suite.exit_code == 4


def test_states_of_budgets_are_those_that_ledgers_have(tmp_path: Path) -> None:
    """Calls are whole, and the limit is what its expression gives: nobody has set another one."""
    route = 'routes:\n  - {id: a, when: \'budgets["b"].used > 1.0 && budgets["b"].used < 3.0\', model: opus}\n'
    budget = "budgets:\n  - {id: b, hard_limit_requests: 4, window: {calendar: day, zone: UTC}}\n"
    verdict = _verdict(_written(tmp_path, route + budget, "  - {id: p, title: t, never: 'model.name == \"opus\"'}\n"))
    assert isinstance(verdict, Refuted)
    assert [balance.used for balance in verdict.witness.balances.values()] == [2]
    narrow = route.replace("1.0", "1.2").replace("3.0", "1.8")
    kept = _verdict(_written(tmp_path, narrow + budget, "  - {id: p, title: t, never: 'model.name == \"opus\"'}\n"))
    assert isinstance(kept, Holds)
    worked_out = budget.replace("_requests: 4", "_usd: 'request.region == \"eu\" ? 20.0 : 1.0'")
    limited = "routes:\n  - {id: a, when: 'budgets[\"b\"].limit > 5.0', model: opus}\n"
    promise = "  - {{id: p, title: t, when: 'request.region == \"{}\"', never: 'model.name == \"opus\"'}}\n"
    for region, kind in (("eu", Refuted), ("us", Unknown)):
        assert isinstance(_verdict(_written(tmp_path, limited + worked_out, promise.format(region))), kind)


def test_json_has_the_witness(tmp_path: Path) -> None:
    folder = _written(tmp_path, f"routes:\n{CODING}", CHEAP)
    run = CliRunner().invoke(app, ["prove", str(folder), "--format", "json"])
    (proof,) = json.loads(run.stdout)["invariants"]
    assert (proof["id"], proof["verdict"], proof["model"]) == ("interns-stay-cheap", "refuted", "opus")
    assert proof["witness"]["request"] == {"team": "interns", "task": "coding"}


def test_nothing_to_prove(tmp_path: Path) -> None:
    (tmp_path / "set.yaml").write_text(SET)
    run = CliRunner().invoke(app, ["prove", str(tmp_path)])
    assert run.exit_code == 3


def test_errors_are_not_proved(tmp_path: Path) -> None:
    folder = _written(tmp_path, f"routes:\n{CODING}", CHEAP.replace("output_usd", "outptu_usd"))
    run = CliRunner().invoke(app, ["prove", str(folder)])
    assert run.exit_code == 1
    assert "CL302" in run.stderr
    broken = _written(tmp_path, "routes:\n  - {id: a, when: request.nothing, model: small}\n", CHEAP)
    run = CliRunner().invoke(app, ["prove", str(broken)])
    assert run.exit_code == 1


def test_what_protects_is_applied_even_where_failing_rules_are_skipped(tmp_path: Path) -> None:
    rule = "rewrites:\n  - {{id: r, apply: [{}]}}\n"
    promise = "  - {id: p, title: t, rewritten_by: [main/r]}\n"
    for operation, kind in (("redact: {kinds: [email]}", Holds), ("prefix: {text: x}", Unknown)):
        folder = _written(tmp_path, rule.format(f"{{{operation}}}"), promise)
        text = (folder / "main.yaml").read_text().replace("on_error: deny", "on_error: skip")
        (folder / "main.yaml").write_text(text)
        assert isinstance(_verdict(folder), kind), operation


@pytest.mark.parametrize(
    ("condition", "team"),
    [
        ('request.team > "\\uffff"', "\uffff"),
        ('request.team >= "m" && request.team < "n"', "m"),
        ('request.team.startsWith("Z") && request.team > "Zz" && request.team < "a"', "Zz"),
        ('request.team < "\\u0001" && request.team != ""', "\0"),
        ("request.?prompt_tokens.orValue(0) > 9007199254740992.0", None),
    ],
)
def test_texts_in_order_and_numbers_beyond_doubles(condition: str, team: str | None, tmp_path: Path) -> None:
    route = f"routes:\n  - {{id: some, when: 'has(request.team) && {condition}', model: opus}}\n"
    verdict = _verdict(_written(tmp_path, route, "  - {id: p, title: t, never: 'model.name == \"opus\"'}\n"))
    if team is None:
        assert not isinstance(verdict, Holds)  # no request has so many tokens, which is not known
    else:
        assert isinstance(verdict, Refuted)
        assert verdict.witness.request["team"].startswith(team)


def test_an_invariant_that_takes_long_leaves_time_for_the_others(tmp_path: Path) -> None:
    promises = "".join(f"  - {{id: p{index}, title: t, effect: allow}}\n" for index in range(4))
    found = prove([_written(tmp_path, f"routes:\n{CODING}", promises)], now=NOW, limit_s=4e-3)
    assert len(found.proofs) == 4


def test_the_limit_of_time_ends_it(tmp_path: Path) -> None:
    found = prove([_written(tmp_path, f"routes:\n{INTERNS}{CODING}", CHEAP)], now=NOW, limit_s=1e-9)
    assert isinstance(found.proofs[0].verdict, Unknown)
    assert found.proofs[0].verdict.why == "the limit of time is reached"


def test_a_suite_is_about_one_policy_set(tmp_path: Path) -> None:
    folders = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        folders.append(str(_written(tmp_path / name, f"routes:\n{CODING}", CHEAP)))
    (tmp_path / "three").mkdir()
    run = CliRunner().invoke(app, ["prove", *folders, str(tmp_path / "three"), "--save-case", str(tmp_path / "x.yaml")])
    assert "name one of them" in run.stderr
    assert run.exit_code not in (0, 4)
