"""Signatures: configuration alone says whose count, and an older bundle does not come back."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from costlens_policy import InputError, LivePolicies, load
from costlens_policy.bundles import Bundle, BundleError, SigningKey, Trust, build, open_bundle, sign
from costlens_policy.bundles.archive import pack
from costlens_policy.bundles.bundle import PLAN, SIGNATURE
from costlens_policy.bundles.signing import signature_of
from tests.guard.company import POLICY, REQUEST, TEAM


def other(folder: Path, limit: str) -> Bundle:
    """Return the bundle of the same policy set with another limit."""
    (folder / "p.yaml").write_text(POLICY % TEAM.replace("0.01", limit), encoding="utf-8")
    return build(folder)


def with_signature(bundle: Bundle, text: bytes) -> Bundle:
    return open_bundle(pack({**{n: t for n, t in bundle.files.items() if n != SIGNATURE}, SIGNATURE: text}))


def test_a_signed_bundle_is_admitted(bundle: Bundle, key: SigningKey, public: Path) -> None:
    signed = sign(bundle, key, 7)
    found = Trust(public).verify(signed)
    assert (found.revision, found.key) == (7, key.id)
    assert signed.digest == bundle.digest
    assert Trust(public).admit(signed).policy_digest == bundle.manifest.policy_digest
    assert sign(signed, key, 7).packed == signed.packed  # Ed25519 is deterministic


def test_nothing_in_the_bundle_makes_it_trusted(bundle: Bundle, key: SigningKey, public: Path, folder: Path) -> None:
    stranger = SigningKey.generate()
    signed, text = sign(bundle, key, 7), sign(bundle, key, 7).files[SIGNATURE]
    said = signature_of(signed)
    assert said is not None
    candidates = [
        bundle,
        sign(bundle, stranger, 7),
        with_signature(bundle, replace(said, key=key.id, signature=bytes(64)).to_bytes()),
        with_signature(bundle, replace(said, revision=8).to_bytes()),
        with_signature(bundle, replace(said, signature=b"").to_bytes()),
        with_signature(other(folder, "0.02"), text),  # the signature of another bundle
        with_signature(other(folder, "0.02"), replace(said, digest=other(folder, "0.02").digest).to_bytes()),
        with_signature(bundle, replace(signature_of(sign(bundle, stranger, 7)) or said, key=key.id).to_bytes()),
    ]
    for candidate in candidates:
        with pytest.raises(BundleError, match="signed"):
            Trust(public).verify(candidate)
        with pytest.raises(BundleError):
            Trust(public).admit(candidate)


def test_the_key_id_in_a_bundle_decides_nothing(bundle: Bundle, key: SigningKey, public: Path) -> None:
    said = signature_of(sign(bundle, key, 7))
    assert said is not None
    assert Trust(public).verify(with_signature(bundle, replace(said, key="whoever").to_bytes())).revision == 7


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[1]",
        b"null",
        b"{" * 3000,
        b" " * 5000,
        b'{"digest":"","key":"","revision":1,"signature":"!"}\n',
        b'{"digest":"","key":"","revision":true,"signature":""}\n',
        b'{"digest":"","key":"","revision":-1,"signature":""}\n',
        b'{"digest":1,"key":"","revision":1.5,"signature":""}\n',
    ],
)
def test_a_damaged_signature_is_refused(bundle: Bundle, text: bytes, public: Path) -> None:
    with pytest.raises(BundleError):
        Trust(public).verify(with_signature(bundle, text))


def test_keys_can_be_exchanged(bundle: Bundle, key: SigningKey, public: Path, tmp_path: Path) -> None:
    new = SigningKey.generate()
    new.write(tmp_path / "new")
    both = tmp_path / "both.pub"
    both.write_text(public.read_text() + (tmp_path / "new.pub").read_text())
    for signer in (key, new):
        assert Trust(both).verify(sign(bundle, signer, 1)).key == signer.id
    with pytest.raises(BundleError):
        Trust(tmp_path / "new.pub").verify(sign(bundle, key, 1))


def test_an_older_bundle_does_not_come_back(
    bundle: Bundle, folder: Path, key: SigningKey, public: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    old, new = sign(bundle, key, 1), sign(other(folder, "0.02"), key, 2)
    Trust(public, state=state).admit(old)
    Trust(public, state=state).admit(new)
    Trust(public, state=state).admit(new)  # again, after a restart
    with pytest.raises(BundleError, match="revision 2 was used before"):
        Trust(public, state=state).admit(old)
    with pytest.raises(BundleError, match="as another bundle"):
        Trust(public, state=state).admit(sign(bundle, key, 2))
    assert json.loads(state.read_text())["revision"] == 2
    Trust(public, state=state, allow_older=True).admit(old)
    Trust(public, state=state).admit(old)  # told once, and it goes on from there


def test_without_a_file_the_revision_is_remembered_as_long_as_the_process_lives(
    bundle: Bundle, folder: Path, key: SigningKey, public: Path
) -> None:
    trust = Trust(public)
    old, new = sign(bundle, key, 1), sign(other(folder, "0.02"), key, 2)
    trust.admit(new)
    with pytest.raises(BundleError, match="used before"):
        trust.admit(old)
    assert trust.verify(new).revision == 2


def test_a_refused_bundle_is_not_remembered(bundle: Bundle, key: SigningKey, public: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with pytest.raises(BundleError):
        Trust(public, state=state).admit(sign(bundle, SigningKey.generate(), 9))
    assert not state.exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name": 1, "revision": 1, "digest": ""}', "{"])
def test_a_state_that_cannot_be_read_refuses(
    bundle: Bundle, key: SigningKey, public: Path, tmp_path: Path, text: str
) -> None:
    state = tmp_path / "state.json"
    state.write_text(text)
    with pytest.raises(BundleError, match="repair it"):
        Trust(public, state=state).admit(sign(bundle, key, 1))


def test_a_state_that_cannot_be_written_refuses(bundle: Bundle, key: SigningKey, public: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="must keep the revision"):
        Trust(public, state=tmp_path / "nowhere" / "state.json").admit(sign(bundle, key, 1))


def test_a_signed_bundle_of_another_policy_set_is_refused(
    bundle: Bundle, folder: Path, key: SigningKey, public: Path, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="not `production`"):
        Trust(public, name="production").verify(sign(bundle, key, 1))
    trust = Trust(public, state=tmp_path / "state.json")
    trust.admit(sign(bundle, key, 1))
    policy_set = (folder / "policy-set.yaml").read_text().replace("name: set", "name: staging")
    (folder / "policy-set.yaml").write_text(policy_set)
    with pytest.raises(BundleError, match="holds the policy set `staging`"):
        trust.admit(sign(build(folder), key, 2))


def test_who_signs_vouches_for_the_plan(bundle: Bundle, folder: Path, key: SigningKey) -> None:
    from tests.bundles.test_bundle import _rebuilt

    forged = _rebuilt(other(folder, "0.02"), {PLAN: bundle.files[PLAN]})
    with pytest.raises(BundleError, match="not that of its policies"):
        sign(forged, key, 1)
    with pytest.raises(BundleError, match="cannot be signed"):
        sign(_rebuilt(bundle, {PLAN: b"x"}), key, 1)
    with pytest.raises(BundleError, match="a revision must be"):
        sign(bundle, key, 0)


def test_load_demands_what_it_is_told_to_trust(
    bundle: Bundle, folder: Path, key: SigningKey, public: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.bundle"
    path.write_bytes(bundle.packed)
    assert load(path).decide(REQUEST).allowed
    for refuse in (lambda: load(path, trust=Trust(public)), lambda: load(folder, trust=Trust(public))):
        with pytest.raises(BundleError, match="sign"):
            refuse()
    monkeypatch.setenv("COSTLENS_POLICY_TRUSTED_KEYS", str(public))
    with pytest.raises(BundleError, match="not signed"):
        load(path)
    path.write_bytes(sign(bundle, key, 3).packed)
    assert load(path).decide(REQUEST).allowed
    monkeypatch.setenv("COSTLENS_POLICY_TRUSTED_KEYS", "")
    with pytest.raises(InputError, match="at least one"):  # set, and naming nobody: nobody is trusted
        load(path)


def test_live_policies_refuse_a_bundle_that_is_not_signed_or_older(
    bundle: Bundle, folder: Path, key: SigningKey, public: Path, tmp_path: Path
) -> None:
    path = tmp_path / "p.bundle"
    first, second = sign(bundle, key, 1), sign(other(folder, "0.0001"), key, 2)
    path.write_bytes(first.packed)
    live = LivePolicies(path, interval=None, trust=Trust(public))
    path.write_bytes(second.packed)
    assert live.refresh().is_current
    for bad in (first, bundle, other(folder, "5")):
        path.write_bytes(bad.packed)
        status = live.refresh()
        assert status.problem
        assert status.version == second.digest
    path.write_bytes(b"nothing")
    assert "not a bundle" in live.refresh().problem
    path.unlink()
    assert "cannot be read" in live.refresh().problem
    assert live.plan.policy_digest == second.manifest.policy_digest


def test_a_stranger_who_signs_what_serves_is_a_problem_until_a_good_version_comes(
    bundle: Bundle, key: SigningKey, public: Path, tmp_path: Path
) -> None:
    path, good = tmp_path / "p.bundle", sign(bundle, key, 2)
    path.write_bytes(good.packed)
    live = LivePolicies(path, interval=None, trust=Trust(public))
    plan = live.plan
    for bad in (bundle, sign(bundle, SigningKey.generate(), 3), sign(bundle, key, 1)):  # of the very same content
        path.write_bytes(bad.packed)
        for _ in range(3):
            assert live.refresh().problem
        path.write_bytes(good.packed)
        assert live.refresh().is_current
    path.write_bytes(sign(bundle, key, 4).packed)
    assert live.refresh().is_current
    assert live.plan is plan  # no need to compile it again
    path.write_bytes(good.packed)
    assert "revision 4 was used before" in live.refresh().problem


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes are forked")
def test_processes_that_share_a_state_never_go_back(
    bundle: Bundle, key: SigningKey, public: Path, tmp_path: Path
) -> None:
    state, signed = tmp_path / "state.json", {revision: sign(bundle, key, revision) for revision in range(1, 21)}
    plan = bundle.plan()
    children = []
    for part in range(4):
        if (child := os.fork()) == 0:
            trust = Trust(public, state=state)
            for revision in range(1 + part, 21, 4):
                with suppress(BundleError):
                    trust.admit(signed[revision], plan)
            os._exit(0)
        children.append(child)
    seen = [0]
    while children:
        children = [child for child in children if os.waitpid(child, os.WNOHANG)[0] == 0]
        seen += [json.loads(state.read_text())["revision"]] if state.exists() else []
    assert seen == sorted(seen)
    assert seen[-1] == 20


def test_keys_are_files_that_only_their_owner_reads(tmp_path: Path, key: SigningKey, public: Path) -> None:
    assert stat.S_IMODE(os.stat(tmp_path / "key").st_mode) == 0o600
    assert SigningKey.read(tmp_path / "key").id == key.id
    with pytest.raises(InputError, match="never overwritten"):
        key.write(tmp_path / "key")
    with pytest.raises(InputError, match="nothing else"):
        Trust(tmp_path / "key")
    with pytest.raises(InputError, match="private Ed25519 key"):
        SigningKey.read(public)
    with pytest.raises(InputError, match="cannot be read"):
        SigningKey.read(tmp_path / "nowhere")
    (tmp_path / "bad.pub").write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    with pytest.raises(InputError, match="not Ed25519"):
        Trust(tmp_path / "bad.pub")


def test_the_public_key_exists_already(tmp_path: Path, key: SigningKey) -> None:
    (tmp_path / "half").write_text("mine")
    with pytest.raises(InputError):
        key.write(tmp_path / "half")
    assert not (tmp_path / "half.pub").exists()
    (tmp_path / "other.pub").write_text("mine")
    with pytest.raises(InputError, match=r"other\.pub` exists"):
        key.write(tmp_path / "other")
    assert not (tmp_path / "other").exists()
    with pytest.raises(InputError, match="key` exists"):
        key.write(tmp_path / "key")
