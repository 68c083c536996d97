"""Shortcuts change nothing: what is decided the fast way is, to the byte, what the long way decides."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from costlens_policy import Balance, Engine, PolicyError, RequestError, load
from costlens_policy.quantiles import CallKind, Measured, Measures
from tests.engine.conftest import HEAD, POLICY_SET
from tests.engine.generated import WITHIN, balances, budget_texts, measures, policy_texts, requests
from tests.engine.longhand import longhand

NOW: Final = datetime(2026, 5, 1, 9, tzinfo=UTC)
_EXAMPLES: Final = 3000 if os.environ.get("COSTLENS_SOAK") else 150
_SET: Final = POLICY_SET % {
    "files": "p0.yaml", "attributes": "  tags: {type: list(string), default: []}", "access": "allow",
    "route": "{models: [mini, nano]}", "fallbacks": 2,
    "more": "signals: [signals.yaml]\nadmit: {unpriced_models: false, unknown_models: true, deprecated_models: false}",
}  # fmt: skip
_SIGNALS: Final = """\
apiVersion: costlens-policy/v1
kind: Signals
metadata: {name: signals, version: "1"}
signals:
  task: {labels: {chat: [{words: [hi, a b]}], x: [{pattern: '[b-y]', weight: 2}]}, min_confidence: 0.4}
  words: {length: words, reads: all_messages, max_characters: 30}
