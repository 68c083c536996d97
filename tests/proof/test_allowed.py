"""What is proved to be allowed, or to cost no more, is so for every request of a small world, by the engine itself.

That holds if each request that is refused, or costs more, goes a way that a proof has to close: so this is tried, too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from costlens_policy import load
from costlens_policy.assurance import Every, Situation, Subject
from costlens_policy.engine.decide import decide, first_estimate, open_context
from costlens_policy.engine.decision import Balance, Decision
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.proof import Holds, prove
from costlens_policy.proof.claims import claims_of
from costlens_policy.proof.promises import find_promises
from costlens_policy.proof.verdicts import ways_of
from costlens_policy.proof.ways import UNLISTED, Way
from tests.proof.worlds import World, worlds
from tests.soak import examples

NOW: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)
SAMPLE: Final = 300
_ASIDE: Final = ("params", "modalities", "messages", "tools", "response_format", "cost_budget", "latency_budget_ms")
_PLAIN: Final = [f"!has(request.{name})" for name in _ASIDE] + ["request.?max_output_tokens.orValue(1) > 0"]


@dataclass(frozen=True)
class Call:
    request: Mapping[str, Any]
    used: Decimal
    cost: float | None
    """On the model that is asked first."""

    @property
    def left(self) -> Decimal:
        return max(Decimal(0), 100 - self.used)


@dataclass(frozen=True)
class Part:
    text: str
    holds: Callable[[Call], bool]


def _below(most: float) -> Part:
    return Part(
        f"has(estimate.cost_usd) && estimate.cost_usd < {most}",
        lambda call: call.cost is not None and call.cost < most,
    )


_PARTS: Final = (
    Part("request.?prompt_tokens.orValue(1000000) <= 100", lambda c: c.request.get("prompt_tokens", 10**6) <= 100),
    Part("request.?prompt_tokens.orValue(1000000) < 3001", lambda c: c.request.get("prompt_tokens", 10**6) < 3001),
    Part("request.?max_output_tokens.orValue(100) <= 100", lambda c: c.request.get("max_output_tokens", 100) <= 100),
    Part('budgets["rules/month"].left > 10.0', lambda c: c.left > 10),
    Part('budgets["rules/month"].left > 30.0', lambda c: c.left > 30),
    Part('budgets["rules/month"].used_ratio < 0.5', lambda c: c.used < 50),
    _below(0.0003),
    _below(0.001),
    _below(0.003),
    Part("has(request.prompt_tokens)", lambda c: "prompt_tokens" in c.request),
    Part('request.?tier.orValue("b") == "a"', lambda c: c.request.get("tier", "b") == "a"),
    Part("has(request.tools)", lambda c: "tools" in c.request),
    Part("has(request.cost_budget)", lambda c: "cost_budget" in c.request),
)


def _is_plain(call: Call) -> bool:
    request = call.request
    return not any(name in request for name in _ASIDE) and request.get("max_output_tokens", 1) > 0


_VALUES: Final[Mapping[str, tuple[Any, ...]]] = {
    "tier": (None, "a", "c"),
    "team": (None, "red", "blue"),
    "prompt_tokens": (None, 0, 1, 99, 100, 101, 150, 190, 3000, 3900, 50_000, 10**8),
    "max_output_tokens": (None, 0, 1, 50, 99, 100, 101, 4000),
    "model": (None, "large", "unlisted"),
    "user": (None, "ann", "bob", "cy"),
}
_MORE: Final[Mapping[str, tuple[Any, ...]]] = {
    "tools": ([{"type": "function", "function": {"name": "look"}}],),
    "params": ({"n": 3}, {"n": 0}, {"temperature": 1}),
    "response_format": ({"type": "json_object"},),
    "cost_budget": (0.0, 0.0001, 0.01),
    "latency_budget_ms": (1.0,),
}
_USED: Final = ("0", "49", "50", "69", "70", "79.9999", "80", "89", "90", "99.999", "100", "120")


@cache
def _requests() -> tuple[dict[str, Any], ...]:
    found = (dict(zip(_VALUES, values, strict=True)) for values in product(*_VALUES.values()))
    return tuple({name: value for name, value in request.items() if value is not None} for request in found)


def _sampled(seed: int) -> Iterator[tuple[dict[str, Any], Decimal, int]]:
    draw = random.Random(seed)
    for _ in range(SAMPLE):
        request = {"prompt": "Hello.", **draw.choice(_requests())}
        if draw.random() < 0.4:
            name = draw.choice(list(_MORE))
            request[name] = draw.choice(_MORE[name])
        yield request, Decimal(draw.choice(_USED)), draw.choice((9, 20))


@st.composite
def _promises(draw: st.DrawFn) -> tuple[World, bool, tuple[Part, ...], dict[str, Any]]:
    world = draw(worlds())
    policy = world.documents["rules.yaml"]
    policy["on_error"] = draw(st.sampled_from(["skip", "skip", "skip", "deny"]))
    for section, most in (("access", 0), ("routes", 1), ("rewrites", 0), ("budgets", 1), ("budgets", 0)):
        if draw(st.integers(0, 3)):
            policy[section] = policy[section][:most]
    world.documents["policy-set.yaml"]["defaults"]["max_output_tokens"] = draw(st.sampled_from([50, 100, 150]))
    if draw(st.integers(0, 3)):
        world.documents["policy-set.yaml"]["defaults"]["access"] = "allow"
    is_plain = draw(st.sampled_from([True] * 5 + [False]))
    parts = tuple(draw(st.lists(st.sampled_from(_PARTS), unique_by=lambda part: part.text, min_size=2, max_size=5)))
    when = " && ".join([*(_PLAIN if is_plain else ()), *(f"({part.text})" for part in parts)])
    claim = draw(st.sampled_from([{"effect": "allow"}, {"effect": "allow"}, {"max_cost_usd": 0.0021}]))
    invariant = {"id": "promise", "title": "a promise", **({"when": when} if when else {}), **claim}
    world.documents["invariants.yaml"]["invariants"] = [invariant]
    return world, is_plain, parts, claim


def agree(promise: tuple[World, bool, tuple[Part, ...], dict[str, Any]], seed: int = 7) -> str:
    """Assert that what holds is broken by no request that is tried; return the verdict."""
    world, is_plain, parts, claim = promise
    with TemporaryDirectory() as name:
        folder = Path(name)
        world.write(folder)
        proved = prove([folder], now=NOW, limit_s=3)
        assume(proved.proofs)
        verdict = proved.proofs[0].verdict
        if not isinstance(verdict, Holds):
            return type(verdict).__name__
        plan = load(folder / "policy-set.yaml", cache=False).plan
    for request, used, hour in _sampled(seed):
        balances = {("rules/month", ""): Balance(used=used)}
        now = datetime(2026, 11, 2, hour, 30, tzinfo=UTC)
        try:
            decision = decide(plan, request, balances, now)
        except CostlensPolicyError:
            continue
        if "effect" in claim:
            first = first_estimate(open_context(plan, request, balances, now))
            cost = None if first is None or first.cost is None else float(first.cost)
            call = Call(request, used, cost)
            meant = (not is_plain or _is_plain(call)) and all(part.holds(call) for part in parts)
            assert not meant or decision.allowed, (world.documents, request, used, decision)
        else:
            for cost in _costs(decision):
                call = Call(request, used, None if cost is None else float(cost))
                meant = (not is_plain or _is_plain(call)) and all(part.holds(call) for part in parts)
                assert not meant or (cost is not None and cost <= Decimal("0.0021")), (world.documents, request, used)
    return "Holds"


def _costs(decision: Decision) -> Iterator[Decimal | None]:
    if decision.estimate is not None:
        yield decision.estimate.cost
    yield from (call.estimate.cost for call in decision.fallback_calls)


def covered(promise: tuple[World, bool, tuple[Part, ...], dict[str, Any]], seed: int = 7) -> int:
    """Assert that each request that breaks a promise goes one of the ways that are asked; return how many did."""
    world, *_ = promise
    with TemporaryDirectory() as name:
        folder = Path(name)
        world.write(folder)
        found = find_promises([folder])
        assume(found.promises)
        (promises,) = found.promises
    subject = Subject(promises.bundle, NOW)
    (claim,) = claims_of(subject, promises.document, promises.expressions)
    ways = list(ways_of(claim))
    goals = [(way, goal) for way in ways if (goal := claim.broken_on(way)) is not None]
    broken = 0
    for request, used, hour in _sampled(seed):
        balances = {("rules/month", ""): Balance(used=used)}
        situation = Situation(request, balances, datetime(2026, 11, 2, hour, 30, tzinfo=UTC))
        witness = subject.decided(situation)
        breach = None if witness is None else claim.broken_by(witness)
        if breach is not None:
            broken += 1
            models = [way.model for way, goal in goals if subject.meets(Every([goal, way.goal]), situation, _of(way))]
            assert breach.model in models or (models and "effect" in claim.invariant.claim), (
                world.documents,
                situation,
                breach,
                witness and (witness.decision.rule, witness.decision.reasons, witness.decision.excluded),
            )
    return broken


def _of(way: Way) -> str | None:
    return way.model if way.model and way.model != UNLISTED else None


@given(_promises())
@settings(max_examples=examples(5), deadline=None, suppress_health_check=list(HealthCheck))
def test_requests_that_break_a_promise_go_ways_that_are_asked(
    promise: tuple[World, bool, tuple[Part, ...], dict[str, Any]],
) -> None:
    covered(promise)


@given(_promises())
@settings(max_examples=examples(4), deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_proved_to_be_allowed_is_allowed(promise: tuple[World, bool, tuple[Part, ...], dict[str, Any]]) -> None:
    agree(promise)
