"""The specification's conformance cases, in each way an expression can be evaluated, and the command for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from benchmarks import conformance
from costlens_policy.expressions import TypedExpr, Value
from costlens_policy.expressions.compile.exact.evaluation import Exact
from costlens_policy.expressions.compile.fast.emitter import Emitter
from costlens_policy.expressions.limits import DEFAULT_RUN_LIMITS

_WRONG_IN_THE_SPECIFICATION: Final = {
    "parse/bytes_literals/triple_double_quoted_unescaped_punctuation",
    "parse/bytes_literals/triple_single_quoted_unescaped_punctuation",
}
"""They expect a backslash that is not in the expression; every implementation fails these."""

_LINE = {
    "file": "own", "container": "", "type_env": [], "bindings": {"x": {"map": [[{"bool": True}, {"uint": 2}]]}},
    "disable_check": False, "check_only": False,
}  # fmt: skip


def _failures(shared_data: Path) -> dict[str, str]:
    cases = conformance.read_cases(shared_data / "cel_conformance" / "corpus_dev.jsonl")
    reasons = {case.id: reason for case in cases if (reason := conformance.failure(case))}
    return {name: reason for name, reason in reasons.items() if name not in _WRONG_IN_THE_SPECIFICATION}


def test_every_case_of_the_specification_passes(shared_data: Path) -> None:
    assert _failures(shared_data) == {}


def test_fast_form_without_folded_constants(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most cases have no variables: they test the fast form only if their constants are left to run time."""
    monkeypatch.setattr(Emitter, "_fold", lambda emitter, node: None)
    assert _failures(shared_data) == {}


def test_exact_form(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_exactly(typed: TypedExpr, parameters: tuple[str, ...]) -> Callable[..., Value]:
        return Exact(typed, parameters, DEFAULT_RUN_LIMITS)

    monkeypatch.setattr(conformance, "compile_expression", compile_exactly)
    assert _failures(shared_data) == {}


def _run(path: Path, *cases: tuple[str, dict[str, object]]) -> int:
    lines = [
        {"id": f"own/{number}", "expr": text, "expected": expected} | _LINE
        for number, (text, expected) in enumerate(cases)
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return conformance.main([str(path)])


def test_a_file_in_which_all_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = [
        ("x[true]", {"kind": "value", "value": {"uint": 2}}),
        ("{'a': [x]}", {"kind": "value", "value": {"map": [[{"string": "a"}, {"list": [_LINE["bindings"]["x"]]}]]}}),  # type: ignore[index]  # a dict
        ("1 / 0", {"kind": "error"}),
        ("1 +", {"kind": "error"}),
        ("[1]", {"kind": "typed", "deduced_type": "list(int)"}),
        ("0.0 / 0.0", {"kind": "value", "value": {"double": "NaN"}}),
    ]
    assert _run(tmp_path / "cases.jsonl", *cases) == 0
    assert "6 passed     0 failed" in capsys.readouterr().out


def test_a_file_in_which_some_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = [
        ("1", {"kind": "value", "value": {"uint": 1}}),
        ("1", {"kind": "error"}),
        ("1", {"kind": "typed", "deduced_type": "uint"}),
        ("nobody", {"kind": "value", "value": {"int": 1}}),
        ("1 / 0", {"kind": "value", "value": {"int": 1}}),
    ]
    assert _run(tmp_path / "cases.jsonl", *cases) == 1
    out = capsys.readouterr().out
    assert "0 passed     5 failed" in out
    assert "FAILED own/3: unknown variable `nobody`" in out


def test_without_a_file_the_command_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.main(["nowhere.jsonl"]) == 2
    assert "usage:" in capsys.readouterr().err
