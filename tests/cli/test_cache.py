"""The plan cache, as the program uses it, shows it and empties it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from costlens_policy.saving.files import SETTING

NOW = "2026-11-02T09:00:00Z"


@pytest.fixture
def plans(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which this test's plans are kept; it is made when there is one to keep."""
    cache = tmp_path_factory.mktemp("of-the-user")
    monkeypatch.setenv(SETTING, str(cache))
    return cache / "plans"


@pytest.fixture
def decide(run, starter: Path):
    """Return a function that decides a request by the starter's policies."""

    def ask(*options: str):
        result = run("eval", starter, "--request", "-", "--now", NOW, *options, input="{task: chat, prompt: hello}\n")
        assert result.exit_code == 0, result.output
        return result.stdout

    return ask


@pytest.mark.parametrize("options", [(), ("--explain",), ("--format", "json")], ids=str)
def test_eval_prints_the_same_by_a_kept_plan(decide, plans: Path, options: tuple[str, ...]):
    first = decide(*options)
    (kept,) = plans.iterdir()
    written = kept.stat().st_mtime_ns
    assert decide(*options) == first
    assert kept.stat().st_mtime_ns == written, "the plan was found, not written again"
    assert decide("--no-cache", *options) == first


def test_eval_without_the_cache_leaves_nothing(decide, plans: Path):
    decide("--no-cache")
    assert not plans.exists()


def test_what_is_wrong_is_reported_as_ever(run, decide, starter: Path, plans: Path):
    decide()
    policy_set = next(starter.rglob("policy-set.yaml"))
    policy_set.write_text(policy_set.read_text(encoding="utf-8") + "nonsense: 1\n", encoding="utf-8")
    result = run("eval", starter, "--request", "-", input="{}\n")
    assert result.exit_code == 1
    assert "error[CL103]: unknown key `nonsense`" in result.stderr


def test_show_and_clear(run, decide, plans: Path):
    assert run("cache").stdout == f"`{plans}` holds 0 plans, 0 kB\n"
    decide()
    size = next(plans.iterdir()).stat().st_size
    assert run("cache").stdout == f"`{plans}` holds 1 plan, {size / 1000:,.0f} kB\n"
    assert run("cache", "--clear").stdout == f"deleted 1 plan from `{plans}`\n"
    assert os.listdir(plans) == []
    assert run("cache", "--clear").stdout == f"deleted 0 plans from `{plans}`\n"


def test_off(run, decide, plans: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SETTING, "off")
    decide()
    assert run("cache").stdout == "the cache is off\n"
    assert run("cache", "--clear").stdout == "the cache is off\n"
    assert not plans.exists()


def test_a_folder_that_others_may_write_to_is_left_alone(run, decide, plans: Path):
    decide()
    plans.chmod(0o777)
    result = run("cache")
    assert result.exit_code == 0
    assert result.stdout == f"`{plans}` is not used, since others may write to it\n"
    assert run("cache", "--clear").stdout == result.stdout
    assert len(os.listdir(plans)) == 1
