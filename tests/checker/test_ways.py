"""Whatever way a policy is named or reached, the same is found of it: with a checkout and without, from anywhere."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from costlens_policy.checker import check_all
from costlens_policy.diagnostics.model import Diagnostic
from tests.checker.repository import CATALOGUE, SET, put, write

WRONG = "routes: [{id: a, when: request.teem, model: small}]"


@pytest.fixture(params=[True, False], ids=["git", "no git"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a folder with a policy set whose policy in another folder reads an unknown attribute."""
    folder = tmp_path / "home" / "repository"  # so deep that the folders of other tests are not near it
    put(folder / "policy-set.yaml", SET.replace("policy.yaml", "teams/policy.yaml"), "PolicySet", "company")
    put(folder / "catalogue.yaml", CATALOGUE, "Catalogue", "models")
    put(folder / "teams" / "policy.yaml", WRONG, "Policy", "team")
    (tmp_path / ".git").rmdir()
    if request.param:
        (folder / ".git").mkdir()
    return folder


def codes_from(here: Path, *paths: str | Path) -> list[str]:
    before = Path.cwd()
    os.chdir(here)
    try:
        return sorted(item.code for item in check_all(paths).diagnostics)
    finally:
        os.chdir(before)


WAYS: dict[str, Callable[[Path], tuple[Path, list[str | Path]]]] = {
    "the folder": lambda root: (root, ["."]),
    "the folder from outside": lambda root: (root.parent, ["repository"]),
    "the folder by its whole path": lambda root: (Path("/"), [root]),
    "the set": lambda root: (root, ["policy-set.yaml"]),
    "the folder of the policy": lambda root: (root, ["teams"]),
    "the folder of the policy by its whole path": lambda root: (Path("/"), [root / "teams"]),
    "inside the folder of the policy": lambda root: (root / "teams", ["."]),
    "the policy": lambda root: (root, ["teams/policy.yaml"]),
    "the policy from beside it": lambda root: (root / "teams", ["policy.yaml"]),
    "the policy by a detour": lambda root: (root / "teams", ["../teams/../teams/policy.yaml"]),
    "the policy by its whole path": lambda root: (Path("/"), [root / "teams" / "policy.yaml"]),
    "the catalogue": lambda root: (root, ["catalogue.yaml"]),
    "everything at once": lambda root: (root, [".", "teams", root / "teams" / "policy.yaml", "policy-set.yaml"]),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_finds_it(root: Path, way: str) -> None:
    here, paths = WAYS[way](root)
    assert codes_from(here, *paths) == ["CL302"]


def test_from_far_below(root: Path) -> None:
    deep = root / "teams" / "a" / "b" / "c" / "d"
    deep.mkdir(parents=True)
    (root / "teams" / "policy.yaml").rename(deep / "policy.yaml")
    text = (root / "policy-set.yaml").read_text()
    (root / "policy-set.yaml").write_text(text.replace("teams/policy.yaml", "teams/a/b/c/d/policy.yaml"))
    assert codes_from(deep, ".") == ["CL302"]
    assert codes_from(root, "teams/a/b/c/d/policy.yaml") == ["CL302"]


def test_by_links(root: Path) -> None:
    (root / "by-file.yaml").symlink_to("teams/policy.yaml")
    (root / "by-folder").symlink_to("teams")
    (root.parent / "elsewhere").symlink_to(root)
    assert codes_from(root, "by-file.yaml") == ["CL302"]
    assert codes_from(root, "by-folder") == ["CL302"]
    assert codes_from(root.parent / "elsewhere" / "by-folder", ".") == ["CL302"]


def test_a_folder_that_is_a_link_is_gone_into(root: Path) -> None:
    (root / "more").mkdir()
    (root / "more" / "linked").symlink_to("../teams")
    (root / "more" / "round").symlink_to("..")
    found = codes_from(root, "more")
    assert found == (["CL302"] if (root / ".git").exists() else ["CL204"])  # without a checkout it leads out


@pytest.mark.parametrize("named", [".", "shared", "shared/policy.yaml", "a", "b"])
def test_each_of_two_sets_that_share_a_policy_is_asked(tmp_path: Path, named: str) -> None:
    put(
        tmp_path / "shared" / "policy.yaml", "routes: [{id: x, when: request.tier == 'a', model: small}]", "Policy", "p"
    )
    for name, more in (("a", "attributes: {tier: {type: string, default: a}}\n"), ("b", "")):
        text = SET.replace("policy.yaml", "../shared/policy.yaml").replace("catalogue.yaml", "../catalogue.yaml")
        put(tmp_path / name / "policy-set.yaml", text + more, "PolicySet", name)
    put(tmp_path / "catalogue.yaml", CATALOGUE, "Catalogue", "models")
    assert codes_from(tmp_path, named) == (["CL302"] if named != "a" else [])


def test_sets_below_another_are_checked_as_well(root: Path) -> None:
    write(root / "examples" / "other", policy=WRONG)
    assert codes_from(root, ".") == ["CL302", "CL302"]


def test_a_set_above_that_cannot_be_read_is_what_is_told(root: Path) -> None:
    (root / "policy-set.yaml").write_text((root / "policy-set.yaml").read_text() + "a: [b: c\n")
    assert codes_from(root, "teams") == ["CL005"]


def told(folder: Path) -> list[Diagnostic]:
    return [item for item in check_all(folder).diagnostics if item.code != "CL302"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file_is_told_and_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe.yaml")
    (root / "device.yml").symlink_to("/dev/zero")
    (root / "nothing.yaml").symlink_to("not-there")
    (root / "circle.yaml").symlink_to("circle.yaml")
    before = Path.cwd()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(root)
        listener.bind("socket.yaml")
        os.chdir(before)
        found = told(root)
    messages = "\n".join(item.message for item in found if item.is_error)
    for text in ("is a named pipe", "is a socket", "nothing.yaml", "circle.yaml"):
        assert text in messages, text
    assert "device.yml" in "\n".join(item.message for item in found)


OURS = 'apiVersion: costlens-policy/v1\nkind: Policy\nmetadata: {name: x, version: "1"}\n# ä\n'


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("large.yaml", OURS.encode() + b"#" * (9 << 20), "CL002"),
        ("at-the-end.yaml", b"#" * (9 << 20) + OURS.encode(), "CL002"),
        ("latin.yaml", OURS.encode("latin-1"), "CL003"),
        ("wide.yaml", OURS.encode("utf-16"), "CL003"),
        ("wider.yaml", OURS.encode("utf-32"), "CL003"),
        ("other.json", b'{"apiVersion": "costlens-policy/v1", "kind": "Policy"}', "CL219"),
        ("pretty.json", b'{\n  "apiVersion": "costlens-policy/v1"\n}', "CL219"),
        ("kept.yaml.bak", OURS.encode(), "CL219"),
        ("kept.yaml~", OURS.encode(), "CL219"),
        ("template.yml.j2", OURS.encode(), "CL219"),
        ("without-an-ending", OURS.encode(), "CL219"),
        ("large.json", b"{}" + b" " * (9 << 20), ""),
        ("others-large.yaml", b"#" * (9 << 20), ""),
        ("others-latin.yaml", "ä: 1".encode("latin-1"), ""),
        ("page.md", OURS.encode(), ""),
        (".hidden.yaml", OURS.encode(), ""),
    ],
)
def test_what_looks_like_ours_and_is_not_read_is_told(root: Path, name: str, data: bytes, code: str) -> None:
    (root / "teams" / name).write_bytes(data)
    assert [item.code for item in told(root)] == ([code] if code else [])


