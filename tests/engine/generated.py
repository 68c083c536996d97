"""Requests, balances and policies made at random, all of them small."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any, Final

from hypothesis import strategies as st

from costlens_policy import Balance
from costlens_policy.quantiles import CallKind, Measured

__all__ = ["BUDGETS", "COUNTS", "WITHIN", "balances", "budget_texts", "measures", "policy_texts", "requests"]

MODELS: Final = ("nano", "mini", "large", "mini-latest", "nobody")
BUDGETS: Final = ("day", "mine", "tokens", "weighted", "spare", "last", "share", "inner")

_CONDITIONS: Final = (
    'request.task == "chat"', 'request.user != "eve"', "has(request.team)", 'request.metadata["n"] > 1',
    "request.prompt_tokens > 1000", '"a" in request.tags', 'request.metadata["flag"]', "now.getHours() < 12",
    "has(request.cost_budget) && request.cost_budget > 0.001", "true", 'request.asked_model.name == "mini"',
    'request.?asked_model.name.orValue("") != "mini" && has(request.model)', "has(request.asked_model)",
)  # fmt: skip
_OF_MODELS: Final = (
    *_CONDITIONS, "model.output_usd_per_million_tokens > 5.0", 'model.quality["chat"] > 0.75', 'model.name == "nano"',
)  # fmt: skip
_SCORES: Final = (
    "estimate.cost_usd", "estimate.likely_cost_usd * (has(model.warm_tokens) ? 0.9 : 1.0)",
    'model.quality["chat"]', "model.latency_p50_ms", "1.0", 'request.metadata["n"]', "0.0 / 0.0",
)  # fmt: skip
WITHIN: Final = {"within": {"quality": 0.03}, "quality": "lower_bound"}
_TEXT: Final = st.text(max_size=40)
_AMOUNT: Final = st.decimals(min_value=0, max_value=2, places=6)


COUNTS: Final = st.sampled_from(
    [
        {"input": 1, "cached_input": 0.1, "output": 6}, {"output": 1}, {"cached_input": 1}, {"reasoning": 0.5},
        {"input": 0.5, "cache_write": 2, "input_image": 3, "output_audio": 7}, {"output": 1, "output_image": 20},
        {"input": 1000, "cache_write_1h": 1000.5, "output": 0.25}, {"input": 1, "output": 1},
    ]
)  # fmt: skip


def _condition(names: tuple[str, ...] = _CONDITIONS) -> st.SearchStrategy[str]:
    return st.sampled_from(names)


def _models(most: int = 3) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(MODELS[:4]), min_size=1, max_size=most)


@st.composite
def _target(draw: st.DrawFn, deep: int = 2) -> dict[str, Any]:
    kind = draw(st.sampled_from(["models", "model_from", "choose", "split"]))
    fallbacks = {"fallbacks": draw(_models(2))} if draw(st.booleans()) else {}
    if kind == "models":
        return {"models": draw(_models())}
    if kind == "model_from":
        return {"model_from": "request.model"} | fallbacks
    if kind == "choose":
        limits = draw(st.sampled_from([{}, {"max_cost_usd": 0.005}, {"min_quality": 0.75}, {"requires": ["tools"]}]))
        direction = draw(st.sampled_from(["minimize", "maximize"]))
        among = {"among": draw(_condition(_OF_MODELS))} if draw(st.booleans()) else {}
        way = st.sampled_from(["refuse", "cheapest", "best", "next"])
        way_out = {"on_none": draw(way if deep < 2 else way | _target(deep - 1))}
        close = draw(st.sampled_from([{}, {}, {"within": {"quality": 0.1}}, WITHIN]))
        choose = {direction: draw(st.sampled_from(_SCORES)), "limits": limits} | among | way_out | close
        return {"choose": choose} | fallbacks
    shares = [{"model": "nano"} if deep < 2 or draw(st.booleans()) else draw(_target(deep - 1)), {"model": "mini"}]
    weighed = [share | {"weight": weight} for share, weight in zip(shares, (3, 1), strict=True)]
    return {"split": draw(st.sampled_from([{"key": "request.user"}, {}])) | {"targets": weighed}} | fallbacks


@st.composite
def budget_texts(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return the budgets of a policy."""
    threshold = st.fixed_dictionaries(
        {"alert": st.just("high")},
        optional={
            "downgrade": st.sampled_from(
                [{"models": ["nano"]}, {"exclude": _OF_MODELS[-3], "models": ["mini", "nano"]}]
            ),
            "rewrite": st.just([{"clamp_params": {"max_output_tokens": {"max": 10}}}]),
        },
    )
    thresholds = [draw(threshold) | {"at_ratio": ratio} for ratio in draw(st.sampled_from([[], [0.5], [0.5, 0.9]]))]
    burn = {"at_burn_rate": {"rate": 2, "long": "1h", "short": "5m"}}
    ahead = st.sampled_from([{"at_projected_ratio": 1.5}, {"at_exhausted_in": "6h", "min_elapsed": 0}, burn])
    foretold = [draw(threshold) | draw(ahead)] if draw(st.booleans()) else []
    hold = draw(st.sampled_from([{}, {"hold": {"quantile": 0.9, "cases": 3}}]))
    day = {
        "id": "day",
        **hold,
        "hard_limit_usd": draw(st.sampled_from([0, 0.002, 0.01, 1, 2])),
        "window": {"calendar": "day"},
        "thresholds": [*thresholds, *foretold],
        **draw(st.sampled_from([{}, {"carry_over": {"share": 0.5, "periods": 2}}, {"carry_over": {"max_usd": 0.5}}])),
    }
    mine = {"id": "mine", "scope": "request.user", "hard_limit_usd": 1, "window": {"rolling": "24h"}}
    mine["when"] = draw(_condition(_OF_MODELS))
    tokens = {
        "id": "tokens",
        "hard_limit_tokens": 'request.user == "vip" ? 100000 : 2000',
        "window": {"per_call": True},
    }
    weighted = {
        "id": "weighted",
        **hold,
        "hard_limit_tokens": draw(st.sampled_from([0, 1, 700, 2000, 500_000, "request.?prompt_tokens.orValue(7) * 2"])),
        "count": draw(COUNTS),
        "window": {"rolling": "1h"},
        "thresholds": thresholds,
    }
    budgets = draw(
        st.lists(st.sampled_from([day, mine, tokens, weighted]), max_size=3, unique_by=lambda item: item["id"])
    )
    if not budgets or draw(st.booleans()):
        return draw(_with_shares(budgets))
    spare = {
        "id": "spare",
        **hold,
        "scope": draw(st.sampled_from(["request.user", '""', "model.name"])),
        "when": draw(_condition(_OF_MODELS)),
        "hard_limit_usd": draw(st.sampled_from([0.001, 1])),
        "window": {"calendar": "day"},
        "thresholds": thresholds,
        "shadow": draw(st.booleans()),
        "overflow": "last",
    }
    last = {"id": "last", "hard_limit_requests": draw(st.integers(0, 2)), "window": {"lifetime": True}}
    chosen = draw(st.lists(st.sampled_from(budgets), min_size=1, unique_by=lambda item: item["id"]))
    return [*({**item, "overflow": "spare"} if item in chosen else item for item in budgets), spare, last]


