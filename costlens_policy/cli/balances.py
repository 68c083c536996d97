"""Balances of budgets, as ``eval`` takes them and as decisions list them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from costlens_policy.cli.inputs import Input, read_input
from costlens_policy.cli.rejected import RejectedError, bad_balances
from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import key_problem
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.engine.context import Balances
from costlens_policy.engine.decision import Balance
from costlens_policy.money import usd

__all__ = ["read_balances"]

_KEYS: Final = ("budget", "key", "used", "held", "override", "topup")
_AMOUNTS: Final = ("used", "held", "override", "topup")


def read_balances(path: str, plan: Plan) -> Balances:
    """Read a list of objects with ``budget``, ``key``, ``used``, ``held``, ``override`` and ``topup``.

    Raises ``RejectedError`` with every problem.
    """
    given = read_input(path, "list of balances")
    if not isinstance(given.content, list):
        problem = bad_balances("balances are a list", given.place(()), "write `- {budget: policy/budget, used: 12.50}`")
        raise RejectedError([problem], (given.source,))
    problems = [item for index in range(len(given.content)) for item in _problems(given, index, plan)]
    if problems:
        raise RejectedError(problems, (given.source,))
    return {(plan.budgets[item["budget"]][1].id, item.get("key", "")): _balance(item) for item in given.content}


def _problems(given: Input, index: int, plan: Plan) -> Iterator[Diagnostic]:
    item = given.content[index]
    if not isinstance(item, dict):
        yield bad_balances("a balance is an object", given.place((index,)), f"its keys are {listed(_KEYS)}")
        return
    for key in item:
        if key not in _KEYS:
            yield bad_balances(f"unknown key `{key}`", given.key_place((index, key)), did_you_mean(key, _KEYS))
    budget = item.get("budget")
    if budget is None:
        yield bad_balances("a balance needs `budget`", given.place((index,)), "name the budget as `policy/budget`")
    elif budget not in plan.budgets:
        yield bad_balances(
            f"no budget `{budget}`", given.place((index, "budget")), did_you_mean(str(budget), plan.budgets)
        )
    if not isinstance(item.get("key", ""), str):
        yield bad_balances("`key` is a text", given.place((index, "key")), "put it in quotes")
    elif problem := key_problem(item.get("key", "")):
        yield bad_balances(f"`key` {problem}", given.place((index, "key")))
    for name in _AMOUNTS:
        if not _is_amount(item.get(name, 0)):
            yield bad_balances(f"`{name}` is a number from zero on", given.place((index, name)))


def _is_amount(value: Any) -> bool:
    try:
        usd(value)
    except (TypeError, ValueError):
        return False
    return True


def _balance(item: dict[str, Any]) -> Balance:
    override = _amount(item, "override") if "override" in item else None
    return Balance(_amount(item, "used"), _amount(item, "held"), override, _amount(item, "topup"))


def _amount(item: dict[str, Any], name: str) -> Decimal:
    return Decimal(item.get(name, 0))
