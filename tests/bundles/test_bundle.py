"""Bundles: reproducible, complete, decided as the folder is, and refused where anything is not as it was built."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy import InputError, PolicyError, load
from costlens_policy.bundles import Bundle, BundleError, build, open_bundle
from costlens_policy.bundles.archive import pack
from costlens_policy.bundles.bundle import PLAN, manifest_of
from costlens_policy.saving.files import content_of
from tests.conftest import ROOT
from tests.guard.company import POLICY, REQUEST, START


def test_equal_policies_give_equal_bytes_wherever_they_are(
    folder: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "elsewhere" / "deeper"
    shutil.copytree(folder, other)
    assert build(other).packed == bundle.packed
    monkeypatch.chdir(other)
    assert build(".").packed == bundle.packed
    assert build("policy-set.yaml").packed == bundle.packed


def test_the_reference_policies_give_equal_bytes_in_another_process(tmp_path: Path) -> None:
    """Neither hash seeds, nor the working folder, nor the time shows."""
    shutil.copytree(ROOT / "policies", tmp_path / "copy")
    code = "import sys; from costlens_policy.bundles import build; sys.stdout.write(build(sys.argv[1]).digest)"
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "copy")],
        env={**os.environ, "PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        check=True,
        text=True,
    )
    assert other.stdout == build(ROOT / "policies").digest


def test_only_documents_of_this_program_are_packed(folder: Path) -> None:
    (folder / "request.yaml").write_text("prompt: a secret", encoding="utf-8")
    (folder / "deployment.yaml").write_text("apiVersion: apps/v1\nkind: Deployment", encoding="utf-8")
    (folder / "p_test.yaml").write_text(
        "apiVersion: costlens-policy/v1\nkind: Suite\nmetadata: {name: s, version: '1'}\npolicy_set: policy-set.yaml\n"
        "cases: [{name: a, request: {prompt: x}, expect: {model: nano}}]",
        encoding="utf-8",
    )
    assert sorted(build(folder).policies) == ["catalogue.yaml", "p.yaml", "p_test.yaml", "policy-set.yaml"]


def test_a_bundle_is_built_again_from_itself(bundle: Bundle) -> None:
    with bundle.laid_out() as folder:
        assert build(folder).packed == bundle.packed


def test_a_bundle_decides_as_its_folder(folder: Path, bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "p.bundle"
    path.write_bytes(bundle.packed)
    expected = load(folder).decide(REQUEST, now=START)
    found = load(path).decide(REQUEST, now=START)
    assert found.to_dict() == expected.to_dict()
    assert bundle.manifest.policy_digest == expected.policy_digest
    packed = bundle.packed_plan()
    assert packed is not None
    assert content_of(packed, {}) == content_of(bundle.plan(), {}) == bundle.files[PLAN]


def test_prices_are_those_of_the_day_of_the_build(folder: Path, tmp_path: Path) -> None:
    """A price list of another version on another machine changes nothing: the lock has every price."""
    catalogue = {"apiVersion": "costlens-policy/v1", "kind": "Catalogue", "metadata": {"name": "c", "version": "1"}}
    imports = [{"source": "genai-prices", "models": ["openai/gpt-5-nano"]}]
    (folder / "catalogue.yaml").write_text(json.dumps(catalogue | {"imports": imports}), encoding="utf-8")
    (folder / "more.yaml").write_text(
        json.dumps(catalogue | {"metadata": {"name": "d", "version": "1"}, "models": {"own": {"provider": "acme"}}}),
        encoding="utf-8",
    )
    policy_set = (folder / "policy-set.yaml").read_text().replace("[catalogue.yaml]", "[catalogue.yaml, more.yaml]")
    (folder / "policy-set.yaml").write_text(policy_set.replace("models: [nano]", "models: [gpt-5-nano]"))
    made = build(folder)
    assert b"imports" not in b"".join(made.policies.values())
    assert made.plan().catalogue_digest == load(folder).plan.catalogue_digest


def test_what_load_only_warns_of_is_not_packed(folder: Path) -> None:
    (folder / "p.yaml").write_text(
        POLICY % "on_error: skip\naccess: [{id: a, effect: deny, reason: r, when: 'request.metadata.x == 1'}]",
        encoding="utf-8",
    )
    assert load(folder)
    with pytest.raises(PolicyError):
        build(folder)


def test_a_catalogue_beside_other_documents_is_refused(folder: Path) -> None:
    catalogue = (folder / "catalogue.yaml").read_text()
    (folder / "p.yaml").write_text((folder / "p.yaml").read_text() + "\n---\n" + catalogue)
    (folder / "catalogue.yaml").unlink()
    policy_set = (folder / "policy-set.yaml").read_text().replace("[catalogue.yaml]", "[p.yaml]")
    (folder / "policy-set.yaml").write_text(policy_set)
    with pytest.raises((BundleError, PolicyError)):
        build(folder)


def test_a_plan_of_other_policies_is_not_used_without_a_signature(bundle: Bundle, folder: Path, tmp_path: Path) -> None:
    (folder / "p.yaml").write_text(
        POLICY % "on_error: deny\naccess: [{id: all, effect: deny, reason: r, when: 'has(request.team)'}]"
    )
    strict = build(folder)
    forged = _rebuilt(strict, {PLAN: bundle.files[PLAN]})
    path = tmp_path / "p.bundle"
    path.write_bytes(forged.packed)
    assert load(path).decide(REQUEST).effect == "deny"


def _rebuilt(bundle: Bundle, changes: dict[str, bytes]) -> Bundle:
    """Return a bundle with other files, and a manifest that lists them."""
    files = {name: text for name, text in bundle.files.items() if name != "manifest.json"} | changes
    said = json.loads(bundle.files["manifest.json"])
    said["files"] = {name: sha256(text).hexdigest() for name, text in sorted(files.items())}
    manifest = json.dumps(said, sort_keys=True, indent=1).encode() + b"\n"
    return open_bundle(pack({"manifest.json": manifest, **dict(sorted(files.items()))}))


@pytest.mark.parametrize(
    "change",
    [
        lambda files: files | {"p.yaml": b"other"},
        lambda files: files | {"zz.yaml": b""},
        lambda files: {name: text for name, text in files.items() if name != "p.yaml"},
        lambda files: {name: text for name, text in files.items() if name != "plan"},
        lambda files: dict([*list(files.items())[:1], *reversed(list(files.items())[1:])]),
    ],
    ids=["other bytes", "another file", "a file less", "no plan", "another order"],
)
def test_files_that_are_not_as_the_manifest_says_are_refused(bundle: Bundle, change: Any) -> None:
    with pytest.raises(BundleError, match="manifest"):
        open_bundle(pack(change(dict(bundle.files))))


@pytest.mark.parametrize(
    "text",
    [
        b"", b"[]", b"{}", b"null", b"{" * 100_000, b'{"format": 1}', b'{"format": 2}', b"\xff", b" " * (5 * 1024**2),
        b'{"format": 1, "files": []}', b"1e999",
    ],
    ids=range(11),
)  # fmt: skip
def test_a_manifest_that_is_damaged_is_refused(text: bytes) -> None:
    with pytest.raises(BundleError, match="manifest"):
        manifest_of(text)


def test_a_manifest_has_one_text(bundle: Bundle) -> None:
    text = bundle.files["manifest.json"]
    assert manifest_of(text) == bundle.manifest
    for other in (text + b" ", text.replace(b'"name"', b'"name": "x", "name"'), json.dumps(json.loads(text)).encode()):
        with pytest.raises(BundleError):
            manifest_of(other)
    said = json.loads(text)
    for change in ({"files": {"../x": "0" * 64}}, {"name": 1}, {"policy_set": "nowhere"}, {"more": 1}):
        changed = json.dumps(said | change, sort_keys=True, indent=1).encode() + b"\n"
        with pytest.raises(BundleError):
            manifest_of(changed)


@given(st.binary(max_size=400))
def test_any_manifest_is_refused_or_the_one_text_of_what_it_says(text: bytes) -> None:
    with contextlib.suppress(BundleError):
        assert manifest_of(text).to_bytes() == text


def test_a_bundle_that_is_not_there_or_none_says_so(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        open_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleError, match="not a bundle"):
        open_bundle(folder / "p.yaml")


def test_a_bundle_is_loaded_alone(bundle: Bundle, tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "p.bundle"
    path.write_bytes(bundle.packed)
    with pytest.raises(BundleError, match="without other"):
        load(path, folder)


def test_policies_that_this_version_refuses_are_reported_at_their_place_in_the_bundle(bundle: Bundle) -> None:
    broken = _rebuilt(bundle, {"p.yaml": b"kind: Policy\n"})
    with pytest.raises(PolicyError) as caught:
        broken.plan()
    assert {item.span.file for item in caught.value.diagnostics if item.span} <= {"p.yaml", "policy-set.yaml"}
