"""Policies that are replaced while they serve: as a whole or not at all."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costlens_policy import Engine, InputError, LivePolicies, PolicyError
from costlens_policy.live import Fetched, FolderSource, PolicyStatus
from tests.guard.company import REQUEST, Clock

Write = Callable[..., Path]

NOWHERE = "routes: [{id: r, when: 'request.modle == 1', model: nano}]"


@pytest.fixture
def live(write: Write, clock: Clock) -> LivePolicies:
    return LivePolicies(write(), interval=None, clock=clock)


def test_a_new_version_takes_over(live: LivePolicies, write: Write) -> None:
    assert live.decide(REQUEST).model == "nano"
    first = live.status
    write(models="mini")
    assert live.decide(REQUEST).model == "nano"  # nobody has looked yet
    status = live.refresh()
    assert live.decide(REQUEST).model == "mini"
    assert status.is_current
    assert (status.loads, status.failures) == (2, 0)
    assert status.version != first.version
    assert status.policy_digest == live.plan.policy_digest


def test_what_has_not_changed_is_left_as_it_is(live: LivePolicies, clock: Clock) -> None:
    plan = live.plan
    clock.move(seconds=5)
    status = live.refresh()
    assert live.plan is plan
    assert status.loads == 1
    assert status.checked_at > status.loaded_at


def test_a_bad_version_leaves_the_last_good_one(
    live: LivePolicies, write: Write, folder: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    good = (folder / "p.yaml").read_text()
    (folder / "p.yaml").write_text(good.replace("routes: []", NOWHERE))
    clock.move(seconds=5)
    with caplog.at_level(logging.ERROR, "costlens_policy.live"):
        status = live.refresh()
        again = live.refresh()
    assert live.decide(REQUEST).model == "nano"
    assert not status.is_current
    assert "modle" in status.problem
    assert status.failing_since == again.failing_since == clock.now
    assert (again.loads, again.failures) == (1, 2)
    assert len(caplog.records) == 1  # the same problem is reported once
    (folder / "p.yaml").write_text(good)
    mended = live.refresh()
    assert mended.is_current
    assert mended.failing_since is None
    assert mended.loads == 1  # it is what has been serving all the time


@pytest.mark.parametrize("spoil", ["delete", "empty", "unreadable"])
def test_a_folder_that_goes_away_leaves_the_last_good_version(
    live: LivePolicies, write: Write, folder: Path, spoil: str
) -> None:
    if spoil == "delete":
        shutil.rmtree(folder)
    elif spoil == "empty":
        for path in folder.iterdir():
            path.unlink()
    else:
        (folder / "p.yaml").unlink()
        (folder / "p.yaml").symlink_to("nowhere.yaml")
    assert live.refresh().problem
    assert live.decide(REQUEST).model == "nano"
    shutil.rmtree(folder, ignore_errors=True)
    write(models="mini")
    assert live.refresh().is_current
    assert live.decide(REQUEST).model == "mini"


def test_the_first_version_must_be_right(tmp_path: Path, write: Write) -> None:
    with pytest.raises(PolicyError):
        LivePolicies(tmp_path / "nowhere")
    with pytest.raises(InputError, match="not this one"):
        LivePolicies(write(), accept=_refuse)


def _refuse(engine: Engine) -> None:
    raise InputError("not this one")


def test_a_version_that_is_not_accepted_does_not_serve(write: Write) -> None:
    seen: list[str | None] = []

    def accept(engine: Engine) -> None:
        seen.append(engine.decide(REQUEST).model)
        if seen[-1] == "mini":
            raise InputError("mini is too dear")

    live = LivePolicies(write(), interval=None, accept=accept)
    write(models="mini")
    assert live.refresh().problem == "mini is too dear"
    assert live.refresh().failures == 2
    assert seen == ["nano", "mini"]  # what was refused is not examined again
    write(models="large")
    assert live.refresh().is_current
    assert live.decide(REQUEST).model == "large"


def test_what_breaks_while_it_is_examined_does_not_serve(write: Write) -> None:
    asked: list[int] = []

    def accept(engine: Engine) -> None:
        asked.append(1)
        assert engine.decide(REQUEST).model == "nano", "another model"

    live = LivePolicies(write(), interval=None, accept=accept)
    write(models="mini")
    assert live.refresh().problem.startswith("`accept` failed: AssertionError: another model")
    assert live.refresh().problem
    assert len(asked) == 2
    with pytest.raises(InputError, match="another model"):
        LivePolicies(write(models="mini"), interval=None, accept=accept)


def test_each_change_is_reported_once(write: Write, folder: Path) -> None:
    seen: list[PolicyStatus] = []
    live = LivePolicies(write(), interval=None, on_change=seen.append)
    live.refresh()
    write(models="mini")
    live.refresh()
    (folder / "p.yaml").write_text("nothing")
    live.refresh()
    live.refresh()
    write(models="mini")
    live.refresh()
    assert [(status.loads, bool(status.problem)) for status in seen] == [(2, False), (2, True), (2, False)]


def test_a_callback_that_fails_stops_nothing(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    live = LivePolicies(write(), interval=None, on_change=lambda _: 1 / 0)
    write(models="mini")
    assert live.refresh().is_current
    assert live.decide(REQUEST).model == "mini"
    assert "`on_change` failed" in caplog.text


def test_a_source_that_breaks_is_a_failed_attempt(live: LivePolicies) -> None:
    class Broken:
        name = "x"

        def __init__(self) -> None:
            self.found = Fetched("1", live.plan)

        def fetch(self) -> Fetched:
            if self.found is None:
                raise ZeroDivisionError("oh")
            return self.found

    source: Any = Broken()
    policies = LivePolicies(source, interval=None)
    source.found = None
    assert policies.refresh().problem == "the source failed: ZeroDivisionError: oh"
    assert policies.decide(REQUEST).model == "nano"


def test_the_source_is_looked_at_again_and_again(write: Write) -> None:
    changed = threading.Event()
    with LivePolicies(write(), interval=0.02, on_change=lambda _: changed.set()) as live:
        write(models="mini")
        assert changed.wait(30)
        while live.decide(REQUEST).model != "mini":  # the set may have been seen half written first
            assert changed.wait(30)


def test_who_is_closed_goes_on_deciding(live: LivePolicies, write: Write) -> None:
    live.close()
    assert live.decide(REQUEST).model == "nano"
    assert live.refresh().is_current


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:This process")
def test_a_forked_process_looks_for_itself(write: Write) -> None:
    with LivePolicies(write(), interval=0.02) as live:
        child = os.fork()
        if child == 0:
            deadline = threading.Event()
            for _ in range(1500):
                if live.decide(REQUEST).model == "mini":
                    os._exit(0)
                deadline.wait(0.02)
            os._exit(1)
        write(models="mini")
        assert os.waitpid(child, 0)[1] == 0


def test_an_interval_must_be_positive(write: Write) -> None:
    with pytest.raises(ValueError, match="positive"):
        LivePolicies(write(), interval=0)


def test_decisions_under_reloads_are_those_of_one_version(write: Write) -> None:
    """Deciding never waits, fails or mixes versions while policies are replaced."""
    live = LivePolicies(write(), interval=None)
    stop, seen = threading.Event(), set()
    plans = [live.plan]

    def decide() -> None:
        while not stop.is_set():
            decision = live.decide(REQUEST)
            seen.add((decision.model, decision.plan.policy_digest))

    threads = [threading.Thread(target=decide) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for models in ("mini", "nano", "large", "nano"):
            write(models=models)
            assert live.refresh().is_current
            plans.append(live.plan)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    answers = {(Engine(plan).decide(REQUEST).model, plan.policy_digest) for plan in plans}
    assert seen <= answers


def test_a_source_that_never_answers_is_a_problem(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = threading.Event(), threading.Event()
    good = FolderSource(write()).fetch()

    class Slow:
        name = "slow"

        def fetch(self) -> Fetched:
            if asked.is_set():
                answered.wait(10)
            asked.set()
            return good

    live = LivePolicies(Slow(), interval=None)
    monkeypatch.setattr("costlens_policy.live.policies._PATIENCE", 0.0)
    thread = threading.Thread(target=live.refresh, daemon=True)
    thread.start()
    while live.status.is_current and thread.is_alive():
        pass
    assert "has not answered" in live.status.problem
    assert live.decide(REQUEST).model == "nano"
    answered.set()
    thread.join(10)
    assert live.status.is_current
