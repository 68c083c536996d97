"""Bundles on the command line: built, inspected, signed and verified, and taken where a folder is."""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path

import pytest

NOW = "2026-11-02T09:00:00Z"


@pytest.fixture
def bundle(run, starter: Path, tmp_path: Path) -> Path:
    made = tmp_path / "policies.bundle"
    result = run("build", starter, "--write", made)
    assert result.exit_code == 0, result.output
    return made


@pytest.fixture
def key(run, tmp_path: Path) -> Path:
    pytest.importorskip("cryptography")
    assert run("keygen", tmp_path / "key").exit_code == 0
    return tmp_path / "key"


def test_commands_take_a_bundle_where_they_take_a_folder(run, starter: Path, bundle: Path):
    request = "{task: chat, prompt: hello}\n"
    options = ("--request", "-", "--now", NOW, "--format", "json")
    found = run("eval", bundle, *options, input=request)
    assert found.stdout == run("eval", starter, *options, input=request).stdout
    assert run("check", bundle).exit_code == 0
    assert "passed" in run("test", bundle).stdout
    assert "gpt-5-mini" in run("catalogue", "list", bundle).stdout


def test_a_bundle_is_shown_and_unpacked(run, bundle: Path, tmp_path: Path):
    shown = json.loads(run("inspect", bundle, "--format", "json").stdout)
    assert shown["signed_by"] is None
    assert "plan" in shown["files"]
    assert shown["digest"].startswith("sha256:")
    target = tmp_path / "unpacked"
    assert run("inspect", bundle, "--unpack", target).exit_code == 0
    assert run("check", target).exit_code == 0
    assert run("inspect", bundle, "--unpack", target).exit_code == 6
    assert "signed by   nobody" in run("inspect", bundle).stdout


def test_a_signed_bundle_is_verified(run, bundle: Path, key: Path, tmp_path: Path):
    trust = ("--trust", f"{key}.pub")
    refused = run("verify", bundle, *trust)
    assert (refused.exit_code, "is not signed" in refused.stderr) == (1, True)
    assert run("sign", bundle, "--key", key, "--revision", "3").exit_code == 0
    assert "revision 3" in run("verify", bundle, *trust).stdout
    assert json.loads(run("verify", bundle, *trust, "--format", "json").stdout)["accepted"]
    assert run("verify", bundle, *trust, "--name", "other").exit_code == 1
    assert not json.loads(run("verify", bundle, *trust, "--name", "other", "--format", "json").stdout)["accepted"]
    assert "revision    3" in run("inspect", bundle).stdout
    assert run("verify", bundle).exit_code == 2
    assert run("sign", bundle, "--key", key, "--revision", "0").exit_code == 2
    assert run("sign", bundle, "--key", key, "--revision", "99999999999999999999").exit_code == 2
    formatted = run("fmt", bundle)
    assert (formatted.exit_code, "is a bundle; format the files" in formatted.stderr.replace("\n", " ")) == (2, True)
    assert run("keygen", key).exit_code == 6


def test_the_environment_demands_signatures_of_every_command(
    run, bundle: Path, key: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COSTLENS_POLICY_TRUSTED_KEYS", f"{key}.pub")
    for command in (("check", bundle), ("test", bundle), ("eval", bundle, "--request", "-"), ("diff", bundle, bundle)):
        result = run(*command, input="{task: chat, prompt: hello}")
        assert result.exit_code in (2, 6), command
        assert "traffic" in result.stderr or "is not signed" in result.stderr


def test_what_is_shown_of_a_bundle_lies_in_the_bundle(run, bundle: Path, tmp_path: Path):
    from dataclasses import replace
    from hashlib import sha256

    from costlens_policy.bundles import open_bundle
    from costlens_policy.bundles.archive import FIRST, pack

    opened = open_bundle(bundle)
    place = next(name for name in opened.files if name.endswith("_test.yaml"))
    changed = {**opened.files, place: opened.files[place].replace(b"expect:", b"expekt:")}
    listed = {name: sha256(text).hexdigest() for name, text in changed.items() if name != FIRST}
    changed[FIRST] = replace(opened.manifest, files=listed).to_bytes()
    bundle.write_bytes(pack(changed))
    for command in (("check", bundle), ("test", bundle), ("check", bundle, "--format", "json")):
        result = run(*command)
        assert result.exit_code == 1
        assert f"{bundle}/{place}" in result.output
        assert "costlens-policy-" not in result.output


def test_archives_that_are_no_bundles_are_not_read_as_yaml(run, starter: Path, bundle: Path, tmp_path: Path):
    with tarfile.open(tmp_path / "by-hand.tar", "w") as archive:
        archive.add(starter, "policies")
    (tmp_path / "small.gz").write_bytes(gzip.compress(bundle.read_bytes()))
    for name, problem in (("by-hand.tar", "its first file must be `manifest.json`"), ("small.gz", "it is compressed")):
        for command in (("check",), ("test",), ("eval", "--request", "-"), ("inspect",)):
            result = run(command[0], tmp_path / name, *command[1:], input="{}")
            assert result.exit_code in (1, 6)
            assert f"{name}` cannot be used: {problem}" in result.stderr


@pytest.mark.parametrize("content", [b"", b"x", b"manifest.json" + bytes(244) + b"ustar\x0000" + bytes(2000)])
def test_what_is_no_bundle_is_refused(run, tmp_path: Path, content: bytes):
    path = tmp_path / "bad.bundle"
    path.write_bytes(content)
    for command in (("inspect", path), ("check", path), ("eval", path, "--request", "-")):
        result = run(*command, input="{}")
        assert result.exit_code in (1, 3, 6), result.output
        assert "internal error" not in result.stderr
    assert run("inspect", tmp_path / "nowhere").exit_code == 6


def test_invalid_policies_are_not_packed(run, starter: Path, tmp_path: Path):
    (starter / "policy-set.yaml").write_text("kind: PolicySet\n")
    assert run("build", starter, "--write", tmp_path / "x.bundle").exit_code == 1
    assert not (tmp_path / "x.bundle").exists()
