"""Requests that kill: survivors for which a person would know one at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from costlens_policy.testing import run_suites
from costlens_policy.testing.coverage.items import Reach
from costlens_policy.testing.mutation.formats import render_text
from costlens_policy.testing.mutation.results import Fate, Verdict
from costlens_policy.testing.mutation.run import mutate

SET = """\
apiVersion: costlens-policy/v1
kind: PolicySet
metadata: {name: s, version: "1"}
policies: [policy.yaml]
catalogues: [catalogue.yaml]
attributes:
  prio: {type: int, default: 0}
  score: {type: double, default: 0.5}
  flag: {type: bool, default: false}
defaults: {access: allow, route: {model: mini, fallbacks: [small]}, max_output_tokens: 500}
"""
CATALOGUE = """\
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: c, version: "1"}
models:
  mini: {family: gpt, context_window: 100000, prices: [{usd_per_million_tokens: {input: 1, output: 2}}]}
  small: {family: claude, context_window: 90000, prices: [{usd_per_million_tokens: {input: 1, output: 4}}]}
  big: {family: gpt, context_window: 200000, prices: [{usd_per_million_tokens: {input: 9, output: 30}}]}
"""
SUITE = """\
apiVersion: costlens-policy/v1
kind: Suite
metadata: {name: t, version: "1"}
policy_set: policy-set.yaml
now: 2026-11-02T12:00:00Z
cases:
  - {name: some, request: {metadata: {k: b}, prompt: hi, prio: 1, user: u}, expect: {effect: allow}}
"""
HEAD = 'apiVersion: costlens-policy/v1\nkind: Policy\nmetadata: {name: p, version: "1"}\non_error: deny\n'
FAILING = """\
  - {id: a, when: 'request.metadata["k"] == "a"', model: big}
"""
SPLIT = """\
  - id: canary
    when: "true"
    split:
      key: request.user
      targets: [{weight: 95, id: most, model: mini}, {weight: 5, id: few, model: big}]
"""
OVERFLOWS = """\
budgets:
  - {id: main, hard_limit_usd: 100, window: {calendar: day, zone: UTC}, overflow: reserve}
  - {id: reserve, hard_limit_usd: 10, window: {calendar: day, zone: UTC}}
"""
SUFFIX = """\
rewrites:
  - {id: r, when: request.prio > 3, apply: [{suffix: {text: A}}]}
"""
SCORE = """\
  - {id: r, when: 'double(request.metadata.get("score", "0")) * 3.0 > 0.5', model: big}
"""
DIVIDED = """\
access:
  - {id: d, when: 10 / request.prio > 4 && request.flag, effect: deny, reason: d}
"""
REFUND = """\
routes:
  - {id: r, when: 'request.prompt.contains("refund") && size(request.prompt) > 20', model: big}
"""


def written(folder: Path, policy: str) -> Path:
    for name, text in (("policy", HEAD + policy), ("policy-set", SET), ("catalogue", CATALOGUE), ("a_test", SUITE)):
        (folder / f"{name}.yaml").write_text(text)
    return folder / "a_test.yaml"


def survivor(folder: Path, policy: str, what: str) -> Verdict:
    run = mutate([written(folder, policy)], jobs=1, cache=False, only=lambda mutant: mutant.what == what)
    (verdict,) = run.sets[0].verdicts
    assert verdict.fate is Fate.SURVIVED
    return verdict


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        ("routes:\n" + SPLIT, "`model: big` becomes `mini`"),
        ("routes:\n" + SPLIT, "the share `few` gets no key"),
        ("routes:\n" + FAILING, "`model: big` becomes `mini`"),
        ("routes:\n" + FAILING + SUFFIX, "`>` becomes `>=`"),
        ("routes:\n" + FAILING + SUFFIX, "`text` is another text"),
        (OVERFLOWS, "`hard_limit_usd: 10` becomes `11`"),
        (OVERFLOWS, "`hard_limit_usd: 10` becomes `9`"),
        (DIVIDED, "`4` becomes `5`"),
        (REFUND, "`>` becomes `>=`"),
        (REFUND, '`request.prompt.contains("refund")` is dropped'),
    ],
)
def test_a_kill_is_found(tmp_path: Path, policy: str, what: str):
    assert survivor(tmp_path, policy, what).kill is not None


@pytest.mark.parametrize("policy", [OVERFLOWS, REFUND])
def test_coverage_shows_the_same(tmp_path: Path, policy: str):
    run = run_suites([written(tmp_path, policy)], explain=True)
    items = [item for each in run.coverage for of in each.policies for item in of.items if not item.covered]
    assert items
    assert {(item.name, str(item.reach)) for item in items if str(item.reach) == "undecided"} == set()


@pytest.mark.parametrize("what", ["`calendar: day` becomes `week`", "`zone` is dropped"])
def test_no_case_can_notice_a_window(tmp_path: Path, what: str):
    run = mutate([written(tmp_path, OVERFLOWS)], jobs=1, cache=False, only=lambda mutant: mutant.what == what)
    assert {item.fate for item in run.sets[0].verdicts} == {Fate.UNTESTABLE}
    assert "not counted: 2 of windows, which no case can notice" in render_text(run)
    assert run.score is None


def test_a_survivor_says_what_is_not_decided(tmp_path: Path):
    policy = "routes:\n" + SCORE
    run = mutate([written(tmp_path, policy)], jobs=1, cache=False)
    reasons = [
        (item.mutant.what, item.by) for item in run.sets[0].verdicts if item.fate is Fate.SURVIVED and item.kill is None
    ]
    assert reasons
    assert all("`request.metadata.score`" in reason for _, reason in reasons), reasons


def test_a_condition_that_fails_does_not_match_first(tmp_path: Path):
    policy = "routes:\n" + FAILING + "  - {id: b, when: request.flag, model: small}\n"
    suite = written(tmp_path, policy)
    suite.write_text(SUITE.replace("{k: b}", "{}").replace("effect: allow", "effect: deny"))
    rules = {item.name: item for item in run_suites([suite]).coverage[0].rules}
    assert (
        rules["p/b"].why == "no case reaches it: the condition of `p/a` always fails first, which refuses the request"
    )


def test_what_check_reports_as_never_serving_needs_no_case(tmp_path: Path):
    policy = """\
routes:
  - id: r
    when: request.flag
    choose: {among: 'model.family == "gpt"', minimize: model.output_usd_per_million_tokens}
    fallbacks: [small]
"""
    run = run_suites([written(tmp_path, policy)], explain=True)
    (item,) = (item for of in run.coverage[0].policies for item in of.items if "fallback `small`" in item.detail)
    assert item.reach is Reach.NO_REQUEST