@pytest.mark.parametrize("name", ["more.YAML", "more.Yml"])
def test_endings_in_capitals_are_endings(root: Path, name: str) -> None:
    put(root / name, "access: 5", "Policy", "more")
    assert "CL105" in {item.code for item in told(root)}


@pytest.mark.parametrize(
    ("policy", "is_error"),
    [
        ("on_error: deny\naccess: [{id: a, when: has(request.team), effect: deny, reason: no}]", True),
        ("budgets: [{id: a, hard_limit_usd: 1, window: {calendar: day}}]", True),
        ("rewrites: [{id: a, apply: [{redact: {kinds: [email]}}]}]", True),
        ("routes: [{id: a, model: small}]", False),
        ("rewrites: [{id: a, apply: [{prefix: {text: x}}]}]", False),
    ],
)
def test_a_policy_in_no_set_is_an_error_where_it_should_keep_something_safe(
    root: Path, policy: str, is_error: bool
) -> None:
    put(root / "loose.yaml", policy, "Policy", "loose")
    (found,) = (item for item in told(root) if item.code == "CL216")
    assert found.is_error == is_error


def test_a_catalogue_in_no_set_is_told(root: Path) -> None:
    put(root / "loose.yaml", CATALOGUE, "Catalogue", "loose")
    assert [item.code for item in told(root)] == ["CL218"]


def test_a_wrong_path_in_a_set_is_told_once(root: Path) -> None:
    (root / "teams" / "policy.yaml").rename(root / "teams" / "polcy.yaml")
    assert codes_from(root, ".") == ["CL203"]
