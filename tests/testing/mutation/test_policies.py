"""The policies that we stand behind: each small change of them is noticed by a case, or explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from costlens_policy.testing.mutation.formats import render_text
from costlens_policy.testing.mutation.run import mutate

ROOT = Path(__file__).parents[3]


def test_the_reference_policies(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    run = mutate(["policies/policy-set.yaml", *sorted(Path("policies").glob("*_test.yaml"))], jobs=1, cache=False)
    assert not run.survivors, render_text(run)
    assert run.diagnostics == ()
    assert sum(run.counts().values()) > 250
