"""Random requests: the same for the same seed, and what is wrong is found and made small."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from costlens_policy.assurance import Subject, Witness
from costlens_policy.checker.whole import check_set
from costlens_policy.engine.decision import Decision
from costlens_policy.testing import fuzz as module
from costlens_policy.testing.fuzz import failing_suite, fuzz

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def subject() -> Subject:
    bundle, _ = check_set(ROOT / "policies" / "policy-set.yaml", ())
    assert bundle is not None
    return Subject(bundle, datetime(2026, 11, 2, 12, tzinfo=UTC))


def too_dear(witness: Witness) -> str:
    return "a long prompt" if witness.request.get("prompt_tokens", 0) > 5000 and witness.request.get("team") else ""


def test_nothing_is_wrong(subject: Subject):
    found = fuzz(subject, seed=3, runs=60)
    assert found.failures == ()
    assert found.tried == 60
    assert found.decided > 20


def test_a_broken_promise_is_found_and_made_small(subject: Subject):
    one, two = (fuzz(subject, seed=1, runs=80, promises=(too_dear,)) for _ in range(2))
    assert one == two
    (failure,) = one.failures
    assert failure.what == "a long prompt"
    assert set(failure.situation.request) == {"team", "prompt_tokens"}
    assert failure.situation.request["prompt_tokens"] == 5001
    assert "a long prompt" in failing_suite(one, subject, "policy-set.yaml")
    assert one.to_dict()["failures"][0]["request"]["prompt_tokens"] == 5001


def test_internal_errors_are_found(subject: Subject, monkeypatch: pytest.MonkeyPatch):
    decide = module.decide

    def broken(plan, request, balances, now) -> Decision:
        if request.get("tier") == "free":
            raise ZeroDivisionError("free")
        return decide(plan, request, balances, now)

    monkeypatch.setattr(module, "decide", broken)
    (failure,) = fuzz(subject, seed=1, runs=40).failures
    assert failure.what == "internal error: ZeroDivisionError: free"
    assert dict(failure.situation.request) == {"tier": "free"}


def test_time_is_bounded(subject: Subject):
    assert fuzz(subject, seed=1, seconds=3, clock=iter(range(100)).__next__).tried == 2
