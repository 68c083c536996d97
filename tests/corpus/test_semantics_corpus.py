"""Each sentence of docs/semantics.md has a case, each case a sentence, and each way to decide gives the same answer."""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from costlens_policy import RequestError
from costlens_policy.cli.app import app
from costlens_policy.engine.states import state_of
from costlens_policy.schema import schema_texts
from costlens_policy.testing import render, run_suites
from tests.corpus import test_semantics_in_python, test_semantics_of_invariants, test_semantics_of_the_guard
from tests.corpus.semantic_cases import CATALOGUE, CORPUS, Question, engine_of, questions, sentences

_SUITE: Final = re.compile(r"(S-[A-Z]{3}-[0-9]+)(-[a-z-]+)?\.yaml")
_TEST: Final = re.compile(r"test_(s_[a-z]{3}_[0-9]+)_")
_SAMPLE: Final = 11
"""Every so manieth question also goes through the command line."""


@cache
def _questions() -> tuple[Question, ...]:
    return tuple(questions())


def _cases() -> set[str]:
    suites = {_SUITE.fullmatch(path.name) for path in CORPUS.glob("*.yaml")}
    assert None not in suites, "a suite of the corpus is named after a sentence"
    modules = (test_semantics_in_python, test_semantics_of_invariants, test_semantics_of_the_guard)
    names = [name for module in modules for name in vars(module)]
    tests = filter(None, map(_TEST.match, names))
    return {found[1] for found in suites if found} | {found[1].upper().replace("_", "-") for found in tests}


def test_no_id_is_there_twice() -> None:
    assert [id for id, times in Counter(sentences()).items() if times > 1] == []


def test_ids_are_numbered_without_gaps() -> None:
    for stage in {id[:5] for id in sentences()}:
        numbers = [int(id[6:]) for id in sentences() if id.startswith(stage)]
        assert numbers == list(range(1, len(numbers) + 1)), stage


def test_every_sentence_has_a_case_and_every_case_a_sentence() -> None:
    assert sorted(_cases()) == sorted(sentences())


def test_suites_pass() -> None:
    run = run_suites([CORPUS])
    assert run.exit_code == 0, render(run, "pretty", color=False)


def test_decisions_fit_their_schema() -> None:
    schema = json.loads(schema_texts()["decision.v1.json"])
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for question in _questions():
        if question.acceptable:
            problems = list(validator.iter_errors(_decided(question)))
            assert not problems, f"{question.label}: {problems[0].json_path}: {problems[0].message}"


def test_the_schema_describes_every_key() -> None:
    def undescribed(schema: Any, path: str) -> list[str]:
        if not isinstance(schema, dict):
            return []
        here = [f"{path}.{key}" for key, value in schema.get("properties", {}).items() if "description" not in value]
        return here + [item for key, value in schema.items() for item in undescribed(value, f"{path}.{key}")]

    assert undescribed(json.loads(schema_texts()["decision.v1.json"]), "decision") == []


@pytest.mark.parametrize("question", _questions()[::_SAMPLE], ids=lambda question: question.label)
def test_the_command_line_gives_the_same_answer(question: Question, tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text(_json(question.request), encoding="utf-8")
    balances = [
        {"budget": budget, "key": key, **state_of(balance)} for (budget, key), balance in question.balances.items()
    ]
    (tmp_path / "balances.json").write_text(_json(balances), encoding="utf-8")
    result = CliRunner().invoke(
        app,
        [
            "eval", str(question.policy_set), str(CATALOGUE), "--format", "json", "--now", question.now.isoformat(),
            "--request", str(tmp_path / "request.json"), "--balances", str(tmp_path / "balances.json"),
        ],
    )  # fmt: skip
    if question.measured:  # which comes from a ledger
        return
    if not question.acceptable:
        assert result.exit_code == 2, result.output
        return
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == _decided(question)


def test_what_is_not_acceptable_is_refused() -> None:
    for question in _questions():
        if not question.acceptable:
            with pytest.raises(RequestError):
                _decided(question)


def _decided(question: Question) -> dict[str, Any]:
    engine = engine_of(question.policy_set)
    decision = engine.decide(question.request, balances=question.balances, now=question.now, measured=question.measured)
    return decision.to_dict()


def _json(value: Any) -> str:
    return json.dumps(value, default=_number)


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
