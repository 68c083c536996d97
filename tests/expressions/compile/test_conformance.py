"""The specification's conformance cases pass in each way an expression can be evaluated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from benchmarks import conformance
from costlens_policy.expressions import TypedExpr, Value
from costlens_policy.expressions.compile.exact.evaluation import Exact
from costlens_policy.expressions.compile.fast.emitter import Emitter
from costlens_policy.expressions.limits import DEFAULT_RUN_LIMITS

_IMPOSSIBLE: Final = {
    # It expects a backslash that is not in the expression; the twin for strings does not, and passes.
    "parse/bytes_literals/triple_single_quoted_unescaped_punctuation",
    "parse/bytes_literals/triple_double_quoted_unescaped_punctuation",
}


def _failures(shared_data: Path) -> set[str]:
    cases = conformance.read_cases(shared_data / "cel_conformance" / "corpus_dev.jsonl")
    return {
        f"{case.id}: {reason}" for case in cases if case.id not in _IMPOSSIBLE and (reason := conformance.failure(case))
    }


def test_fast_form_without_folded_constants(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most cases have no variables: they test the fast form only if their constants are left to run time."""
    monkeypatch.setattr(Emitter, "_fold", lambda emitter, node: None)
    assert _failures(shared_data) == set()


def test_exact_form(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_exactly(typed: TypedExpr, parameters: tuple[str, ...]) -> Callable[..., Value]:
        return Exact(typed, parameters, DEFAULT_RUN_LIMITS)

    monkeypatch.setattr(conformance, "compile_expression", compile_exactly)
    assert _failures(shared_data) == set()
