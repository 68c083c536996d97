"""The commands ``replay`` and ``diff``: output, gates, exit codes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from costlens_policy.cli import main
from costlens_policy.replay import READY
from tests.replay.conftest import NOTHING, call, folder_of

CHEAP = "routes:\n  - {id: cheap, model: small}\n"
CLOSED = "access:\n  - {id: closed, when: '!has(request.team)', effect: deny, reason: closed}\n"


@pytest.fixture
def world(tmp_path, monkeypatch) -> Path:
    """Return the present folder, with policies and traffic in it."""
    monkeypatch.chdir(tmp_path)
    folder_of(tmp_path / "old")
    folder_of(tmp_path / "cheap", CHEAP)
    folder_of(tmp_path / "closed", CLOSED)
    rows = [call(f"10:00:0{second}", model="large") for second in range(3)]
    (tmp_path / "traffic.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_replay_in_three_formats(world, capsys):
    assert main(["replay", "cheap", "--traffic", "traffic.jsonl"]) == 0
    text = capsys.readouterr().out
    assert "3 requests: 3 allowed, 0 denied" in text
    assert "-80.0%" in text
    assert "assumptions:" in text
    assert main(["replay", "cheap", "--traffic", "traffic.jsonl", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cost"], found["comparison"]["difference"]) == ("0.0045", "-0.018")
    assert found["assumptions"]
    assert main(["replay", "cheap", "--traffic", "traffic.jsonl", "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("### Replay")


def test_rows_left_out_decide_the_exit_code_and_are_written(world, capsys):
    with Path("traffic.jsonl").open("a") as file:
        file.write('{"time": ')
    assert main(["replay", "old", "--traffic", "traffic.jsonl", "--rejects", "bad.csv"]) == 7
    assert "3 requests" in capsys.readouterr().out, "what could be read is shown nevertheless"
    assert "traffic.jsonl,4," in Path("bad.csv").read_text()
    for allowed in ("1", "25%"):
        assert main(["replay", "old", "--traffic", "traffic.jsonl", "--max-rejects", allowed]) == 0
    assert main(["replay", "old", "--traffic", "traffic.jsonl", "--max-rejects", "24%"]) == 7
    for wrong in ("few", "-1", "-5%"):
        assert main(["replay", "old", "--traffic", "traffic.jsonl", "--max-rejects", wrong]) == 2
    assert main(["replay", "old", "--traffic", "traffic.jsonl", "--set", "request.nope=1"]) == 6


def test_no_traffic(world, capsys):
    Path("empty.jsonl").write_text("")
    assert main(["replay", "old", "--traffic", "empty.jsonl"]) == 3
    assert main(["replay", "old", "--traffic", "nowhere.csv"]) == 6
    assert main(["replay", "old", "--traffic", "traffic.jsonl", "--column", "time"]) == 2
    assert main(["replay", "old", "--traffic", "traffic.jsonl", "--mapping", "azure-llm"]) == 6
    assert "did you mean" in capsys.readouterr().err


def test_gates_of_diff(world, capsys):
    traffic = ["--traffic", "traffic.jsonl"]
    assert main(["diff", "old", "cheap", *traffic, "--max-increase", "5%", "--no-new-denials"]) == 0
    assert main(["diff", "cheap", "old", *traffic, "--max-increase", "399%"]) == 7
    assert "the cost grows by 400.00%" in capsys.readouterr().err
    assert main(["diff", "cheap", "old", *traffic, "--max-increase", "400%"]) == 0
    assert main(["diff", "old", "closed", *traffic, "--no-new-denials", "--format", "json"]) == 7
    out = capsys.readouterr().out
    assert '"3 requests are newly denied"' in out


def test_git_revisions(world, capsys):
    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments], check=True, capture_output=True
        )

    git("init", "-q")
    git("add", "old")
    git("commit", "-q", "-m", "one")
    folder_of(world / "old", CHEAP)
    assert main(["diff", "HEAD:old", "old", "--traffic", "traffic.jsonl", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] == 3
    folder_of(world / "old", NOTHING)
    assert main(["diff", "HEAD:./old", "old", "--traffic", "traffic.jsonl", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] == 0
    for name in ("HEAD:nowhere", "never:old", "--all:old"):
        assert main(["diff", "--traffic", "traffic.jsonl", "--", name, "old"]) == 6


def test_help_names_every_ready_mapping(capsys):
    main(["replay", "--help"])
    assert ",".join(READY) in "".join(capsys.readouterr().out.split())
