"""Rows that have to be decided by the engine itself, one by one, with the balances of their moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decide import decide
from costlens_policy.errors import RequestError
from costlens_policy.replay.columns.accounts import Account, Accounts
from costlens_policy.replay.columns.batch import ATTRIBUTE, instant
from costlens_policy.replay.columns.facts import REFUSED, FactsTable, facts_of
from costlens_policy.replay.columns.reads import PROMPT
from costlens_policy.replay.columns.tally import Tally

__all__ = ["Exactly"]


class Exactly:
    """The engine, over the accounts of a replay."""

    __slots__ = ("_accounts", "_attributes", "_facts", "_plan")

    def __init__(self, plan: Plan, attributes: Sequence[str], facts: FactsTable, accounts: Accounts) -> None:
        self._plan = plan
        self._attributes = tuple(attributes)
        self._facts = facts
        self._accounts = accounts

    def decide(
        self, request: Mapping[str, Any], at: int, prompt: int, tally: Tally
    ) -> tuple[int, tuple[tuple[Account, str], ...]]:
        """Return the code of the facts, and the accounts that the call is charged to, with their units."""
        self._accounts.now = at
        tally.made += 1
        try:
            decision = decide(self._plan, {**request, PROMPT: prompt}, self._accounts, instant(at))
        except RequestError:
            return self._facts.code(REFUSED), ()
        facts = facts_of(decision, prompt)
        charged = []
        for seen in decision.balances:
            account = self._accounts.of(seen.budget, seen.key)
            account.at(at)
            charged.append((account, seen.unit))
        for alert in decision.alerts:
            account = self._accounts.of(alert.budget, alert.key)
            account.at(at)
            tally.alert_once(account, alert.budget, alert.key, alert.at, alert.text, at)
        return self._facts.code(replace(facts, choices=facts.choices[:1])), tuple(charged)

    def requests(self, frame: pl.DataFrame) -> Callable[[int], dict[str, Any]]:
        """Return a function that gives the request of a row by its place, without the length of its prompt."""
        columns: list[tuple[str, list[Any]]] = []

        def request(place: int) -> dict[str, Any]:
            if not columns:
                given = [name for name in self._attributes if f"{ATTRIBUTE}{name}" in frame.columns]
                columns.extend((name, frame[f"{ATTRIBUTE}{name}"].to_list()) for name in given)
            return {name: values[place] for name, values in columns if values[place] is not None}

        return request
