"""Finding policy sets, and linking what they name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from costlens_policy.checker import check, check_all
from costlens_policy.diagnostics.model import PolicyError
from tests.checker.repository import CATALOGUE, SET, bundle, codes, diagnostics, found, put, write


def test_a_folder_gives_its_bundle(tmp_path: Path) -> None:
    linked = bundle(write(tmp_path)).linked
    assert linked.policy_set.name == "company"
    assert [policy.name for policy in linked.policies] == ["team"]
    assert sorted(linked.catalogue.models) == ["large", "small"]
    assert linked.attributes["team"].type.name == "string"
    assert {os.path.basename(name) for name in linked.sources} >= {"policy-set.yaml", "policy.yaml", "catalogue.yaml"}


def test_the_file_of_a_set_gives_the_same(tmp_path: Path) -> None:
    write(tmp_path)
    assert bundle(tmp_path / "policy-set.yaml").linked.policy_set.name == "company"


def test_several_paths_are_one_question(tmp_path: Path) -> None:
    write(tmp_path)
    paths = [tmp_path / name for name in ("policy.yaml", "policy-set.yaml", "catalogue.yaml")]
    assert check(paths).linked.policy_set.name == "company"


def test_a_set_at_the_top_is_the_one_that_is_loaded_and_those_below_are_checked_too(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path / "examples" / "other")
    assert len(check_all(tmp_path).bundles) == 2
    assert bundle(tmp_path).linked.policy_set.located.source.name == str(tmp_path / "policy-set.yaml")


def test_a_broken_set_at_the_top_is_not_replaced_by_one_below(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path / "examples" / "other")
    (tmp_path / "policy-set.yaml").write_text((tmp_path / "policy-set.yaml").read_text() + "policies: [a: b: c]\n")
    with pytest.raises(PolicyError, match="CL005"):
        check(tmp_path)


def test_several_sets_below_are_all_checked_and_none_is_loaded(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b")
    assert len(check_all(tmp_path).bundles) == 2
    with pytest.raises(PolicyError, match="CL202") as caught:
        check(tmp_path)
    (problem,) = caught.value.diagnostics
    assert len(problem.related) == 1
    assert "policy-set.yaml" in problem.help


@pytest.mark.parametrize("name", ["nothing", "policy.yaml"])
def test_no_set_is_a_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "nothing").mkdir()
    put(tmp_path / "policy.yaml", "routes: []", "Policy", "alone")
    with pytest.raises(PolicyError, match="CL201"):
        check(tmp_path / name)


@pytest.mark.parametrize("name", ["missing.yaml", "missing/", "a\0b", "x" * 5000])
def test_a_path_that_does_not_exist_is_no_exception(tmp_path: Path, name: str) -> None:
    with pytest.raises(PolicyError, match="CL001"):
        check(os.path.join(tmp_path, name))
    assert [item.code for item in check_all(os.path.join(tmp_path, name)).diagnostics] == ["CL001"]


def test_hidden_folders_and_other_tools_files_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path / ".hidden" / "other", policy="routes: 5")
    write(tmp_path / ".venv" / "other", policy="routes: 5")
    (tmp_path / "deployment.yaml").write_text("apiVersion: apps/v1\nkind: Deployment\n")
    (tmp_path / "policy-of-another-kind.yaml").write_text("apiVersion: kyverno.io/v1\nkind: Policy\n")
    (tmp_path / "template.yaml").write_text("name: {{ not yaml }}: [\n")
    assert diagnostics(tmp_path) == ()


def test_loose_documents_are_checked_by_themselves(tmp_path: Path) -> None:
    write(tmp_path)
    put(tmp_path / "loose.yaml", "routes: [{id: a, when: request.own > 1 +, model: small}]", "Policy", "loose")
    put(tmp_path / "suite_test.yaml", "policy_set: policy-set.yaml\ncases: 5", "Suite", "suite")
    assert codes(tmp_path) == ["CL216", "CL301", "CL105"]


def test_a_loose_policy_may_read_attributes_of_a_set_that_is_not_there(tmp_path: Path) -> None:
    path = put(tmp_path / "loose.yaml", "routes: [{id: a, when: request.own > 1, model: any}]", "Policy", "loose")
    assert codes(path) == ["CL216"]
    put(path, "routes: [{id: a, when: unknown > 1, model: any}]", "Policy", "loose")
    assert codes(path) == ["CL216", "CL302"]


def test_a_policy_named_alone_is_checked_with_its_set(tmp_path: Path) -> None:
    put(tmp_path / "policy-set.yaml", SET.replace("policy.yaml", "teams/policy.yaml"), "PolicySet", "company")
    put(tmp_path / "catalogue.yaml", CATALOGUE, "Catalogue", "models")
    path = put(tmp_path / "teams" / "policy.yaml", "routes: [{id: a, model: smal}]", "Policy", "team")
    assert codes(path) == ["CL208"]


def test_errors_of_one_policy_do_not_hide_those_of_another(tmp_path: Path) -> None:
    write(tmp_path, policy="routes: [{id: a, when: request.modle, model: smal}]", broken="routes: 5")
    text = (tmp_path / "policy-set.yaml").read_text()
    (tmp_path / "policy-set.yaml").write_text(text.replace("[policy.yaml]", "[broken.yaml, policy.yaml]"))
    assert sorted(codes(tmp_path)) == ["CL105", "CL208", "CL302"]


def test_a_broken_catalogue_does_not_make_every_model_unknown(tmp_path: Path) -> None:
    write(tmp_path)
    put(tmp_path / "catalogue.yaml", "models: {small: {color: red}}", "Catalogue", "models")
    assert codes(tmp_path) == ["CL103"]


def test_a_file_may_hold_several_policies(tmp_path: Path) -> None:
    write(tmp_path)
    second = (tmp_path / "policy.yaml").read_text().replace("name: team", "name: other").replace("id: all", "id: b")
    (tmp_path / "policy.yaml").write_text((tmp_path / "policy.yaml").read_text() + "\n---\n" + second)
    assert [policy.name for policy in bundle(tmp_path).linked.policies] == ["team", "other"]


def test_links_may_not_leave_the_repository(tmp_path: Path) -> None:
    inside, outside = tmp_path / "repository", tmp_path / "elsewhere"
    write(inside)
    (inside / ".git").mkdir()
    (inside / "policy.yaml").unlink()
    outside.mkdir()
    put(outside / "policy.yaml", "routes: [{id: all, model: small}]", "Policy", "team")
    (inside / "policy.yaml").symlink_to(outside / "policy.yaml")
    assert codes(inside) == ["CL204"]


def test_a_link_out_of_the_repository_is_not_read_when_found(tmp_path: Path) -> None:
    inside, outside = tmp_path / "repository", tmp_path / "elsewhere"
    write(inside)
    (inside / ".git").mkdir()
    path = put(outside / "secret.yaml", "key: not for the eyes of a reviewer", "Policy", "secret")
    (inside / "harmless.yaml").symlink_to(path)
    (told,) = diagnostics(inside)
    assert (told.code, told.is_error) == ("CL204", False)
    assert "harmless.yaml" in told.message
    assert codes(inside / "harmless.yaml") == ["CL103"]


def test_a_link_to_a_folder_outside_is_reported_where_it_holds_documents(tmp_path: Path) -> None:
    inside, outside = tmp_path / "repository", tmp_path / "elsewhere"
    write(inside)
    (inside / ".git").mkdir()
    put(outside / "below" / "policy.yaml", "routes: [{id: all, model: small}]", "Policy", "team")
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "other.yaml").write_text("kind: Build")
    (inside / "teams").symlink_to(outside)
    (inside / "build-out").symlink_to(tmp_path / "build")
    (told,) = diagnostics(inside)
    assert (told.code, told.is_error) == ("CL204", False)
    assert "teams` links to a folder outside" in told.message


def test_links_inside_the_repository_are_followed(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "policy.yaml").rename(tmp_path / "real.yaml")
    (tmp_path / "policy.yaml").symlink_to("real.yaml")
    assert codes(tmp_path) == []


def test_a_circle_of_links_is_a_missing_file(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "policy.yaml").unlink()
    (tmp_path / "policy.yaml").symlink_to("other.yaml")
    (tmp_path / "other.yaml").symlink_to("policy.yaml")
    assert "CL203" in codes(tmp_path)


def test_without_git_the_repository_is_what_was_named(outside_git: Path) -> None:
    here = outside_git / "so" / "deep"  # so deep that the folders of other tests are not near it
    put(here / "sets" / "policy-set.yaml", SET.replace("policy.yaml", "../policy.yaml"), "PolicySet", "company")
    put(here / "sets" / "catalogue.yaml", CATALOGUE, "Catalogue", "models")
    put(here / "policy.yaml", "routes: [{id: all, model: small}]", "Policy", "team")
    assert codes(here / "sets") == ["CL204"]
    assert codes(here) == []


def test_attributes_narrow_the_standard_ones(tmp_path: Path) -> None:
    extra = """
    attributes:
      team: {type: string, required: true}
      cost_budget: {type: double, default: 0.01}
      groups: {type: list(string), default: [a]}
    """
    attributes = bundle(write(tmp_path, extra=extra)).linked.attributes
    assert attributes["team"].required
    assert attributes["cost_budget"].default == pytest.approx(0.01)
    assert isinstance(attributes["cost_budget"].default, float)
    assert attributes["groups"].default == ["a"]
    assert attributes["task"].always_there is False
    assert attributes["team"].description


def test_unknown_models_in_every_place(tmp_path: Path) -> None:
    policy = """
    routes:
      - {id: a, when: has(request.task), models: [one], fallbacks: [two]}
      - id: b
        when: has(request.user)
        split: {key: request.user, targets: [{model: three, weight: 1}, {model: small, weight: 1}]}
      - {id: c, when: has(request.team), choose: {models: [four], minimize: estimate.cost_usd}}
    budgets:
      - id: d
        hard_limit_usd: 1
        window: {calendar: day}
        thresholds: [{at_ratio: 0.5, downgrade: {models: [five]}}]
    """
    messages = [message for code, message in found(write(tmp_path, policy)) if code == "CL208"]
    assert [message.split("`")[1] for message in messages] == ["one", "two", "three", "four", "five"]


@pytest.mark.parametrize("admit", ["", "admit: {unknown_models: true}"])
def test_a_misspelt_model_that_a_rule_admits_is_told_and_lets_nothing_through(tmp_path: Path, admit: str) -> None:
    policy = "on_error: deny\naccess: [{id: a, when: request.team == 'x', only_models: [smal, small], reason: r}]"
    write(tmp_path, policy, extra=admit)
    (problem,) = [item for item in diagnostics(tmp_path) if item.code == "CL208"]
    assert (problem.is_error, problem.help) == (False, "did you mean `small`?")


def test_a_choice_takes_no_unknown_models_even_where_they_are_admitted(tmp_path: Path) -> None:
    policy = "routes: [{id: a, choose: {models: [small, unheard-of], minimize: estimate.cost_usd}}]"
    write(tmp_path, policy, extra="admit: {unknown_models: true}")
    (problem,) = diagnostics(tmp_path)
    assert (problem.code, problem.is_error) == ("CL208", True)