"""

_MODELS: Final[dict[str, dict[str, Any]]] = {
    "bare": {},
    "big": {"prices": (5, 15), "max_output_tokens": 8000, "context_window": 4000, "capabilities": ["tools"],
            "quality": {"chat": {"value": 0.9, "low": 0.85, "high": 0.95}}},
    "gone": {"prices": (0, 0), "retired": "2026-01-01"},
    "large": {"prices": (5, 15), "max_output_tokens": 50, "latency_ms": {"p50": 2000}, "deprecated": "2026-06-01",
              "quality": {"chat": {"value": 0.83, "low": 0.8, "high": 0.86}, "x": 0.5}},
    "mini": {"prices": (2, 8), "max_output_tokens": 4000, "prompt_cache": {"lifetime": "5m", "min_tokens": 900},
             "latency_ms": {"p50": 900}, "capabilities": ["tools"],
             "quality": {"chat": {"value": 0.87, "low": 0.77, "high": 0.9}}},
    "mini-b": {"prices": (2, 8), "max_output_tokens": 4000, "quality": {"chat": 0.8}},
    "nano": {"prices": (1, 2), "max_output_tokens": 2000, "latency_ms": {"p50": 500}, "capabilities": ["tools"]},
    "odd": {"prices": ("0.1000001", "0.3"), "max_output_tokens": 60, "capabilities": ["vision"]},
    "old": {"prices": (0, 1), "deprecated": "2026-01-01"},
    "twin": {"prices": (1, 2), "max_output_tokens": 2000, "capabilities": ["tools", "vision"],
             "quality": {"chat": 0.8}},
}  # fmt: skip


def _catalogue() -> str:
    lines = [
        "apiVersion: costlens-policy/v1",
        "kind: Catalogue",
        'metadata: {name: catalogue, version: "1"}',
        "models:",
    ]
    for name, fields in _MODELS.items():
        entry = {key: value for key, value in fields.items() if key != "prices"}
        if "prices" in fields:
            prompt, output = fields["prices"]
            rates = {"input": prompt, "output": output}
            if name.startswith(("mini", "nano")):
                rates |= {"cache_read": 0.1, "cache_write": 3}
            longer = {"above_input_tokens": 5000, "usd_per_million_tokens": {"input": 3, "output": 9}}
            entry["prices"] = [
                {"usd_per_million_tokens": rates} | ({"long_context": [longer]} if name.startswith("mini") else {})
            ]
        lines.append(f"  {name}: {json.dumps(entry)}")
    return "\n".join(lines).replace('"0.1000001"', "0.1000001").replace('"0.3"', "0.3")


@lru_cache(maxsize=512)
def _loaded(text: str) -> Engine | None:
    folder = Path(tempfile.mkdtemp())
    try:
        (folder / "catalogue.yaml").write_text(_catalogue(), encoding="utf-8")
        (folder / "signals.yaml").write_text(_SIGNALS, encoding="utf-8")
        (folder / "policy-set.yaml").write_text(_SET, encoding="utf-8")
        (folder / "p0.yaml").write_text(HEAD % "p0" + text, encoding="utf-8")
        return load(folder, cache=False)
    except PolicyError:
        return None
    finally:
        shutil.rmtree(folder)


@st.composite
def _choices(draw: st.DrawFn) -> dict[str, Any]:
    """Return a route that chooses by cost, the way that has a shortcut, under limits and filters of all kinds."""
    limits = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "max_cost_usd": st.sampled_from([0, 0.0001, 0.002, 0.005, 1]),
                "max_latency_ms": st.sampled_from([500, 1000]),
                "requires": st.just(["tools"]),
            },
        )
    )
    among = st.sampled_from(
        ["model.max_output_tokens > 55", 'model.quality["chat"] > 0.75', 'model.name != "nano"', "has(request.team)"]
    )
    direction = draw(st.sampled_from(["minimize", "maximize"]))
    choose = {direction: "estimate.cost_usd", "limits": limits}
    choose |= draw(st.fixed_dictionaries({}, optional={"among": among}))
    choose |= draw(st.sampled_from([{}, {"within": {"quality": 0.03}}, {"within": {"quality": 0.1}}, WITHIN]))
    return {"id": "choice", "choose": choose} | draw(
        st.fixed_dictionaries({}, optional={"fallbacks": st.just(["nano", "gone", "unheard-of"])})
    )


_SIGNALLED: Final = st.none() | st.sampled_from(
    ['signals.task == "chat"', "has(signals.task) && has(request.team)", "signals.?words.orValue(9) < 3"]
)
_KNOWN_SIGNALS: Final = st.sampled_from([{}, {"task": "chat"}, {"task": None, "words": 1}, {"task": "x y"}, 5])


@given(
    policy_texts(), st.none() | _choices(), budget_texts(), requests(), balances(), _SIGNALLED,
    st.none() | _KNOWN_SIGNALS, measures(_MODELS),
)  # fmt: skip
@settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_long_way_decides_the_same(
    policy: dict[str, Any],
    choice: dict[str, Any] | None,
    budgets: list[Any],
    request: dict[str, Any],
    states: dict[tuple[str, str], Balance],
    signalled: str | None,
    signals: Any,
    measured: dict[CallKind, Measured],
) -> None:
    routes = policy["routes"] if choice is None else [*policy["routes"][:1], choice]
    if signalled is not None:
        routes = [{"id": "signalled", "when": signalled, "models": ["twin", "nano"]}, *routes]
    if signals is not None:
        request = {**request, "signals": signals}
    engine = _loaded(_text({**policy, "routes": routes, "budgets": budgets}))
    assume(engine is not None)
    assert engine is not None
    known = {key: state for key, state in states.items() if key[0] in engine.plan.budgets}
    known_of_calls = {kind: found for kind, found in measured.items() if kind.budget in engine.plan.budgets}
    quick = _outcome(engine, request, known, known_of_calls)
    with longhand():
        assert _outcome(engine, request, known, known_of_calls) == quick


_SHORT_REQUESTS: Final = st.fixed_dictionaries(
    {"prompt_tokens": st.sampled_from([1, 100, 3000, 3990, 4000, 6000])},
    optional={
        "task": st.sampled_from(["chat", "x", "unmeasured"]),
        "max_output_tokens": st.sampled_from([10, 55, 1000, 5000]),
        "cost_budget": st.just(0.01),
    },
)


@given(_choices(), st.lists(_SHORT_REQUESTS, min_size=6, max_size=6))
@settings(max_examples=_EXAMPLES // 3, deadline=None, suppress_health_check=list(HealthCheck))
def test_who_is_within_reach_of_the_best_the_long_way(choice: dict[str, Any], requests: list[dict[str, Any]]) -> None:
    choice["choose"] |= {"within": {"quality": 0.03}} if "within" not in choice["choose"] else {}
    engine = _loaded(_text({"on_error": "skip", "routes": [choice]}))
    assume(engine is not None)
    assert engine is not None
    quick = [_outcome(engine, request, {}) for request in requests]
    with longhand():
        assert [_outcome(engine, request, {}) for request in requests] == quick


@pytest.mark.parametrize("limits", ["{requires: [tools]}", "{}"])
def test_what_never_qualified_is_told_before_a_rewrite_refuses(limits: str) -> None:
    """Models before the first that qualifies have fallen out by then; those behind it were not looked at."""
    engine = _loaded(
        f"on_error: deny\nroutes: [{{id: r, choose: {{minimize: estimate.cost_usd, limits: {limits}}}}}]\n"
        "rewrites: [{id: w, apply: [{set_params: {max_output_tokens: many}}]}]\n"
    )
    assert engine is not None
    decision = engine.decide({"prompt": "x"}, now=NOW)
    assert decision.reasons[-1] == "rewrites: parameter `max_output_tokens` is not a whole number from 1 on"
    assert [item.model for item in decision.excluded] == ["bare"]
    with longhand():
        assert engine.decide({"prompt": "x"}, now=NOW).to_dict() == decision.to_dict()


@pytest.mark.parametrize("on_error", ["deny", "skip"])
@pytest.mark.parametrize("when", ["true", 'request.metadata["n"] > 1'])
@pytest.mark.parametrize("limit", ["hard_limit_usd", "hard_limit_tokens"])
def test_an_overflow_is_asked_before_the_budgets_behind_it(on_error: str, when: str, limit: str) -> None:
    """Whatever fails first refuses; nothing behind it is read, or noted."""
    engine = _loaded(
        f"""on_error: {on_error}