@st.composite
def _with_shares(draw: st.DrawFn, budgets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return budgets with some that are reserved from one of them, one after the other or side by side."""
    whole = [budget["id"] for budget in budgets if budget["id"] in ("day", "mine")]
    if not whole or draw(st.booleans()):
        return budgets
    share = {
        "id": "share",
        "scope": draw(st.sampled_from(["request.user", '""', "model.name"])),
        "hard_limit_usd": draw(st.sampled_from(["0.5 + 0.0", 'request.user == "vip" ? 0.9 : 0.003'])),
        "reserved_from": whole[0],
        "window": {"lifetime": True},
    }
    inner = {
        "id": "inner",
        "when": draw(_condition(_OF_MODELS)),
        "hard_limit_usd": draw(st.sampled_from(["0.001 + 0.0", "0.3 + 0.0"])),
        "reserved_from": draw(st.sampled_from([whole[0], "share"])),
        "window": {"lifetime": True},
    }
    return draw(st.permutations([*budgets, share, inner][: len(budgets) + draw(st.integers(1, 2))]))


def _outcome() -> st.SearchStrategy[dict[str, Any]]:
    """Return what an access rule does."""
    return st.sampled_from(
        [
            {"effect": "allow"}, {"effect": "deny"}, {"only_models": ["nano", "mini-latest"]},
            *({"only": condition} for condition in _OF_MODELS[-3:]),
        ]
    )  # fmt: skip


def _waived() -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(["fallbacks", "downgrades"]), unique=True)


_OPERATIONS: Final = (
    {"prefix": {"text": "Be brief. "}}, {"set_params": {"max_output_tokens": 7}}, {"redact": {"kinds": ["email"]}},
    {"remove_params": ["max_output_tokens"]}, {"clamp_params": {"temperature": {"max": 1}}},
    {"template": {"text": "{{ model }}: {{ prompt }}", "values": {"model": "model.name"}}},
    {"remove_tools": {"names": ["a"]}},
)  # fmt: skip


def _applied() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return what a route applies."""
    return st.lists(st.sampled_from(_OPERATIONS), max_size=2, unique_by=lambda operation: next(iter(operation)))


@st.composite
def policy_texts(draw: st.DrawFn) -> dict[str, Any]:
    """Return the rules of a policy without budgets."""
    access = [
        {"id": f"a{index}", "when": draw(_condition(_OF_MODELS)), "reason": "so"} | draw(_outcome())
        for index in range(draw(st.integers(0, 3)))
    ]
    routes = [
        {"id": f"r{index}", "when": draw(_condition()), "waive_terms_for": draw(_waived()), "apply": draw(_applied())}
        | draw(_target())
        for index in range(draw(st.integers(0, 3)))
    ]
    rewrites = [
        {
            "id": f"w{index}",
            "when": draw(_condition(_OF_MODELS)),
            "merge": "set_once",
            "apply": [draw(st.sampled_from(_OPERATIONS))],
        }
        for index in range(draw(st.integers(0, 2)))
    ]
    return {
        "on_error": draw(st.sampled_from(["deny", "skip"])),
        "access": access,
        "routes": routes,
        "rewrites": rewrites,
    }


def requests() -> st.SearchStrategy[dict[str, Any]]:
    """Return requests, some of which are not acceptable."""
    content = st.one_of(
        st.fixed_dictionaries({}),
        st.fixed_dictionaries({"prompt": _TEXT}),
        st.fixed_dictionaries({"messages": st.lists(_message(), max_size=3)}),
    )
    limit = st.integers(-1, 9000)
    rest = st.fixed_dictionaries(
        {},
        optional={
            "task": st.sampled_from(["chat", "code"]),
            "user": st.sampled_from(["eve", "vip", "", "\ud800"]),
            "id": st.sampled_from(["call-1", "call-2", "call-3", "call-4"]),
            "team": _TEXT,
            "model": st.sampled_from(MODELS),
            "prompt_tokens": st.integers(-1, 200_000),
            "max_output_tokens": limit,
            "params": st.dictionaries(
                st.sampled_from(["n", "temperature", "max_tokens", "tools", "system"]), _json_values()
            ),
            "tools": st.lists(st.just({"name": "a"}), max_size=1),
            "modalities": st.lists(st.sampled_from(["text", "image", "video"]), max_size=2),
            "response_format": _json_values(),
            "tags": st.lists(st.sampled_from(["a", "b"]), max_size=2),
            "cost_budget": st.floats(allow_nan=True),
            "warm_tokens": st.dictionaries(st.sampled_from(MODELS), st.integers(-1, 9000), max_size=3),
            "latency_budget_ms": st.floats(0, 3000),
            "metadata": st.dictionaries(st.sampled_from(["n", "flag"]), _json_values()),
            "unheard-of": st.just(1),
        },
    )
    return st.builds(lambda one, other: one | other, content, rest)


def _message() -> st.SearchStrategy[Any]:
    parts = st.lists(
        st.sampled_from(
            [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "u"}}, {"type": 5}, 7]
        ),
        max_size=2,
    )
    role = st.sampled_from(["system", "user", "assistant", "tool", None])
    return st.one_of(st.fixed_dictionaries({"role": role, "content": st.one_of(_TEXT, parts)}), _json_values())


