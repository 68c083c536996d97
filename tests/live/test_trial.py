"""A version on trial: compared with the one that serves, or serving a share that stays the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from costlens_policy import Engine, Guard, LivePolicies, load
from costlens_policy.decision_log import DecisionLog
from costlens_policy.engine.mask import Mask
from costlens_policy.live import Trial
from costlens_policy.testing import run_suites
from tests.guard.company import REQUEST, TEAM, Clock

Write = Callable[..., Path]
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}


@pytest.fixture
def versions(write: Write) -> tuple[Engine, Engine]:
    """Return two versions, of which the second sends team blue to another model."""
    live = load(write(TEAM))
    rule = 'on_error: deny\nroutes: [{id: blue, when: \'request.?team.orValue("") == "blue"\', model: mini}]'
    return live, load(write(rule + TEAM))


def test_a_version_in_shadow_decides_nothing_that_is_used(versions: tuple[Engine, Engine]) -> None:
    trial = Trial(*versions)
    models = [trial.decide(REQUEST | {"team": team}).model for team in ("red", "blue", "blue")]
    assert models == ["nano"] * 3
    trial.close()
    status = trial.status
    assert (status.live, status.candidate, status.compared, status.different) == (3, 0, 3, 2)
    assert status.differences == {"model": 2, "rule": 2}
    assert status.dropped == 0


def test_differences_are_kept_as_cases_of_a_suite(versions: tuple[Engine, Engine], folder: Path) -> None:
    trial = Trial(*versions, mask=Mask("keep"), keep=1)
    for team in ("red", "blue", "blue"):
        trial.decide(REQUEST | {"team": team}, balances={}, now=Clock().now)
    trial.close()
    (folder / "differences_test.yaml").write_text(trial.suite(), encoding="utf-8")
    run = run_suites([folder])  # the folder has the candidate
    assert run.exit_code == 4
    assert str(run.suites).count("decision ") == 1


def test_cases_hold_for_the_version_that_was_live(write: Write, versions: tuple[Engine, Engine], folder: Path) -> None:
    trial = Trial(*versions, mask=Mask("keep"))
    with Guard(trial) as guard:
        guard.call(REQUEST).settle(USAGE)
        guard.call(REQUEST | {"team": "blue"}).settle(USAGE)
        guard.call(REQUEST | {"team": "blue"}).settle(USAGE)
    trial.close()
    write(TEAM)
    (folder / "differences_test.yaml").write_text(trial.suite(), encoding="utf-8")
    assert '"used": "0.0012"' in trial.suite()
    assert run_suites([folder]).exit_code == 0


ATTRIBUTES = "attributes: {at: {type: timestamp}, took: {type: duration}, weights: {type: 'map(string, double)'}}"


@pytest.mark.parametrize("mask", [Mask(), Mask("keep"), Mask("hash", {"user": "hash"}, key=bytes(16))])
def test_cases_of_any_request_pass_for_the_live_version(write: Write, folder: Path, mask: Mask) -> None:
    route = "on_error: deny\nroutes: [{id: long, when: request.?prompt_tokens.orValue(0) > 500, model: mini}]"
    candidate = load(write(TEAM, models="mini", more=ATTRIBUTES))
    trial = Trial(load(write(route + TEAM, more=ATTRIBUTES)), candidate, mask=mask, keep=1000)
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {}, "b": {}}}}}]
    for more in (
        {"at": datetime(2026, 1, 1, tzinfo=UTC), "took": timedelta(seconds=3.5)},
        {"weights": {"a": 1.0}, "cost_budget": 0.1, "user": "ann", "metadata": {"type": "a", "n": 2**60}},
        {"prompt": "".join(map(chr, range(0x2100))) + "\ud83d\ufffe\uffff"},
        {"prompt": "words " * 1000},
        {"tools": tools, "params": {"tool_choice": "auto", "temperature": 0.5}},
    ):
        trial.decide({**REQUEST, "max_output_tokens": 10, **more})
    trial.close()
    assert trial.status.different == 5
    (folder / "differences_test.yaml").write_text(trial.suite(), encoding="utf-8")
    run = run_suites([folder])
    assert run.exit_code == 0, run.suites


def test_a_share_is_sticky_and_about_right(versions: tuple[Engine, Engine]) -> None:
    trial = Trial(*versions, share=0.3, key="user", buffer=10_000)
    requests: list[dict[str, Any]] = [REQUEST | {"team": "blue", "user": f"user-{n}"} for n in range(400)]
    first = [trial.decide(request).model for request in requests]
    assert first == [trial.decide(request).model for request in requests]
    assert 60 < first.count("mini") < 180
    assert trial.decide(REQUEST | {"team": "blue"}).model == "nano"  # no user
    other = Trial(*versions, share=0.3, key="user", salt="second")
    assert first != [other.decide(request).model for request in requests]
    assert {Trial(*versions, share=1, key="user").decide(request).model for request in requests} == {"mini"}
    assert trial.flush(60)
    assert trial.status.candidate == 2 * first.count("mini")
    assert trial.status.different == 801


def test_a_guard_serves_both_versions(versions: tuple[Engine, Engine], clock: Clock) -> None:
    trial = Trial(*versions, share=0.5, key="user")
    users = [f"user-{n}" for n in range(12)]
    with Guard(trial, clock=clock) as guard:
        calls = [guard.call(REQUEST | {"team": "blue", "user": user, "max_output_tokens": 1}) for user in users[:4]]
        calls += [guard.call(REQUEST | {"team": "red", "user": user, "max_output_tokens": 1}) for user in users[4:8]]
        assert {call.model for call in calls} == {"nano", "mini"}
        for call in calls:
            call.settle({"prompt_tokens": 1000, "completion_tokens": 1})
        spent = {item.key: (item.used, item.held) for item in guard.spend("p/team")}
        assert all(held == 0 for _, held in spent.values())
        assert sum(used for used, _ in spent.values()) == sum(call.charged.cost or 0 for call in calls if call.charged)


def test_live_policies_can_be_on_trial(write: Write, tmp_path: Path) -> None:
    live = LivePolicies(write(), interval=None)
    candidate = load(write(models="mini"))
    trial = Trial(live, candidate)
    trial.decide(REQUEST)
    assert live.refresh().is_current  # the candidate has become the live version
    trial.decide(REQUEST)
    trial.close()
    assert trial.status.different == 1


def test_requests_that_the_other_version_rejects_are_counted(write: Write) -> None:
    live = load(write())
    candidate = load(write(more="attributes: {tier: {type: string, required: true}}"))
    trial = Trial(live, candidate)
    trial.decide(REQUEST)
    trial.close()
    assert (trial.status.rejected, trial.status.compared) == (1, 0)


def test_a_log_of_the_guard_does_not_end_the_comparison(versions: tuple[Engine, Engine]) -> None:
    trial = Trial(*versions)
    log = DecisionLog(lambda _: None)
    with Guard(trial, log=[log, log]) as guard:
        guard.call(REQUEST | {"team": "blue"}).settle(USAGE)
    log.close()
    trial.close()
    assert trial.status.different == 1
    assert log.status.written == 2


def test_other_observers_are_told_too(versions: tuple[Engine, Engine]) -> None:
    seen: list[str] = []

    class Seen:
        def decided(self, decision: Any, id: str, held: bool) -> None:
            seen.append(decision.model)

        def charged(self, *_: Any) -> None:
            seen.append("charged")

    with Guard(Trial(*versions, log=Seen())) as guard:
        guard.call(REQUEST).settle(USAGE)
    assert seen == ["nano", "charged"]


@pytest.mark.parametrize("wrong", [{"share": 2}, {"share": 0.5, "key": "nobody"}])
def test_wrong_settings_are_refused(versions: tuple[Engine, Engine], wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Trial(*versions, **wrong)
