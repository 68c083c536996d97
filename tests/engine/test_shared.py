"""Variables of the policy set and data documents change nothing but where a thing is written."""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from hypothesis import assume, given, settings

from costlens_policy import Decision, Engine, PolicyError, RequestError, load
from tests.engine.conftest import CATALOGUE, HEAD, POLICY_SET
from tests.engine.generated import balances, budget_texts, policy_texts, requests

NOW: Final = datetime(2026, 5, 1, 9, tzinfo=UTC)
_DATA: Final = 'apiVersion: costlens-policy/v1\nkind: Data\nmetadata: {name: shared, version: "1"}\ndata: '
_SHARED: Final = {
    '"chat"': "data.shared.tasks.first", '"mini"': 'data.shared["models"][0]', "1000": "data.shared.limits.tokens",
    "0.001": "data.shared.limits.usd", "12": "data.shared.limits.hour", "5.0": "data.shared.limits.dear",
    "0.75": "data.shared.limits.good",
}  # fmt: skip
_VALUES: Final = {
    "tasks": {"first": "chat"}, "models": ["mini", "large"],
    "limits": {"tokens": 1000, "usd": 0.001, "hour": 12, "dear": 5.0, "good": 0.75, "why": "not all are numbers"},
}  # fmt: skip


@lru_cache(maxsize=512)
def _loaded(text: str, more: str) -> Engine | None:
    folder = Path(tempfile.mkdtemp())
    values = {"files": "p0.yaml", "attributes": "  tags: {type: list(string), default: []}", "access": "allow"}
    values |= {"route": "{models: [mini, nano]}", "fallbacks": 2, "more": more}
    try:
        (folder / "catalogue.yaml").write_text(CATALOGUE, encoding="utf-8")
        (folder / "policy-set.yaml").write_text(POLICY_SET % values, encoding="utf-8")
        (folder / "p0.yaml").write_text(HEAD % "p0" + text, encoding="utf-8")
        (folder / "shared.yaml").write_text(_DATA + json.dumps(_VALUES), encoding="utf-8")
        return load(folder, cache=False)
    except PolicyError:
        return None
    finally:
        shutil.rmtree(folder)


def _decided(engine: Engine, request: Any, state: Any) -> dict[str, Any] | str:
    """Return what is decided, without digests, places, and the texts of conditions, which reasons quote."""
    known = {place: balance for place, balance in state.items() if place[0] in engine.plan.budgets}
    try:
        decision: Decision = engine.decide(request, balances=known, now=NOW)
    except RequestError as refused:
        return str(refused)
    exported = decision.to_dict()
    for error in exported["errors"]:
        del error["place"]
    for excluded in exported["excluded"]:
        del excluded["reason"]
    return {name: value for name, value in exported.items() if name not in ("policy_digest", "reasons", "record")}


def _conditions(part: Any) -> list[str]:
    """Return the conditions that read nothing but the request and the time."""
    if isinstance(part, dict):
        own = [part["when"]] if "model." not in part.get("when", "model.") else []
        return own + [text for value in part.values() for text in _conditions(value)]
    return [text for value in part for text in _conditions(value)] if isinstance(part, list) else []


def _replaced(part: Any, texts: dict[str, str]) -> Any:
    if isinstance(part, dict):
        return {
            key: texts.get(value, value) if key == "when" else _replaced(value, texts) for key, value in part.items()
        }
    return [_replaced(item, texts) for item in part] if isinstance(part, list) else part


@settings(deadline=None, max_examples=40)
@given(policy_texts(), budget_texts(), requests(), balances())
def test_a_condition_may_be_a_variable_of_the_set(policy: Any, budgets: Any, request: Any, state: Any) -> None:
    whole = policy | {"budgets": budgets}
    names = {text: f"c{place}" for place, text in enumerate(dict.fromkeys(_conditions(whole)))}
    shared = _replaced(whole, {text: f"variables.{name}" for text, name in names.items()})
    declared = json.dumps({name: text for text, name in names.items()})
    plain = _loaded(_yaml(whole), "")
    other = _loaded(_yaml(shared), f"variables: {declared}")
    assume(plain is not None)
    assert plain is not None
    assert other is not None
    assert _decided(other, request, state) == _decided(plain, request, state)


@settings(deadline=None, max_examples=40)
@given(policy_texts(), budget_texts(), requests(), balances())
def test_a_value_may_stand_in_a_data_document(policy: Any, budgets: Any, request: Any, state: Any) -> None:
    whole = policy | {"budgets": budgets}
    text = _yaml(whole)
    plain = _loaded(text, "")
    assume(plain is not None)
    other = _loaded(_yaml(_with_data(whole)), "data: [shared.yaml]")
    assert plain is not None
    assert other is not None
    assert _decided(other, request, state) == _decided(plain, request, state)


def _with_data(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _read(value) if key in _EXPRESSIONS else _with_data(value) for key, value in part.items()}
    return [_with_data(item) for item in part] if isinstance(part, list) else part


_EXPRESSIONS: Final = ("when", "only", "among", "exclude")


def _read(text: str) -> str:
    for value, read in _SHARED.items():
        text = text.replace(f" {value}", f" {read}").replace(f"[{value}]", f"[{read}]")
    return text


def _yaml(policy: Any) -> str:
    return "\n".join(f"{key}: {json.dumps(value)}" for key, value in policy.items())
