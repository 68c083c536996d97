"""Small random policy sets with invariants, and what is true of them by trying every request of a small world.

Conditions are made as CEL and as Python side by side, with errors as a third truth value, so that nothing here rests on
how the program reads expressions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from costlens_policy.engine.decision import Balance, Decision

__all__ = ["LIMIT", "MODELS", "Condition", "Moment", "World", "moments", "worlds"]

MODELS: Final[Mapping[str, dict[str, Any]]] = {
    "small": {"external": False, "regions": ["eu"], "window": 200, "output": 1.0, "capabilities": []},
    "mid": {"external": True, "regions": ["us", "eu"], "window": 4000, "output": 4.0, "capabilities": ["tools"]},
    "large": {"external": True, "regions": ["us"], "window": 100_000, "output": 20.0, "capabilities": ["tools"]},
}
LIMIT: Final = 100


@dataclass(frozen=True)
class Moment:
    """A request, a time and a state of the budget."""

    request: Mapping[str, Any]
    hour: int
    used: Decimal

    @property
    def now(self) -> datetime:
        return datetime(2026, 11, 2, self.hour, 30, tzinfo=UTC)

    @property
    def balances(self) -> dict[tuple[str, str], Balance]:
        return {("rules/month", ""): Balance(used=self.used)} if self.used else {}


Truth = bool | None
"""None is an error."""


@dataclass(frozen=True)
class Condition:
    """``holds`` takes a moment and the name of a model."""

    text: str
    holds: Callable[[Moment, str], Truth]

    @property
    def of_models(self) -> bool:
        return "model." in self.text


def _get(name: str) -> Callable[[Moment, str], Any]:
    return lambda moment, _: moment.request.get(name)


def _team(test: Callable[[str], bool]) -> Callable[[Moment, str], Truth]:
    return lambda moment, _: None if "team" not in moment.request else test(moment.request["team"])


def _tokens(test: Callable[[int], bool]) -> Callable[[Moment, str], Truth]:
    return lambda m, _: None if "prompt_tokens" not in m.request else test(m.request["prompt_tokens"])


_REQUESTS: Final = (
    *(
        Condition(f'request.tier == "{tier}"', lambda m, _, tier=tier: m.request.get("tier", "b") == tier)
        for tier in ("a", "b", "c")
    ),
    Condition('request.tier in ["a", "c"]', lambda m, _: m.request.get("tier", "b") in ("a", "c")),
    Condition("has(request.team)", lambda m, _: "team" in m.request),
    Condition('request.team == "red"', _team(lambda team: team == "red")),
    Condition('request.?team.orValue("") == "blue"', lambda m, _: m.request.get("team", "") == "blue"),
    Condition('request.team.startsWith("re")', _team(lambda team: team.startswith("re"))),
    Condition("request.prompt_tokens > 100", _tokens(lambda tokens: tokens > 100)),
    Condition("request.?prompt_tokens.orValue(0) <= 10", lambda m, _: m.request.get("prompt_tokens", 0) <= 10),
    Condition("has(request.tools)", lambda m, _: "tools" in m.request),
    Condition("request.?stream.orValue(false)", lambda m, _: m.request.get("stream", False)),
    Condition('request.?model.orValue("") == "large"', lambda m, _: m.request.get("model", "") == "large"),
)
_TIMES: Final = (Condition("now.getHours() >= 18", lambda m, _: m.hour >= 18),)
_STATES: Final = (
    Condition('budgets["rules/month"].used_ratio >= 0.5', lambda m, _: m.used / LIMIT >= Decimal("0.5")),
    Condition('budgets["rules/month"].left < 10.0', lambda m, _: LIMIT - m.used < 10),
)
_FACTS: Final = (
    Condition("model.external", lambda _, model: MODELS[model]["external"]),
    Condition('"eu" in model.regions', lambda _, model: "eu" in MODELS[model]["regions"]),
    Condition('model.name == "mid"', lambda _, model: model == "mid"),
    Condition("model.output_usd_per_million_tokens > 10.0", lambda _, model: MODELS[model]["output"] > 10),
)


def _not(one: Condition) -> Condition:
    def holds(moment: Moment, model: str) -> Truth:
        truth = one.holds(moment, model)
        return None if truth is None else not truth

    return Condition(f"!({one.text})", holds)


def _joined(decides: bool, one: Condition, other: Condition) -> Condition:
    def holds(moment: Moment, model: str) -> Truth:
        found = (one.holds(moment, model), other.holds(moment, model))
        return decides if decides in found else None if None in found else not decides

    return Condition(f"({one.text}) {'||' if decides else '&&'} ({other.text})", holds)


def _conditions(*atoms: Condition) -> st.SearchStrategy[Condition]:
    leaves = st.sampled_from(atoms)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(inner.map(_not), st.builds(_joined, st.booleans(), inner, inner)),
        max_leaves=3,
    )


ABOUT_REQUESTS: Final = _conditions(*_REQUESTS, *_TIMES, *_STATES)
ABOUT_MODELS: Final = _conditions(*_REQUESTS, *_FACTS)


@dataclass(frozen=True)
class World:
    """A policy set, as documents by file, and one invariant with its parts in Python."""

    documents: Mapping[str, dict[str, Any]]
    when: Condition | None
    test: Condition | None

    @property
    def invariant(self) -> dict[str, Any]:
        found: dict[str, Any] = self.documents["invariants.yaml"]["invariants"][0]
        return found

    def write(self, folder: Path) -> None:
        for name, document in self.documents.items():
            (folder / name).write_text(json.dumps(document))

    def applies(self, moment: Moment, model: str) -> bool:
        return self.when is None or self.when.holds(moment, model) is True

    def is_broken_by(self, moment: Moment, decision: Decision) -> bool:
        invariant = self.invariant
        if "effect" in invariant:
            return self.applies(moment, "") and decision.effect != invariant["effect"]
        if "routed_by" in invariant:
            return decision.allowed and self.applies(moment, "") and decision.rule not in invariant["routed_by"]
        return any(self._breaks(moment, *call) for call in _calls(decision))

    def _breaks(self, moment: Moment, model: str, rewrites: tuple[str, ...], cost: Decimal | None) -> bool:
        invariant = self.invariant
        if not self.applies(moment, model):
            return False
        if self.test is not None:
            return self.test.holds(moment, model) is not ("always" in invariant)
        if "rewritten_by" in invariant:
            return not set(invariant["rewritten_by"]) <= set(rewrites)
        return cost is None or cost > Decimal(str(invariant["max_cost_usd"]))


def _calls(decision: Decision) -> Iterator[tuple[str, tuple[str, ...], Decimal | None]]:
    if decision.model is not None and decision.estimate is not None:
        yield decision.model, decision.rewrites, decision.estimate.cost
    yield from ((call.model, call.rewrites, call.estimate.cost) for call in decision.fallback_calls)


_NAMES: Final = st.sampled_from(sorted(MODELS))
_FALLBACKS: Final = st.lists(_NAMES, unique=True, max_size=2)


@st.composite
def _targets(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["model", "models", "choose", "model_from", "split"]))
    if kind == "model":
        name = draw(_NAMES)
        return {"model": name, "fallbacks": [other for other in draw(_FALLBACKS) if other != name]}
    if kind == "models":
        return {"models": draw(st.lists(_NAMES, unique=True, min_size=1))}
    if kind == "choose":
        among = draw(ABOUT_MODELS)
        on_none = draw(st.sampled_from(["refuse", "next", "cheapest"]))
        limits = draw(st.sampled_from([{}, {"requires": ["tools"]}, {"max_cost_usd": 0.001}]))
        return {"choose": {"among": among.text, "minimize": "estimate.cost_usd", "limits": limits, "on_none": on_none}}
    if kind == "model_from":
        return {"model_from": 'request.?model.orValue("small")', "fallbacks": draw(_FALLBACKS)}
    shares = [{"model": draw(_NAMES), "weight": 1, "id": "one"}, {"model": draw(_NAMES), "weight": 3, "id": "two"}]
    return {"split": {"key": 'request.?user.orValue("")', "targets": shares}}


@st.composite
def _access(draw: st.DrawFn, index: int) -> dict[str, Any]:
    rule: dict[str, Any] = {"id": f"access{index}", "reason": "a rule"}
    kind = draw(st.sampled_from(["deny", "deny", "allow", "only", "only_models", "deny-model", "allow-model"]))
    if kind == "only":
        return rule | {"when": draw(ABOUT_REQUESTS).text, "only": draw(ABOUT_MODELS).text}
    if kind == "only_models":
        return rule | {
            "when": draw(ABOUT_REQUESTS).text,
            "only_models": draw(st.lists(_NAMES, unique=True, min_size=1)),
        }
    about = ABOUT_MODELS if kind.endswith("-model") else ABOUT_REQUESTS
    return rule | {"when": draw(about).text, "effect": kind.removesuffix("-model")}


@st.composite
def _budget(draw: st.DrawFn) -> dict[str, Any]:
    budget: dict[str, Any] = {"id": "month", "hard_limit_usd": LIMIT, "window": {"calendar": "month", "zone": "UTC"}}
    downgrade: dict[str, Any] = {"models": [draw(_NAMES)]}
    if draw(st.booleans()):
        downgrade["exclude"] = draw(_conditions(*_FACTS)).text
    does = draw(st.sampled_from([{"downgrade": downgrade}, {"needs_approval": {"reason": "Ann decides"}}]))
    return budget | {"thresholds": [{"at_ratio": 0.8, **does}]}


@st.composite
def _claims(draw: st.DrawFn) -> tuple[dict[str, Any], Condition | None]:
    kind = draw(st.sampled_from(["always", "never", "effect", "routed_by", "rewritten_by", "max_cost_usd"]))
    if kind in ("always", "never"):
        test = draw(_conditions(*_FACTS, *_FACTS, *_REQUESTS))
        return {kind: test.text}, test
    values: dict[str, st.SearchStrategy[Any]] = {
        "effect": st.sampled_from(["allow", "deny"]),
        "routed_by": st.lists(st.sampled_from(["rules/route0", "default"]), unique=True, min_size=1),
        "rewritten_by": st.just(["rules/rewrite"]),
        "max_cost_usd": st.sampled_from([0.001, 0.02]),
    }
    return {kind: draw(values[kind])}, None


def _document(kind: str, **content: Any) -> dict[str, Any]:
    head = {"apiVersion": "costlens-policy/v1", "kind": kind, "metadata": {"name": "rules", "version": "1"}}
    return head | content


def _catalogue() -> dict[str, Any]:
    models = {
        name: {
            "provider": "acme",
            "external": facts["external"],
            "regions": facts["regions"],
            "capabilities": facts["capabilities"],
            "context_window": facts["window"],
            "max_output_tokens": 100,
            "prices": [{"usd_per_million_tokens": {"input": facts["output"] / 2, "output": facts["output"]}}],
        }
        for name, facts in MODELS.items()
    }
    return _document("Catalogue", models=models)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a policy set and an invariant about it."""
    routes = [
        {"id": f"route{index}", "when": draw(ABOUT_REQUESTS).text, **draw(_targets())}
        for index in range(draw(st.integers(1, 3)))
    ]
    if draw(st.booleans()):
        routes[0]["waive_terms_for"] = ["downgrades"]
    per_call = {"id": "call", "when": draw(ABOUT_REQUESTS).text, "hard_limit_usd": 0.005, "window": {"per_call": True}}
    clamp = {"clamp_params": {"max_output_tokens": {"max": 50}}}
    policy = _document(
        "Policy",
        on_error=draw(st.sampled_from(["deny", "skip"])),
        access=[draw(_access(index)) for index in range(draw(st.integers(0, 3)))],
        routes=routes,
        rewrites=[{"id": "rewrite", "when": draw(ABOUT_MODELS).text, "apply": [clamp]}],
        budgets=[draw(_budget()), *([per_call] if draw(st.booleans()) else [])],
    )  # fmt: skip
    claim, test = draw(_claims())
    about = ABOUT_REQUESTS if {"effect", "routed_by"} & claim.keys() else ABOUT_REQUESTS | ABOUT_MODELS
    when = draw(st.none() | about)
    invariant = {"id": "promise", "title": "a promise", **({} if when is None else {"when": when.text}), **claim}
    policy_set = _document(
        "PolicySet",
        policies=["rules.yaml"],
        catalogues=["models.yaml"],
        attributes={"tier": {"type": "string", "default": "b", "values": ["a", "b", "c"]}},
        defaults={
            "access": draw(st.sampled_from(["allow", "allow", "deny"])),
            "route": draw(_targets().filter(lambda target: target.get("choose", {}).get("on_none") != "next")),
            "max_output_tokens": 100,
        },
    )
    documents = {
        "rules.yaml": policy,
        "models.yaml": _catalogue(),
        "policy-set.yaml": policy_set,
        "invariants.yaml": _document("Invariants", policy_set="policy-set.yaml", invariants=[invariant]),
    }
    return World(documents, when, test)


_ATTRIBUTES: Final[Mapping[str, tuple[Any, ...]]] = {
    "tier": (None, "a", "c"),
    "team": (None, "red", "blue", "reed", "green"),
    "prompt_tokens": (None, 1, 11, 101, 3000, 50_000),
    "tools": (None, [{"type": "function", "function": {"name": "look"}}]),
    "stream": (None, True),
    "model": (None, "large", "mid"),
    "user": (None, "ann", "bob"),
}
_USED: Final = (Decimal(0), Decimal(50), Decimal(85), Decimal(95), Decimal(100))


def moments() -> Iterator[Moment]:
    """Yield every request of the small world, at every time and state."""
    for values in product(*_ATTRIBUTES.values()):
        request = {name: value for name, value in zip(_ATTRIBUTES, values, strict=True) if value is not None}
        for hour, used in product((9, 20), _USED):
            yield Moment({"prompt": "Hello.", **request}, hour, used)
