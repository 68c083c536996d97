"""No format lets texts of callers command a terminal, turn a line round, or calculate in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy import Guard, load
from costlens_policy.diagnostics.text import escaped, safe
from costlens_policy.replay.tables import csv_text
from tests.replay.conftest import call, folder_of

EVIL = "a\x1b[2Jb\x07c\rd\x9be\u202ef\u2066g\x00h\u2028i\x7fj\x1b[31mk"
BAD = "\x1b\x07\r\x9b\u202e\u2066\x00\u2028\x7f"
FORMULAS = (
    '=cmd|" /C calc"!A0',
    "@SUM(1+1)",
    "+1+1",
    "-2+3",
    "\t=1+1",
    "\r=1",
    "\n=1",
    ' "=1',
    "  =1",
    "\uff1d1+1",
    "\uff0b1",
    "'=1",
    "\u200b=1",
    "+491234",
    "%0A",
    "|x",
)


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder_of(tmp_path / "p", POLICY)
    rows = [
        call(f"10:00:0{n}", id=f"{EVIL}{n}", model=EVIL, team=team, session=EVIL)
        for n, team in enumerate((EVIL, "=1+1", "b"))
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (*rows, rows[0])))
    return tmp_path


POLICY = """
access:
  - {id: no, when: 'request.?team.orValue("") == "b"', effect: deny, reason: 'no: ${request.session}'}
"""
COLUMNS = ("--traffic", "log.jsonl", "--max-rejects", "9", "--column", "request.team=team")


@pytest.mark.parametrize(
    "command",
    [
        *(("replay", "p", *COLUMNS, "--format", kind) for kind in ("text", "json", "markdown")),
        *(("diff", "p", "p", *COLUMNS, "--format", kind) for kind in ("text", "json", "markdown")),
        *(("report", *COLUMNS, "--by", "team,model,session", "--format", kind) for kind in ("text", "json", "csv")),
        *(("advise", *COLUMNS[:4], "--by", "team", "--format", kind) for kind in ("text", "json", "markdown")),
        ("replay", "p", *COLUMNS, "--rejects", "bad.csv"),
    ],
)
def test_output_of_logs(run, log, command):
    result = run(*command)
    for text in (result.stdout, result.stderr, (log / "bad.csv").read_text() if "bad.csv" in command else ""):
        assert not set(BAD) & set(text)
    if "json" in command:
        assert EVIL in _texts(json.loads(result.stdout)) or "report" not in command


def _texts(value):
    if isinstance(value, dict):
        return [text for item in value.items() for part in item for text in _texts(part)]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else [value]


@given(st.text())
def test_json_stays_the_same_json(text):
    written = json.dumps({text: [text]}, ensure_ascii=False)
    assert json.loads(escaped(written)) == {text: [text]}
    assert escaped(written) == safe(escaped(written))


@given(st.lists(st.lists(st.text() | st.sampled_from(FORMULAS), min_size=1, max_size=4), min_size=1, max_size=4))
def test_no_cell_begins_a_formula(rows):
    text = csv_text(rows)
    for separator in (",", ";", "\t"):
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            for cell in row:
                start = unicodedata.normalize("NFKC", cell.lstrip(" \t\r\n\"'\u00a0")[:1])
                assert start not in ("=", "+", "@") or cell.startswith("'")
                assert not cell.startswith(("\t", "\r", "\n"))
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert [len(row) for row in read] == [0 if row == [""] else len(row) for row in rows]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_texts(text):
    ((cell,),) = csv.reader(io.StringIO(csv_text([[text]]), newline=""))
    assert "'" in cell


def test_numbers_stay_numbers():
    assert csv_text([[1, -2.5, "-0.0000012", "3e-7", "12"]]) == "1,-2.5,-0.0000012,3e-7,12\n"


@pytest.mark.parametrize("kind", ["pretty", "json", "tap", "github"])
def test_output_of_policy_tests(run, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    folder = folder_of(tmp_path / "p")
    name = json.dumps(EVIL.replace("\x00", ""))
    (folder / "a_test.yaml").write_text(SUITE.replace("NAME", name))
    result = run("test", "p", "--format", kind, "--junit", "junit.xml")
    for text in (result.stdout, result.stderr, (tmp_path / "junit.xml").read_text()):
        assert not set(BAD) & set(text)
        assert "i" in text or not text
    assert "1" in ET.parse(tmp_path / "junit.xml").getroot().attrib["tests"]


SUITE = """\
apiVersion: costlens-policy/v1
kind: Suite
metadata: {name: x, version: "1.0.0"}
policy_set: policy-set.yaml
now: 2026-06-01T10:00:00Z
cases:
  - name: NAME
    request: {prompt_tokens: 10, team: NAME}
    expect: {effect: deny}
"""


@pytest.mark.parametrize("command", [("status",), ("history",), ("holds",), ("status", "--format", "json")])
def test_output_of_budgets(run, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    folder = folder_of(tmp_path / "p", BUDGET)
    url = f"sqlite:///{tmp_path / 'spend.db'}"
    with Guard(load(folder), url, alert_sinks=[]) as guard:
        team = EVIL.replace("\x00", "")
        guard.call({"prompt": "x", "prompt_tokens": 10, "team": team}).settle(
            {"prompt_tokens": 9, "completion_tokens": 2}
        )
        held = guard.call({"prompt": "x", "prompt_tokens": 10, "team": team})
        result = run("budget", *command, "--ledger", url)
        held.release()
    assert result.exit_code in (0, 2), result.stderr
    assert not set(BAD) & set(result.stdout + result.stderr)


BUDGET = """
budgets:
  - {id: t, scope: 'request.?team.orValue("none")', hard_limit_usd: 9, window: {calendar: month}}
"""
