"""The mutants of whole policy sets: edits of their texts that mean what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from costlens_policy.checker.whole import check_set
from costlens_policy.compiler import compile_plan
from costlens_policy.source.compose import compose
from costlens_policy.source.read import source_of
from costlens_policy.testing.mutation.changed import InvalidMutantError, Workshop
from costlens_policy.testing.mutation.mutant import Edit, diff_of, edited
from costlens_policy.testing.mutation.pen import Pen
from costlens_policy.testing.mutation.rules import mutants_of
from tests.guard.company import write_company

ROOT = Path(__file__).parents[3]
SETS = [ROOT / "policies" / "policy-set.yaml", *sorted(ROOT.glob("examples/*/policy-set.yaml"))]


@pytest.mark.parametrize("file", SETS, ids=lambda file: file.parent.name)
def test_every_mutant_can_be_read_and_tells_itself_apart(file: Path):
    bundle, _ = check_set(file, ())
    assert bundle is not None
    workshop = Workshop(bundle, compile_plan(bundle))
    mutants = list(mutants_of(bundle))
    assert len({mutant.key for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        composed = compose(source_of(workshop.text_of(mutant)))
        assert not [item for item in composed.diagnostics if item.is_error], mutant
        assert list(diff_of(workshop.documents[mutant.document].located.source.text, mutant.edits)), mutant


def test_a_mutant_decides_as_its_text_does():
    bundle, _ = check_set(SETS[0], ())
    assert bundle is not None
    workshop = Workshop(bundle, compile_plan(bundle))
    for mutant in list(mutants_of(bundle))[::9]:
        try:
            plan = workshop.plan_of(mutant)
        except InvalidMutantError:
            continue
        name = workshop.documents[mutant.document].located.source.name
        again, problems = check_set(SETS[0], (), source_of(workshop.text_of(mutant), name))
        if again is not None:
            assert compile_plan(again).policy_digest == plan.policy_digest != workshop._plan.policy_digest
        else:
            assert any(problem.is_error for problem in problems)


YAML = """\
a:
  # first
  - id: x
    when: >-
      foo
      bar
    apply:
      - redact:
          kinds: [email, phone]
  # second
  - id: y  # note
    when: one && two

b: [1, 2, 3]
c: {max: 5}
d: 'it''s'
"""


def change(make) -> str:
    located = compose(source_of(YAML)).documents[0]
    return edited(YAML, make(Pen(located)))


def test_items_and_entries_are_dropped():
    assert "first\n  # second" in change(lambda pen: pen.dropped(("a", 0)))
    assert change(lambda pen: pen.dropped(("a", 1))).endswith(YAML[YAML.index("\nb:") :])
    assert "- id: x\n    apply:" in change(lambda pen: pen.dropped(("a", 0, "when")))
    assert "- when: >-" in change(lambda pen: pen.dropped(("a", 0, "id")))
    assert "b: [2, 3]" in change(lambda pen: pen.dropped(("b", 0)))
    assert "b: [1, 2]" in change(lambda pen: pen.dropped(("b", 2)))
    assert "c:" not in change(lambda pen: pen.dropped(("c", "max")))  # with its last entry, the map goes, too


def test_values_change_places():
    text = change(lambda pen: pen.swapped(("a", 0), ("a", 1)))
    assert re.search(r"first\n  - id: y .*second\n  - id: x", text, re.DOTALL)


def test_texts_keep_their_style():
    assert ">-\n      !(foo\n      bar)" in change(
        lambda pen: pen.text(("a", 0, "when"), [Edit(0, 0, "!("), Edit(7, 7, ")")])
    )
    assert "when: '!(one && two)'" in change(
        lambda pen: pen.text(("a", 1, "when"), [Edit(0, 0, "!("), Edit(10, 10, ")")])
    )
    assert "when: one || two" in change(lambda pen: pen.text(("a", 1, "when"), [Edit(4, 6, "||")]))
    assert "d: 'it''d'" in change(lambda pen: pen.text(("d",), [Edit(3, 4, "d")]))


def test_a_budget_with_several_windows_is_changed_window_by_window(tmp_path: Path):
    policy = """
budgets:
  - id: plan
    scope: request.team
    windows:
      - {id: session, window: {from_first_use: 5h}, hard_limit_usd: 0.005}
      - {id: week, window: {calendar: week}, hard_limit_usd: 0.01, carry_over: {}}
"""
    write_company(tmp_path / "p", policy)
    bundle, _ = check_set(tmp_path / "p" / "policy-set.yaml", ())
    assert bundle is not None
    workshop = Workshop(bundle, compile_plan(bundle))
    mutants = [mutant for mutant in mutants_of(bundle) if mutant.path[0] == "budgets"]
    assert len({mutant.key for mutant in mutants}) == len(mutants)
    assert "`carry_over` is dropped" in {mutant.what for mutant in mutants}
    limits = {mutant.what: workshop.plan_of(mutant) for mutant in mutants if mutant.what.startswith("`hard_limit")}
    assert len(limits) == 4