budgets:
  - {{id: day, {limit}: 1, window: {{calendar: day}}, overflow: spare}}
  - {{id: mine, when: '{when}', scope: request.user, hard_limit_usd: 1, window: {{calendar: day}}}}
  - {{id: tags, scope: 'request.tags[0]', hard_limit_usd: 1, window: {{calendar: day}}}}
  - {{id: spare, when: 'request.metadata["flag"]', hard_limit_usd: 1, window: {{calendar: day}}, overflow: last}}
  - {{id: last, scope: '"a\\000b"', hard_limit_usd: 1, window: {{calendar: day}}}}
"""
    )
    assert engine is not None
    for metadata in ({}, {"flag": True}):
        request = {"prompt": "x", "user": "eve", "metadata": metadata}
        for spent in (0, 1):
            states = {("p0/day", ""): Balance(Decimal(spent)), ("p0/spare", ""): Balance(Decimal(spent))}
            quick = _outcome(engine, request, states)
            with longhand():
                assert _outcome(engine, request, states) == quick


@pytest.mark.parametrize("prompt", [0, 899, 900, 1000, 5001])
@pytest.mark.parametrize("warm", [{"mini": 900}, {"nano": 1000, "mini": 0}, {"nano": 5001, "twin": 1}, {"bare": 1}])
@pytest.mark.parametrize("marks", [{}, {"ttl": "1h"}])
def test_what_is_warm_is_added_up_alike(prompt: int, warm: dict[str, int], marks: dict[str, str]) -> None:
    engine = _loaded("routes: [{id: r, choose: {minimize: estimate.likely_cost_usd}, fallbacks: [odd]}]\n")
    assert engine is not None
    content = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", **marks}}]
    messages = [{"role": "user", "content": content}]
    request = {"prompt_tokens": prompt, "messages": messages, "warm_tokens": warm, "max_output_tokens": 40}
    quick = _outcome(engine, request, {})
    assert "likely_cost_usd" in quick or prompt < 900
    with longhand():
        assert _outcome(engine, request, {}) == quick


class _Name(str):
    """A name as an enumeration of a caller's may be."""


@pytest.mark.parametrize(
    "request_",
    [
        {_Name("user"): _Name("eve"), "prompt": "x"},
        {"user": None, "prompt": None},
        {"prompt_tokens": True},
        {"prompt_tokens": 10**9 + 1},
        {"cost_budget": 1},
        {"cost_budget": 1e-13},
        {"latency_budget_ms": float("nan")},
        {"prompt": "x", "messages": []},
        {"prompt": "x", "messages": None},
        {"params": None, "tags": None},
        {"params": {"max_tokens": 5}, "tags": ("a",)},
        {"params": {"model": "x"}},
        {5: "x"},
        {},
    ],
)
def test_requests_are_admitted_alike_by_their_shape_and_one_by_one(request_: dict[Any, Any]) -> None:
    engine = _loaded("routes: []\n")
    assert engine is not None
    quick = _outcome(engine, request_, {})
    assert _outcome(engine, request_, {}) == quick
    with longhand():
        assert _outcome(engine, request_, {}) == quick
    if not quick.startswith("{"):
        return
    admitted = engine.decide(request_, now=NOW).request
    assert {type(item) for pair in admitted.items() for item in pair} <= {str, int, float, list, dict, bool}


def test_few_shapes_are_kept() -> None:
    engine = _loaded("routes: [{id: r, model: mini}]\n")
    assert engine is not None
    names = ["prompt", "user", "team", "task", "model", "prompt_tokens", "max_output_tokens"]
    values = dict.fromkeys(names[:5], "x") | dict.fromkeys(names[5:], 1)
    for places in range(1 << len(names)):
        request = {name: values[name] for place, name in enumerate(names) if places >> place & 1}
        assert request.items() <= engine.decide(request, now=NOW).request.items()
    assert len(engine.plan.shapes) == 64


def _text(policy: Mapping[str, Any]) -> str:
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in policy.items())  # JSON is YAML, line by line


def _outcome(
    engine: Engine,
    request: Mapping[str, Any],
    states: Mapping[tuple[str, str], Balance],
    measured: Measures | None = None,
) -> str:
    """Return all that can be told of a decision: the answer, what would be held, and the record."""
    try:
        decision = engine.decide(request, balances=states, now=NOW, measured=measured)
    except RequestError as error:
        return str(error)
    calls = (decision.holds, decision.fallback_calls, decision.record())
    return json.dumps(decision.to_dict()) + repr(calls)
