"""The demo runs on a machine that has nothing but the repository, and on one with recorded traffic."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def demo(recorded: Path, written: Path) -> str:
    command = [sys.executable, str(ROOT / "examples" / "demo" / "run.py"), str(recorded), str(written)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=written.parent)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def change_of(shown: str, accounting: str) -> str:
    (line,) = (line for line in shown.splitlines() if line.strip().startswith(accounting))
    return line.split()[-1]


def test_without_any_recorded_traffic(tmp_path: Path) -> None:
    shown = demo(tmp_path / "nothing", tmp_path / "out")
    for part in (
        "1. The reference policies decide 14 requests",
        "2. The same requests with one model for everything",
        "3. A pull request",
        "Synthetic sessions",
        "4. Where the money went, in five synthetic weeks",
        "5. The ",
        "6. Calls through the client of Python",
    ):
        assert part in shown
    ignored, modeled = (
        line.split()[-1] for line in shown.splitlines() if "modeled, five-minute" in line or "ignored" in line
    )
    assert ignored.startswith("-"), "without caches the change seems to save"
    assert modeled.startswith("+"), "with them it costs more"
    assert all(len(line) <= 140 for line in shown.splitlines())
    assert len(shown.splitlines()) < 140


def test_the_page_and_its_calls(tmp_path: Path) -> None:
    demo(tmp_path / "nothing", tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "<svg" in page
    assert "code-review" in page
    with (tmp_path / "out" / "calls.csv").open(encoding="utf-8", newline="") as file:
        calls = list(csv.DictReader(file))
    assert len(calls) > 3000
    assert len({call["id"] for call in calls}) == len(calls)
    times = [call["time"] for call in calls]
    assert times == sorted(times)
    again = tmp_path / "again"
    demo(tmp_path / "nothing", again)
    assert (again / "calls.csv").read_bytes() == (tmp_path / "out" / "calls.csv").read_bytes()


def test_with_recorded_traffic(shared_data: Path, tmp_path: Path) -> None:
    shown = demo(shared_data, tmp_path / "out")
    assert "1,307 problems of GSM8K and 7,016 problems of MMLU" in shown
    for way in ("always the strong model", "always the weak model", "the policy", "a coin", "an oracle"):
        assert way in shown
    assert "1,097 of 5,488 questions (LLMRouter)" in shown
    assert "a coin does as well, for less" in shown
    assert "Recorded sessions" in shown
    assert "3,728" in shown
