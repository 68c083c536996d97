"""Budgets that stand in where others are full, held against the plain reading of the semantics."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costlens_policy import Balance, DeniedError

NOW: Final = datetime(2026, 4, 1, 12, tzinfo=UTC)
REQUEST: Final = {"prompt": "x", "prompt_tokens": 900, "max_output_tokens": 100, "task": "chat"}
CALL: Final = {"usd": Decimal("0.0011"), "tokens": Decimal(1000), "requests": Decimal(1)}
"""What `nano` adds in each unit."""

_BUDGETS: Final = st.lists(
    st.fixed_dictionaries(
        {
            "unit": st.sampled_from(list(CALL)),
            "room": st.sampled_from([Decimal("0.5"), Decimal(1), Decimal("1.5"), Decimal(3)]),
            "used": st.sampled_from([0, 1, 2]),
            "applies": st.sampled_from([True, True, True, False]),
            "shadow": st.sampled_from([False, False, False, True]),
            "overflow": st.none() | st.integers(1, 4),
        }
    ),
    min_size=1,
    max_size=6,
)


def _text(number: int, budget: dict[str, Any], known: int) -> dict[str, Any]:
    limit = budget["room"] * CALL[budget["unit"]]
    text = {
        "id": f"b{number}",
        "when": f'request.task == "{"chat" if budget["applies"] else "code"}"',
        f"hard_limit_{budget['unit']}": float(limit) if budget["unit"] == "usd" else int(limit),
        "window": {"calendar": "day"},
        "shadow": budget["shadow"],
    }
    after = number + (budget["overflow"] or known)
    return text | ({"overflow": f"b{after}"} if after < known else {})


def _plain(budgets: list[dict[str, Any]], texts: list[dict[str, Any]]) -> tuple[dict[str, str], str | None]:
    """Return by each full budget the one that counts the call, by each other one itself, and the one that refuses."""
    named = {text.get("overflow") for text in texts}
    counted: dict[str, str] = {}
    for first in texts:
        if first["id"] in named or not budgets[int(first["id"][1:])]["applies"]:
            continue
        full: list[str] = []
        name: str | None = first["id"]
        while name is not None:
            budget = budgets[int(name[1:])]
            if not budget["applies"]:
                return counted, first["id"]
            call = CALL[budget["unit"]]
            limit = budget["room"] * call
            limit = limit if budget["unit"] == "usd" else Decimal(int(limit))
            if budget["used"] * call + call <= limit or budget["shadow"]:
                counted |= dict.fromkeys([*full, name], name)
                break
            full.append(name)
            name = texts[int(name[1:])].get("overflow")
        else:
            return counted, first["id"]
    return counted, None


@given(_BUDGETS)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_which_budget_counts_a_call(company, budgets):
    texts = [_text(number, budget, len(budgets)) for number, budget in enumerate(budgets)]
    engine = company(f"on_error: deny\nbudgets: {json.dumps(texts)}")
    balances = {
        (f"p0/b{number}", ""): Balance(used=budget["used"] * CALL[budget["unit"]])
        for number, budget in enumerate(budgets)
    }
    decision = engine.decide(REQUEST, balances=balances, now=NOW)
    counted, refused = _plain(budgets, texts)
    assert decision.allowed == (refused is None)
    if refused is not None:
        assert [item.by for item in decision.excluded] == [f"p0/{refused}"]
        assert DeniedError(decision).budget == f"p0/{refused}"
        return
    assert {seen.budget for seen in decision.balances} == {f"p0/{name}" for name in counted.values()}
    assert len(decision.holds) == len(set(counted.values()))
    moved = {(f"p0/{name}", f"p0/{on}") for name, on in counted.items() if name != on}
    assert {(item.seen.budget, item.counted_on) for item in decision.overflowed} == moved
    assert len(decision.overflowed) == len(moved)
    for item in decision.overflowed:
        assert item.seen.used + item.seen.held + item.seen.call > item.seen.limit
    assert sum("counts on its overflow" in reason for reason in decision.reasons) == len(decision.overflowed)


def test_a_full_pool_of_several_budgets_is_asked_and_told_once(company):
    day = "window: {calendar: day}"
    engine = company(f"""
budgets:
  - {{id: one, hard_limit_requests: 1, overflow: pool, {day}}}
  - {{id: two, hard_limit_requests: 1, overflow: pool, {day}}}
  - id: pool
    hard_limit_requests: 1
    overflow: last
    thresholds: [{{at_ratio: 1, alert: full, rewrite: [{{suffix: {{text: " Be brief."}}}}]}}]
    {day}
  - {{id: last, hard_limit_requests: 9, {day}}}
""")
    balances = {(f"p0/{name}", ""): Balance(used=Decimal(1)) for name in ("one", "two", "pool")}
    decision = engine.decide(REQUEST, balances=balances, now=NOW)
    assert [(item.seen.budget, item.counted_on) for item in decision.overflowed] == [
        ("p0/one", "p0/last"), ("p0/pool", "p0/last"), ("p0/two", "p0/last"),
    ]  # fmt: skip
    assert [seen.budget for seen in decision.balances] == ["p0/last"]
    assert decision.prompt == "x Be brief."
    assert [alert.text for alert in decision.alerts] == ["full"]
