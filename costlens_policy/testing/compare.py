"""Hold a decision against an expectation: each difference, down to the value inside that is to blame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, TypeAlias

from costlens_policy.documents.suite import EstimateExpectation, Expectation, FallbackExpectation, TextExpectation
from costlens_policy.engine.decision import Call, Decision, Estimate
from costlens_policy.expressions.runtime.regex import matcher
from costlens_policy.frozen import frozen
from costlens_policy.rewrites.tools import tool_names
from costlens_policy.testing.observation import Observation
from costlens_policy.testing.vocabulary import Vocabulary

__all__ = ["ABSENT", "Difference", "compare", "text_differences", "value_differences"]


class _Absent:
    """Represents an absent value."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()


@frozen
class Difference:
    """One thing that is not as expected. ``path`` leads through the decision, as in ``params.temperature``.

    ``relation`` is the expected relation of the actual to the expected value, such as ``contains``; empty means
    equality. ``ABSENT`` represents an absent value.
    """

    path: str
    expected: Any
    actual: Any
    relation: str = ""


@frozen
class _Comparison:
    """An observed decision and the names that the expectation may use for things in it."""

    observation: Observation
    known: Vocabulary
    exact: bool

    @property
    def decision(self) -> Decision:
        return self.observation.decision


_CompareOne: TypeAlias = Callable[[Any, _Comparison], Iterator[Difference]]


def compare(expect: Expectation, observation: Observation, known: Vocabulary) -> tuple[Difference, ...]:
    """Return everything in which a decision is not as expected."""
    seen = _Comparison(observation, known, expect.exact)
    found: list[Difference] = []
    for name, compare_one in _COMPARISONS.items():
        expected = getattr(expect, name)
        if expected is not None:
            found.extend(compare_one(expected, seen))
    if expect.exact:
        found.extend(_unnamed(expect, seen))
    return tuple(found)


def _effect(expected: str, seen: _Comparison) -> Iterator[Difference]:
    yield from value_differences("effect", expected, seen.decision.effect)


def _model(expected: str, seen: _Comparison) -> Iterator[Difference]:
    if seen.known.canonical(expected) != seen.decision.model:
        yield Difference("model", expected, _or_absent(seen.decision.model))


def _rule(expected: str, seen: _Comparison) -> Iterator[Difference]:
    if expected != seen.decision.rule and expected not in seen.observation.refused_by:
        yield Difference("rule", expected, seen.decision.rule)


def _fallbacks(expected: tuple[str, ...], seen: _Comparison) -> Iterator[Difference]:
    if tuple(map(seen.known.canonical, expected)) != seen.decision.fallbacks:
        yield Difference("fallbacks", list(expected), list(seen.decision.fallbacks))


def _not_served_by(expected: tuple[str, ...], seen: _Comparison) -> Iterator[Difference]:
    serving = {seen.decision.model, *seen.decision.fallbacks}
    if found := [name for name in expected if seen.known.canonical(name) in serving]:
        yield Difference("not_served_by", list(expected), found)


def _fallback_calls(expected: tuple[FallbackExpectation, ...], seen: _Comparison) -> Iterator[Difference]:
    calls = {call.model: call for call in seen.decision.fallback_calls}
    names = [seen.known.canonical(item.model) for item in expected]
    yield from _in_order("fallback_calls", names, list(calls), seen.exact)
    for name, item in zip(names, expected, strict=True):
        if name in calls:
            for difference in _call(item, calls[name], seen.exact):
                yield replace(difference, path=f"fallback_calls.{item.model}.{difference.path}")


def _call(expected: FallbackExpectation, call: Call, exact: bool) -> Iterator[Difference]:
    """Yield what does not hold of the call of one fallback."""
    if expected.rewrites is not None:
        yield from _in_order("rewrites", expected.rewrites, call.rewrites, exact)
    for key in ("prompt", "system"):
        if (text := getattr(expected, key)) is not None:
            yield from text_differences(key, text, getattr(call, key))
    for key in ("messages", "params"):
        if (value := getattr(expected, key)) is not None:
            actual = getattr(call, key)
            yield from value_differences(key, value, ABSENT if actual is None else actual, closed=exact)
    if expected.tools is not None:
        yield from _in_order("tools", expected.tools, tool_names(call.tools), exact=True)
    if expected.estimate is not None:
        yield from _estimated(expected.estimate, call.estimate)


def _shares(expected: tuple[str, ...], seen: _Comparison) -> Iterator[Difference]:
    if expected != seen.decision.shares:
        yield Difference("shares", list(expected), list(seen.decision.shares))


def _ways_out(expected: tuple[str, ...], seen: _Comparison) -> Iterator[Difference]:
    taken = [item.way for item in seen.decision.ways_out]
    if list(expected) != taken:
        yield Difference("ways_out", list(expected), taken)


def _reasons(expected: tuple[str, ...], seen: _Comparison) -> Iterator[Difference]:
    reasons = seen.decision.reasons
    for text in expected:
        if not any(text in reason for reason in reasons):
            yield Difference("reasons", text, list(reasons), "contain")


