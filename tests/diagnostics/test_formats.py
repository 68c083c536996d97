"""The formats for programs, and the summary."""

from __future__ import annotations

import json

import pytest

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.diagnostics.render import FORMATS, render
from costlens_policy.diagnostics.text import summary
from tests.diagnostics.places import problem, related, span

_TEXT = "id: a\nmodle: [1,\n 2]\n"
_MISSING = Diagnostic("CL001", Severity.ERROR, "there is no file `a, b: 50%`", help="check\nthe path")
_HERE = problem(_TEXT, "modle", "here", help="did you mean `model`?", more=(related(_TEXT, "id", "first"),))
_LONG = Diagnostic("CL014", Severity.WARNING, "long", problem(_TEXT, "[1,\n 2]").span)
_NOTE = Diagnostic("CL999", Severity.NOTE, "of a code that is not declared", problem(_TEXT, "a").span)
_ALL = (_LONG, _HERE, _MISSING, _NOTE)


def test_concise() -> None:
    assert render(_ALL, "concise").splitlines() == [
        "error[CL001]: there is no file `a, b: 50%` (check␊the path)",
        "policies/premium.yaml:1:5: note[CL999]: of a code that is not declared",
        "policies/premium.yaml:2:1: error[CL302]: unknown variable `modle` (did you mean `model`?)",
        "policies/premium.yaml:2:8: warning[CL014]: long",
    ]
    assert "\x1b[1;33mwarning[CL014]\x1b[0m" in render(_ALL, "concise", color=True)


def test_github_escapes_properties_and_messages() -> None:
    lines = render(_ALL, "github").splitlines()
    assert lines[0] == ("::error title=CL001%3A file cannot be read::there is no file `a, b: 50%25` (check%0Athe path)")
    assert lines[1].startswith("::notice file=policies/premium.yaml,line=1,endLine=1,col=5,endColumn=6,title=CL999::")
    assert "line=2,endLine=3,title=" in lines[3], "columns over several lines are dropped"


def test_json_is_one_array() -> None:
    items = json.loads(render(_ALL, "json"))
    assert [item["code"] for item in items] == ["CL001", "CL999", "CL302", "CL014"]
    assert items[0]["span"] is None
    assert items[0]["name"] == "unreadable-file"
    assert items[1]["name"] is None
    assert items[2]["span"]["start"] == {"offset": 6, "line": 2, "column": 1}
    assert items[2]["related"][0]["label"] == "first"
    assert set(items[2]) == {
        "code",
        "name",
        "severity",
        "message",
        "label",
        "help",
        "span",
        "related",
        "witnesses",
        "proved",
        "fixable",
    }
    assert json.loads(render([], "json")) == []


def test_sarif_has_what_the_format_requires() -> None:
    log = json.loads(render(_ALL, "sarif"))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "costlens-policy"
    assert run["columnKind"] == "unicodeCodePoints"
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        for location in result["locations"]:
            region = location["physicalLocation"]["region"]
            assert 1 <= region["startLine"] <= region["endLine"]
            assert min(region["startColumn"], region["endColumn"]) >= 1
    assert run["results"][0]["locations"] == []
    assert run["results"][2]["relatedLocations"][0]["message"] == {"text": "first"}
    rule = next(rule for rule in driver["rules"] if rule["id"] == "CL014")
    assert rule["shortDescription"]["text"] == CODES["CL014"].title
    assert json.loads(render([], "sarif"))["runs"][0]["results"] == []


def test_sarif_files_are_uris() -> None:
    place = span("x", "x", "my policies\\é#1.yaml")
    log = json.loads(render([Diagnostic("CL302", Severity.ERROR, "m", place)], "sarif"))
    uri = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "my%20policies/%C3%A9%231.yaml"


@pytest.mark.parametrize(
    ("items", "files", "line"),
    [
        ((), 1, "no problems in 1 file"),
        ((_HERE, _HERE), 3, "1 error in 3 files"),
        (_ALL, 2, "2 errors, 1 warning, 1 note in 2 files"),
    ],
)
def test_summary(items: tuple[Diagnostic, ...], files: int, line: str) -> None:
    assert summary(items, files) == line


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="yaml"):
        render([], "yaml")


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_ends_in_one_line_end(format: str) -> None:
    text = render(_ALL, format, lambda _: _TEXT.splitlines())
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
