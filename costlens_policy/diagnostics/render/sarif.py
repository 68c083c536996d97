"""SARIF 2.1.0, the format in which code hosts take findings of static analysis."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import quote

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.diagnostics.model import Diagnostic, Related, Span

__all__ = ["sarif"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(diagnostics: Sequence[Diagnostic]) -> str:
    """Return a log with one run; its rules are the codes that occur."""
    rules = sorted({item.code for item in diagnostics})
    run = {
        "tool": {"driver": _driver(rules)},
        "columnKind": "unicodeCodePoints",
        "results": [_result(item, rules.index(item.code)) for item in diagnostics],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _driver(rules: Sequence[str]) -> dict[str, object]:
    try:
        installed = {"version": version("costlens-policy")}
    except PackageNotFoundError:
        installed = {}
    return {"name": "costlens-policy", **installed, "rules": [_rule(code) for code in rules]}


def _rule(id: str) -> dict[str, object]:
    code = CODES.get(id)
    return {"id": id, "name": code.name, "shortDescription": {"text": code.title}} if code else {"id": id}


def _result(item: Diagnostic, rule: int) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": item.code,
        "ruleIndex": rule,
        "level": item.severity.value,
        "message": {"text": f"{item.message} ({item.help})" if item.help else item.message},
        "locations": [_location(item.span, item.label)] if item.span else [],
    }
    if item.related:
        result["relatedLocations"] = [_related(number, place) for number, place in enumerate(item.related)]
    return result


def _related(number: int, place: Related) -> dict[str, object]:
    return {"id": number, **_location(place.span, place.label)}


def _location(span: Span, label: str) -> dict[str, object]:
    region = {
        "startLine": span.start.line,
        "startColumn": span.start.column,
        "endLine": span.end.line,
        "endColumn": span.end.column,
    }
    where = {"artifactLocation": {"uri": quote(span.file.replace("\\", "/"))}, "region": region}
    return {"physicalLocation": where, **({"message": {"text": label}} if label else {})}
