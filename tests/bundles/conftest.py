"""A policy set to pack, and keys to sign it with."""

from __future__ import annotations

from pathlib import Path

import pytest

from costlens_policy.bundles import Bundle, SigningKey, build
from tests.guard.company import TEAM, write_company


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_company(tmp_path / "policies", TEAM)
    return tmp_path / "policies"


@pytest.fixture
def bundle(folder: Path) -> Bundle:
    return build(folder)


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    pytest.importorskip("cryptography")
    made = SigningKey.generate()
    made.write(tmp_path / "key")
    return made


@pytest.fixture
def public(tmp_path: Path, key: SigningKey) -> Path:
    return tmp_path / "key.pub"
