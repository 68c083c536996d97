"""From a decision to expectations: all that a suite can say of it, and as little as tells it from another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from costlens_policy.documents.suite import Expectation
from costlens_policy.engine.decision import Call, Decision, Estimate, json_value
from costlens_policy.rewrites.tools import tool_names
from costlens_policy.testing.compare import compare
from costlens_policy.testing.observation import Observation
from costlens_policy.testing.vocabulary import Vocabulary

__all__ = ["everything_expected", "told_apart"]

_BRIEF: Final = ("effect", "model", "rule")
"""What every written case says, as far as there is any."""
_LENGTHY: Final = ("excluded", "params", "messages", "estimate", "fallback_calls", "reasons")
"""What is said only where nothing else tells two decisions apart: the first of these that does."""
_CLOSED: Final = ("rewrites", "params", "alerts", "overflowed", "ways_out", "excluded", "errors")
"""Of what nothing further may be there under ``exact``."""


def everything_expected(observation: Observation, known: Vocabulary) -> dict[str, Any]:
    """Return every expectation that holds of a decision, as a suite would write it."""
    decision = observation.decision
    thresholds = [name for place, name in known.thresholds.items() if place in observation.thresholds]
    found: dict[str, Any] = {
        "effect": decision.effect,
        "model": decision.model,
        "rule": decision.rule,
        "fallbacks": list(decision.fallbacks) if decision.allowed else None,
        "shares": list(decision.shares),
        "ways_out": [item.way for item in decision.ways_out],
        "rewrites": list(decision.rewrites),
        "alerts": list(dict.fromkeys(item.budget for item in decision.alerts)),
        "overflowed": list(dict.fromkeys(item.seen.budget for item in decision.overflowed)),
        "thresholds": thresholds,
        "excluded": {item.model: item.reason for item in decision.excluded},
        "errors": [item.code for item in decision.errors],
        "reasons": list(decision.reasons),
        **_sent(decision),
        "estimate": None if decision.estimate is None else _estimated(decision.estimate),
        "fallback_calls": [_call(call) for call in decision.fallback_calls] or None,
    }
    found = {name: value for name, value in found.items() if value is not None}
    for name in _unmet(found, observation, known):  # such as a text of which no expectation can be written
        del found[name]
    return found


def _sent(item: Decision | Call) -> dict[str, Any]:
    sent = {
        "prompt": item.prompt,
        "system": item.system,
        "messages": _messages(item.messages),
        "params": json_value(dict(item.params)) or None,
        "tools": None if item.tools is None else list(tool_names(item.tools)),
    }
    return {name: value for name, value in sent.items() if value is not None}


def _messages(messages: Sequence[object] | None) -> list[Any] | None:
    """Return messages as a suite expects them. Of what is not an object, no suite can expect anything."""
    if messages is None or not all(isinstance(message, Mapping) for message in messages):
        return None
    return [json_value(message) for message in messages]


def _call(call: Call) -> dict[str, Any]:
    return {"model": call.model, "rewrites": list(call.rewrites), **_sent(call), "estimate": _estimated(call.estimate)}


def _estimated(estimate: Estimate) -> dict[str, Any]:
    found: dict[str, Any] = {"prompt_tokens": estimate.prompt_tokens, "output_tokens": estimate.output_tokens}
    if estimate.cost is not None:
        found["cost_usd"] = estimate.cost
        if estimate.likely_cost not in (None, estimate.cost):
            found["likely_cost_usd"] = estimate.likely_cost
    return found


def told_apart(expected: Mapping[str, Any], other: Observation, known: Vocabulary) -> dict[str, Any] | None:
    """Return the expectations among ``expected`` that another decision does not meet, beside the plain outcome.

    None where it meets all of them: then no suite can tell the two apart.
    """
    if differs := _unmet(expected, other, known):
        short = [name for name in differs if name not in _LENGTHY]
        if differs == ["reasons"]:
            reasons = [reason for reason in expected["reasons"] if reason not in other.decision.reasons]
            return _some({**expected, "reasons": reasons}, ["reasons"])
        return _some(expected, short or [next(name for name in _LENGTHY if name in differs)])
    whole = {**_some(expected, [name for name in _CLOSED if expected.get(name)]), "exact": True}
    return whole if _unmet(whole, other, known) else None


def _unmet(expected: Mapping[str, Any], other: Observation, known: Vocabulary) -> list[str]:
    found = compare(Expectation.model_validate(expected), other, known)
    return sorted({item.path.partition(".")[0] for item in found})


def _some(expected: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: expected[name] for name in dict.fromkeys((*_BRIEF, *names)) if name in expected}