def _excluded(expected: Mapping[str, str], seen: _Comparison) -> Iterator[Difference]:
    if not expected:
        yield from _further_exclusions(seen, frozenset())
    for name, text in expected.items():
        model = seen.known.canonical(name)
        reasons = [item.reason for item in seen.decision.excluded if item.model == model]
        if not any(text in reason for reason in reasons):
            yield Difference(f"excluded.{name}", text, "; ".join(reasons) or ABSENT, "contains")


def _errors(expected: tuple[str, ...], seen: _Comparison) -> Iterator[Difference]:
    codes = [failure.code for failure in seen.decision.errors]
    if codes and not expected:
        yield Difference("errors", [], codes)
    for code in dict.fromkeys(expected):
        if codes.count(code) < expected.count(code):
            yield Difference("errors", code, codes, "include")


def _rewrites(expected: tuple[str, ...], seen: _Comparison) -> Iterator[Difference]:
    yield from _in_order("rewrites", expected, seen.decision.rewrites, seen.exact)


def _text(name: str) -> _CompareOne:
    def compare_text(expected: str | TextExpectation, seen: _Comparison) -> Iterator[Difference]:
        yield from text_differences(name, expected, getattr(seen.decision, name))

    return compare_text


def _messages(expected: tuple[Mapping[str, Any], ...], seen: _Comparison) -> Iterator[Difference]:
    actual = seen.decision.messages
    yield from value_differences("messages", expected, ABSENT if actual is None else actual, closed=seen.exact)


def _params(expected: Mapping[str, Any], seen: _Comparison) -> Iterator[Difference]:
    yield from value_differences("params", expected, seen.decision.params)


def _tools(expected: tuple[str, ...], seen: _Comparison) -> Iterator[Difference]:
    yield from _in_order("tools", expected, tool_names(seen.decision.tools), exact=True)


def _estimate(expected: EstimateExpectation, seen: _Comparison) -> Iterator[Difference]:
    yield from _estimated(expected, seen.decision.estimate)


def _estimated(expected: EstimateExpectation, estimate: Estimate | None) -> Iterator[Difference]:
    cost = None if estimate is None else estimate.cost
    for name in ("prompt_tokens", "output_tokens"):
        if (wanted := getattr(expected, name)) is not None:
            yield from value_differences(f"estimate.{name}", wanted, getattr(estimate, name, ABSENT))
    if expected.cost_usd is not None:
        yield from value_differences("estimate.cost_usd", expected.cost_usd, _or_absent(cost))
    if expected.likely_cost_usd is not None:
        likely = None if estimate is None else estimate.likely_cost
        yield from value_differences("estimate.likely_cost_usd", expected.likely_cost_usd, _or_absent(likely))
    if expected.min_cost_usd is not None and (cost is None or cost < expected.min_cost_usd):
        yield Difference("estimate.cost_usd", expected.min_cost_usd, _or_absent(cost), "is at least")
    if expected.max_cost_usd is not None and (cost is None or cost > expected.max_cost_usd):
        yield Difference("estimate.cost_usd", expected.max_cost_usd, _or_absent(cost), "is at most")


def _alerts(expected: tuple[str, ...], seen: _Comparison) -> Iterator[Difference]:
    yield from _in_order("alerts", expected, _alerting(seen.decision), seen.exact)


def _approvals(expected: tuple[str, ...], seen: _Comparison) -> Iterator[Difference]:
    actual = [f"{item.budget}@{item.threshold}" for item in seen.decision.approvals]
    yield from _in_order("approvals", expected, actual, seen.exact)


def _overflowed(expected: tuple[str, ...], seen: _Comparison) -> Iterator[Difference]:
    yield from _in_order("overflowed", expected, _passed(seen.decision), seen.exact)


def _thresholds(expected: tuple[str, ...], seen: _Comparison) -> Iterator[Difference]:
    actual = [name for threshold, name in seen.known.thresholds.items() if threshold in seen.observation.thresholds]
    yield from _in_order("thresholds", expected, actual, seen.exact)


def _in_order(path: str, expected: Sequence[str], actual: Sequence[str], exact: bool) -> Iterator[Difference]:
    """Yield a difference unless the expected items are there in this order.

    Nothing else may be there when ``exact``, nor where nothing is expected.
    """
    rest = iter(actual)
    closed = exact or not expected
    if list(expected) != list(actual) if closed else not all(item in rest for item in expected):
        yield Difference(path, list(expected), list(actual), "" if closed else "include, in this order,")


_COMPARISONS: Final[Mapping[str, _CompareOne]] = {
    "effect": _effect,
    "model": _model,
    "rule": _rule,
    "fallbacks": _fallbacks,
    "not_served_by": _not_served_by,
    "fallback_calls": _fallback_calls,
    "shares": _shares,
    "ways_out": _ways_out,
    "reasons": _reasons,
    "excluded": _excluded,
    "errors": _errors,
    "rewrites": _rewrites,
    "prompt": _text("prompt"),
    "system": _text("system"),
    "messages": _messages,
    "params": _params,
    "tools": _tools,
    "estimate": _estimate,
    "alerts": _alerts,
    "approvals": _approvals,
    "overflowed": _overflowed,
    "thresholds": _thresholds,
}


