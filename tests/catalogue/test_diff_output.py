"""What ``catalogue diff`` prints: golden files over tiers, dates, long prompts, facts, and traffic that moves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from costlens_policy.cli.app import app

GOLDEN = Path(__file__).parent / "golden"
HEAD = 'apiVersion: costlens-policy/v1\nmetadata: {name: made-up, version: "1.0.0"}\n'
OLD = """\
kind: Catalogue
models:
  large:
    context_window: 100000
    prices:
      - usd_per_million_tokens: {input: 3, cache_read: 0.3, output: 15}
        service_tiers: {flex: {usd_per_million_tokens: {input: 2, output: 8}}}
  small:
    max_output_tokens: 4000
    prices: [{usd_per_million_tokens: {input: 1, output: 5}}]
  gone: {prices: [{usd_per_million_tokens: {input: 1, output: 1}}]}
"""
NEW = """\
kind: Catalogue
models:
  large:
    context_window: 200000
    deprecated: 2027-01-01
    prices:
      - usd_per_million_tokens: {input: 3, cache_read: 0.3, output: 15}
        long_context: [{above_input_tokens: 50000, usd_per_million_tokens: {input: 6, output: 22.5}}]
        service_tiers: {flex: {usd_per_million_tokens: {input: 1.5, output: 8}}}
      - effective: 2026-07-01
        usd_per_million_tokens: {input: 2, cache_read: 0.2, output: 10}
        service_tiers: {flex: {usd_per_million_tokens: {input: 1.5, output: 8}}}
  small:
    max_output_tokens: 4000
    capabilities: [tools]
    prices: [{usd_per_million_tokens: {input: 4, output: 20}}]
  added: {prices: [{usd_per_million_tokens: {input: 0.5, output: 2}}]}
"""
SET = """\
kind: PolicySet
policies: [policy.yaml]
catalogues: [catalogue.yaml]
attributes: {team: {type: string}}
defaults: {access: allow, route: {model: large}, max_output_tokens: 1000}
"""
POLICY = """\
kind: Policy
on_error: skip
routes:
  - {id: always-small, when: 'has(request.team) && request.team == "fixed"', model: small}
  - {id: cheapest, choose: {models: [small, large], minimize: estimate.cost_usd}}
"""
TRAFFIC = ("--policy", "set", "--traffic", "calls.jsonl", "--column", "request.team=team", "--cache", "off")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the present folder: two catalogues, a policy that takes the cheapest model but for one team, six calls."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    files = {"old.yaml": OLD, "new.yaml": NEW, "set/catalogue.yaml": OLD}
    files |= {"set/policy-set.yaml": SET, "set/policy.yaml": POLICY}
    for name, text in files.items():
        (tmp_path / name).write_text(HEAD + text)
    rows = [
        {
            "time": f"2026-06-01T10:00:0{at}Z",
            "prompt_tokens": 1000 * (at + 1),
            "output_tokens": 100,
            "team": team,
        }
        for at, team in enumerate(["fixed", "free"] * 3)
    ]
    (tmp_path / "calls.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def diff(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["catalogue", "diff", *arguments])


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("diff.txt", (), 0),
        ("diff.json", ("--format", "json"), 0),
        ("diff-traffic.txt", (*TRAFFIC, "--max-increase", "5%"), 7),
        ("diff-traffic.md", (*TRAFFIC, "--format", "markdown"), 0),
    ],
)
def test_golden(
    name: str, arguments: tuple[str, ...], code: int, folder: Path, golden: Callable[[Path, str], None]
) -> None:
    result = diff("old.yaml", "new.yaml", *arguments)
    assert result.exit_code == code, result.output
    golden(GOLDEN / name, result.stdout)


def test_price_and_decision_are_told_apart(folder: Path) -> None:
    """Three calls keep `small` at four times the price; three move to `large`."""
    moved = json.loads(diff("old.yaml", "new.yaml", *TRAFFIC, "--format", "json").stdout)["traffic"]
    kept, other = [1000, 3000, 5000], [2000, 4000, 6000]
    price = sum((3 * prompt + 15 * 100 for prompt in kept), 0)
    decision = sum(((3 - 1) * prompt + (15 - 5) * 100 for prompt in other), 0)
    causes: dict[str, Any] = {name: Decimal(cause["difference"]) for name, cause in moved["causes"].items()}
    assert causes == {
        "same model at another cost": Decimal(price) / 10**6,
        "another model": Decimal(decision) / 10**6,
    }
    assert Decimal(moved["difference"]) == sum(causes.values())
    assert moved["changed"] == len(other)


def test_a_lock_against_its_source(folder: Path) -> None:
    """The lock of a catalogue says the same as the catalogue; one that somebody changed by hand is refused."""
    locked = CliRunner().invoke(app, ["catalogue", "lock", "old.yaml"])
    (folder / "lock.yaml").write_text(locked.stdout)
    assert diff("lock.yaml", "old.yaml").stdout == "0 models changed, 0 models added, 0 models removed\n"
    assert json.loads(diff("lock.yaml", "new.yaml", "--format", "json").stdout) == json.loads(
        diff("old.yaml", "new.yaml", "--format", "json").stdout
    )
    (folder / "lock.yaml").write_text(locked.stdout.replace("input: 3", "input: 2"))
    changed = diff("lock.yaml", "new.yaml")
    assert changed.exit_code == 1
    assert "CL517" in changed.stderr


def test_a_revision_against_the_working_copy(folder: Path) -> None:
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "made up")):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments], cwd=folder, check=True)
    expected = diff("old.yaml", "new.yaml").stdout
    (folder / "old.yaml").write_text(HEAD + NEW)
    assert diff("HEAD:old.yaml", "old.yaml").stdout == expected
    missing = diff("HEAD:older.yaml", "old.yaml")
    assert missing.exit_code == 6
    assert "has no `older.yaml`" in missing.stderr
