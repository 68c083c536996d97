"""Coverage for other tools: LCOV, Cobertura by its DTD, and the page."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from costlens_policy.testing import Run, RunFormat, render

RunText = Callable[..., Run]

BODY = """\
cases:
  - {name: a, request: {task: review, tier: premium}, expect: {model: large}}
  - {name: b, request: {team: guests}, expect: {effect: deny}}
"""


class Lcov:
    """The records of a tracefile, read as geninfo(1) describes them."""

    def __init__(self, text: str) -> None:
        self.files: dict[str, dict[str, list[str]]] = {}
        here: dict[str, list[str]] | None = None
        for line in text.splitlines():
            key, _, value = line.partition(":")
            if key == "SF":
                here = self.files[value] = {}
            elif key == "end_of_record":
                here = None
            elif key != "TN":
                assert here is not None, line
                here.setdefault(key, []).append(value)


def test_lcov_adds_up(run_text: RunText) -> None:
    found = Lcov(render(run_text(BODY), RunFormat.LCOV))
    assert set(found.files) == {"access.yaml", "prompts.yaml", "routing.yaml", "spend.yaml"}
    for records in found.files.values():
        lines = [value.split(",") for value in records["DA"]]
        branches = [value.split(",") for value in records.get("BRDA", ())]
        functions = [value.split(",", 1) for value in records["FNDA"]]
        assert records["LF"] == [str(len(lines))]
        assert records["LH"] == [str(sum(hits != "0" for _, hits in lines))]
        assert records["BRF"] == [str(len(branches))]
        assert records["BRH"] == [str(sum(taken not in ("-", "0") for *_, taken in branches))]
        assert records["FNF"] == [str(len(functions))]
        assert records["FNH"] == [str(sum(hits != "0" for hits, _ in functions))]
        assert len({line for line, _ in lines}) == len(lines)
        assert len({(line, block, index) for line, block, index, _ in branches}) == len(branches)
    assert "0,access/no-bots" in found.files["access.yaml"]["FNDA"]
    assert "1,access/no-guests" in found.files["access.yaml"]["FNDA"]


@pytest.mark.skipif(shutil.which("lcov") is None, reason="needs lcov")
def test_lcov_is_read_by_lcov(run_text: RunText, tmp_path: Path) -> None:
    file = tmp_path / "coverage.info"
    file.write_text(render(run_text(BODY), RunFormat.LCOV))
    command = ["lcov", "--summary", str(file), "--rc", "lcov_branch_coverage=1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"functions\.*: [\d.]+% \(\d+ of 9 functions\)", done.stdout + done.stderr)


# The content of coverage-04.dtd: of each element its children in order, and the attributes that it must and may have.
DTD = {
    "coverage": (
        "(sources )?packages ",
        "line-rate branch-rate lines-covered lines-valid branches-covered branches-valid complexity version timestamp",
        "",
    ),
    "sources": ("(source )*", "", ""),
    "source": ("", "", ""),
    "packages": ("(package )*", "", ""),
    "package": ("classes ", "name line-rate branch-rate complexity", ""),
    "classes": ("(class )*", "", ""),
    "class": ("methods lines ", "name filename line-rate branch-rate complexity", ""),
    "methods": ("(method )*", "", ""),
    "method": ("lines ", "name signature line-rate branch-rate", "complexity"),
    "lines": ("(line )*", "", ""),
    "line": ("(conditions )*", "number hits", "branch condition-coverage"),
    "conditions": ("(condition )*", "", ""),
    "condition": ("", "number type coverage", ""),
}


def faults(node: ET.Element) -> Iterator[str]:
    children, required, optional = DTD[node.tag]
    if not re.fullmatch(children, "".join(f"{child.tag} " for child in node)):
        yield f"{node.tag} has {[child.tag for child in node]}"
    if not set(required.split()) <= set(node.attrib) <= {*required.split(), *optional.split()}:
        yield f"{node.tag} has {list(node.attrib)}"
    for child in node:
        yield from faults(child)


def test_cobertura_keeps_to_its_dtd(run_text: RunText) -> None:
    root = ET.fromstring(render(run_text(BODY), RunFormat.COBERTURA))
    assert list(faults(root)) == []
    assert [node.get("filename") for node in root.iter("class")] == [
        "access.yaml", "prompts.yaml", "routing.yaml", "spend.yaml",
    ]  # fmt: skip
    lines = [line for node in root.iter("class") for line in node.findall("lines/line")]
    assert root.get("lines-valid") == str(len(lines))
    assert root.get("lines-covered") == str(sum(line.get("hits") != "0" for line in lines))
    shares = [re.fullmatch(r"\d+% \((\d+)/(\d+)\)", line.get("condition-coverage", "")) for line in lines]
    assert root.get("branches-covered") == str(sum(int(share[1]) for share in shares if share))
    assert root.get("branches-valid") == str(sum(int(share[2]) for share in shares if share))


class Page(HTMLParser):
    """What a page loads, and whether its elements are closed."""

    _VOID = frozenset({"meta", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[tuple[str, str | None]] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [(name, value) for name, value in attrs if name in ("src", "href", "action")]
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_shows_the_policies_and_loads_nothing(run_text: RunText) -> None:
    text = render(run_text(BODY, explain=True), RunFormat.HTML)
    page = Page(text)
    assert page.open == []
    assert page.loaded == [("href", "#files")]
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "url(" not in text
    assert "@import" not in text
    shown = "".join(page.text)
    assert "its condition does not hold in any of the 2 cases that reach it" in shown
    assert 'covered by {user: "bot-other"' in shown or 'covered by {user: "bot-' in shown


def test_the_page_escapes_what_policies_say(company: Path, run_text: RunText) -> None:
    (company / "prompts.yaml").write_text(
        'apiVersion: costlens-policy/v1\nkind: Policy\nmetadata: {name: prompts, version: "1"}\nrewrites:\n'
        "  - {id: x, when: request.task == '<script>alert(1)</script>', apply: [{prefix: {text: \"<b>\u202e\"}}]}\n"
    )
    text = render(run_text(BODY), RunFormat.HTML)
    assert "<script" not in text
    assert "<b>" not in text
    assert "\u202e" not in text
    Page(text)


def test_the_same_run_gives_the_same_files(run_text: RunText) -> None:
    for format in (RunFormat.LCOV, RunFormat.COBERTURA, RunFormat.HTML):
        assert render(run_text(BODY), format) == render(run_text(BODY), format)