def _unnamed(expect: Expectation, seen: _Comparison) -> Iterator[Difference]:
    """Yield what an exact expectation does not name. What it names in order has been compared in full already."""
    decision = seen.decision
    if expect.rewrites is None and decision.rewrites:
        yield Difference("rewrites", [], list(decision.rewrites))
    if expect.ways_out is None and decision.ways_out:
        yield Difference("ways_out", [], [item.way for item in decision.ways_out])
    if expect.alerts is None and decision.alerts:
        yield Difference("alerts", [], _alerting(decision))
    if expect.overflowed is None and decision.overflowed:
        yield Difference("overflowed", [], _passed(decision))
    if expect.excluded != {}:
        yield from _further_exclusions(seen, frozenset(map(seen.known.canonical, expect.excluded or ())))
    codes = [failure.code for failure in decision.errors]
    if expect.errors != () and not set(codes) <= set(expect.errors or ()):
        yield Difference("errors", list(expect.errors or ()), codes)
    for name, value in decision.params.items():
        if name not in (expect.params or {}) and value != _given(decision, name):
            yield Difference(f"params.{name}", ABSENT, value)


def _further_exclusions(seen: _Comparison, named: frozenset[str]) -> Iterator[Difference]:
    for item in seen.decision.excluded:
        if item.model not in named:
            yield Difference(f"excluded.{item.model}", ABSENT, item.reason)


def _given(decision: Decision, name: str) -> Any:
    """Return the value that a parameter has when no rewrite touches it."""
    request = decision.request
    if name == "max_output_tokens":
        return request.get(name, decision.plan.defaults.max_output_tokens)
    return request.get("params", {}).get(name, ABSENT)


def _alerting(decision: Decision) -> list[str]:
    """Return the budgets that alert, each once however many of its thresholds do."""
    return list(dict.fromkeys(alert.budget for alert in decision.alerts))


def _passed(decision: Decision) -> list[str]:
    """Return the budgets without room for which their overflows count the call, each once."""
    return list(dict.fromkeys(item.seen.budget for item in decision.overflowed))


def _or_absent(value: Any) -> Any:
    return ABSENT if value is None else value


def value_differences(path: str, expected: Any, actual: Any, *, closed: bool = False) -> Iterator[Difference]:
    """Yield where JSON-like values differ.

    A map needs the expected keys, and no others when ``closed``; null expects a key to be absent. Lists are as long as
    expected. Numbers are equal by value, whatever their type; a boolean is not a number.
    """
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for key, value in expected.items():
            yield from value_differences(f"{path}.{key}", value, actual.get(key, ABSENT), closed=closed)
        if closed:
            yield from (Difference(f"{path}.{key}", ABSENT, actual[key]) for key in actual if key not in expected)
    elif isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        if len(expected) != len(actual):
            yield Difference(path, list(expected), list(actual))
            return
        for index, (left, right) in enumerate(zip(expected, actual, strict=True)):
            yield from value_differences(f"{path}[{index}]", left, right, closed=closed)
    elif not _equal(expected, actual):
        yield Difference(path, ABSENT if expected is None else expected, actual)


def _equal(expected: Any, actual: Any) -> bool:
    if expected is None:
        return actual is None or actual is ABSENT
    if _is_number(expected) and _is_number(actual):
        return _exact(expected) == _exact(actual)
    return type(expected) is type(actual) and bool(expected == actual)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _exact(number: int | float | Decimal) -> Decimal:
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def text_differences(path: str, expected: str | TextExpectation, actual: str | None) -> Iterator[Difference]:
    """Yield what does not hold of a text."""
    if isinstance(expected, str):
        expected = TextExpectation(equals=expected)
    if actual is None:
        relation, text, _ = next(_demands(expected))
        yield Difference(path, text, ABSENT, relation)
        return
    for relation, text, holds in _demands(expected, actual):
        if not holds:
            yield Difference(path, text, actual, relation)


def _demands(expected: TextExpectation, actual: str = "") -> Iterator[tuple[str, str, bool]]:
    """Yield each demand on a text: its relation, the expected text, and whether it holds."""
    if expected.equals is not None:
        yield "", expected.equals, actual == expected.equals
    for text in expected.contains:
        yield "contains", text, text in actual
    for text in expected.excludes:
        yield "does not contain", text, text not in actual
    if expected.starts_with is not None:
        yield "starts with", expected.starts_with, actual.startswith(expected.starts_with)
    if expected.ends_with is not None:
        yield "ends with", expected.ends_with, actual.endswith(expected.ends_with)
    if expected.matches is not None:
        yield "matches", expected.matches, matcher(expected.matches)(actual, None)
