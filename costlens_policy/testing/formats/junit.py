"""A run as JUnit XML, as CI systems read it. Suites that cannot run and missing coverage are test cases that fail."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.diagnostics.model import Span
from costlens_policy.diagnostics.render import render as render_diagnostics
from costlens_policy.diagnostics.text import safe
from costlens_policy.testing.formats.sentences import (
    difference_sentence,
    missing_in,
    nothing_to_run,
    shortfall_sentence,
)
from costlens_policy.testing.results import CaseOutcome, CaseResult, Run, SuiteResult

__all__ = ["clean", "render"]

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(run: Run, *, color: bool = False) -> str:
    """Return the XML text."""
    root = Element("testsuites", name="costlens-policy")
    for suite in run.suites:
        _suite(root, suite)
    _problems(root, run)
    _coverage(root, run)
    if not len(root):
        _nothing(root, run)
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    root.set("time", _seconds(sum(suite.seconds for suite in run.suites)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: Element, suite: SuiteResult) -> None:
    node = SubElement(root, "testsuite", name=clean(suite.name), file=clean(suite.file))
    failures = sum(result.outcome in (CaseOutcome.FAILED, CaseOutcome.VACUOUS) for result in suite.cases)
    errors = sum(result.outcome is CaseOutcome.ERROR for result in suite.cases)
    _count(node, len(suite.cases), failures, errors)
    node.set("time", _seconds(suite.seconds))
    properties = SubElement(node, "properties")
    SubElement(properties, "property", name="policy_set", value=clean(suite.policy_set))
    SubElement(properties, "property", name="coverage_percent", value=str(suite.coverage.percent))
    for result in suite.cases:
        _case(node, suite, result)


def _case(parent: Element, suite: SuiteResult, result: CaseResult) -> None:
    node = _testcase(parent, result.case.name, suite.name, result.case.span)
    node.set("time", _seconds(result.seconds))
    if not result.passed:
        lines = [*map(difference_sentence, result.differences), *result.notes]
        reasons = () if result.decision is None else result.decision.reasons
        word = "error" if result.outcome is CaseOutcome.ERROR else "failure"
        problem = SubElement(node, word, type=str(result.outcome), message=clean(lines[0]))
        problem.text = clean("\n".join([*lines, *reasons, *result.failures]))


def _problems(root: Element, run: Run) -> None:
    errors = [item for item in run.diagnostics if item.is_error]
    if not run.diagnostics:
        return
    node = SubElement(root, "testsuite", name="documents")
    if warnings := [item for item in run.diagnostics if not item.is_error]:
        SubElement(node, "system-out").text = clean(render_diagnostics(warnings, "full", run.lines_of))
    _count(node, len(errors), 0, len(errors))
    for item in errors:
        code = CODES.get(item.code)
        title = f"{item.code}: {code.title if code else item.message}"
        case = _testcase(node, title, "documents", item.span)
        problem = SubElement(case, "error", type=item.code, message=clean(item.message))
        problem.text = clean(render_diagnostics([item], "full", run.lines_of))


def _nothing(root: Element, run: Run) -> None:
    """An empty report would pass for a good one."""
    node = SubElement(root, "testsuite", name="nothing to run")
    _count(node, 1, 0, 1)
    case = _testcase(node, "nothing to run", "nothing to run", None)
    SubElement(case, "error", type="nothing", message=clean(nothing_to_run(run)))


def _coverage(root: Element, run: Run) -> None:
    if not run.shortfalls:
        return
    node = SubElement(root, "testsuite", name="coverage")
    _count(node, len(run.shortfalls), len(run.shortfalls), 0)
    missing = [f"{item.name}: {item.why}" for item in missing_in(run)]
    for item in run.shortfalls:
        case = _testcase(node, item.where or "all suites", "coverage", None)
        problem = SubElement(case, "failure", type="coverage", message=clean(shortfall_sentence(item)))
        problem.text = clean("\n".join(missing))


def _testcase(parent: Element, name: str, group: str, span: Span | None) -> Element:
    node = SubElement(parent, "testcase", name=clean(name), classname=clean(group))
    if span is not None:
        node.set("file", clean(span.file))
        node.set("line", str(span.start.line))
    return node


def _count(node: Element, tests: int, failures: int, errors: int) -> None:
    for name, number in (("tests", tests), ("failures", failures), ("errors", errors)):
        node.set(name, str(number))


def _seconds(seconds: float) -> str:
    return f"{seconds:.6f}"


def clean(text: str) -> str:
    """Replace characters that XML cannot carry or that deceive its reader, whatever a prompt contains."""
    return safe(_NO_XML.sub("\ufffd", text))