def _json_values() -> st.SearchStrategy[Any]:
    scalars = st.one_of(st.none(), st.booleans(), st.integers(-3, 2**64), st.floats(), _TEXT)
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2), max_leaves=4
    )


@st.composite
def measures(draw: st.DrawFn, models: Collection[str]) -> dict[CallKind, Measured]:
    """Return what is known of calls on each budget: for some too little, or nothing."""
    known = {
        budget: draw(st.none() | st.builds(Measured, st.integers(2, 4), _RATIOS))
        for budget in ("day", "weighted", "spare")
    }
    return {
        CallKind(f"p0/{budget}", model, task, band): found
        for budget, found in known.items()
        for model in models
        for task in ("chat", "x")
        for band in range(4, 14)
        if found is not None
    }


_RATIOS: Final = st.sampled_from([Decimal(text) for text in ("0", "0.000001", "0.333333", "0.5", "0.999999", "1")])


def balances() -> st.SearchStrategy[dict[tuple[str, str], Balance]]:
    """Return states of some budgets."""
    keys = st.tuples(st.sampled_from([f"p0/{budget}" for budget in BUDGETS]), st.sampled_from(["", "vip", "eve"]))
    earlier = st.just(()) | st.lists(_AMOUNT, max_size=3).map(tuple)
    nothing = st.just(Decimal(0))
    states = st.builds(
        Balance, _AMOUNT, _AMOUNT | nothing, earlier=earlier, set_aside=nothing | _AMOUNT, reserved=st.none() | _AMOUNT
    )
    return st.dictionaries(keys, states, max_size=4)
