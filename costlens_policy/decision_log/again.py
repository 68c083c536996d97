"""Deciding a logged request again, and whether the answer is the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from costlens_policy.api import Engine
from costlens_policy.checker.attributes import SIGNALS
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Plan
from costlens_policy.decision_log.entries import VERSION
from costlens_policy.engine.decision import Balance, Decision
from costlens_policy.engine.states import balance_of
from costlens_policy.errors import InputError, RequestError
from costlens_policy.frozen import frozen
from costlens_policy.quantiles import CallKind, Measured, Measures

__all__ = ["Redecided", "decide_again", "find_entry"]

_COMPARED: Final = (
    "effect", "model", "fallbacks", "rule", "reasons", "prompt", "system", "messages", "params", "rewrites", "changes",
    "estimate", "fallback_calls", "excluded", "alerts", "approvals", "balances", "overflowed", "shadowed", "errors",
)  # fmt: skip
"""What a decision came to. The rest of an entry is what it was made on."""
_OUTLINE: Final = ("effect", "model", "fallbacks", "rule")


_DIGESTS: Final = {"policy": "policies", "catalogue": "prices"}
Verdict: TypeAlias = Literal["same", "different", "undecidable"]


@frozen
class Redecided:
    """What became of a logged request that was decided again.

    ``verdict`` is ``same`` where all that was logged of the answer is the same to the byte, ``different``, or
    ``undecidable`` where the log does not have what the answer depends on: ``why`` says what. ``differences`` are the
    parts of the answer that differ, as they were and as they are.
    """

    verdict: Verdict
    why: str
    differences: Mapping[str, tuple[Any, Any]]
    decision: Decision | None

    @property
    def outline_is_same(self) -> bool:
        """Whether at least effect, model, fallbacks and rule are the same."""
        return self.decision is not None and not any(name in self.differences for name in _OUTLINE)


def find_entry(path: str | Path, id: str) -> dict[str, Any]:
    """Return the last decision with an id in a log. Raises ``InputError`` where there is none, or no such file."""
    found: dict[str, Any] | None = None
    for entry in _entries(path):
        if entry.get("id") == id and entry.get("kind") in ("decision", "hold"):
            found = entry
    if found is None:
        raise InputError(f"`{path}` has no decision `{id}`")
    return found


def _entries(path: str | Path) -> Iterator[dict[str, Any]]:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                try:
                    entry = json.loads(line)
                except (ValueError, RecursionError):
                    continue  # cut off, or something else
                if isinstance(entry, dict):
                    yield entry
    except (OSError, ValueError) as error:
        raise InputError(
            f"`{path}` cannot be read: {(getattr(error, 'strerror', None) or str(error)).lower()}"
        ) from error


def decide_again(engine: Engine, entry: Mapping[str, Any]) -> Redecided:
    """Decide a logged request by an engine, on the balances and at the time that were logged.

    All of the answer is compared but the record. It is ``undecidable`` where the policies or prices are others and the
    answer happens to be the same, where the ledger could not be reached, and where what is masked may decide: a rule
    reads it, a rewrite changes it, or the answer differs. Raises ``InputError`` for an entry that is damaged.
    """
    if entry.get("v") != VERSION:
        raise InputError(f"the entry must be of version {VERSION} of the log, got `{entry.get('v')}`")
    try:
        request, balances, now = dict(entry["request"]), _balances(entry), datetime.fromisoformat(entry["now"])
        measured = _measured(entry)
        masked = frozenset(map(str, entry["masked"]))
        digests = {name: entry[f"{name}_digest"] for name in _DIGESTS}
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise InputError(f"the entry is not that of a decision: {type(error).__name__}: {error}") from error
    plan = engine.plan
    counted = _with_tokens(request, entry) if masked else False
    try:
        decision = Engine(plan).decide(request, balances=balances, now=now, measured=measured)
    except (RequestError, ValueError) as error:
        return Redecided("undecidable", f"the request is not acceptable: {error}", {}, None)
    differences = _differences(entry, decision, counted)
    others = [what for name, what in _DIGESTS.items() if getattr(plan, f"{name}_digest") != digests[name]]
    why = ""
    if others:
        why = f"the {' and '.join(others)} are not those of the log"
        if differences and not masked:
            return Redecided("different", why, differences, decision)
    elif entry.get("notes"):
        why = "the ledger could not be reached"
    elif masked and (doubt := _doubt(plan, entry, decision, masked, differences)):
        why = doubt
    verdict: Verdict = "undecidable" if why else "different" if differences else "same"
    return Redecided(verdict, why, differences, decision)


def _doubt(
    plan: Plan, entry: Mapping[str, Any], decision: Decision, masked: frozenset[str], differences: Mapping[str, Any]
) -> str:
    """Return why what is masked may have decided; empty where it cannot have."""
    read = _attributes_read(plan) & masked
    if read:
        return f"rules read what is masked: {_named(read)}"
    known = dict(entry["request"]).get(SIGNALS) or {}
    unknown = decision.request.get(SIGNALS, {}).keys() - known
    if unknown and masked & {"prompt", "messages"}:
        return f"signals are worked out from what is masked: {_named(f'signals.{name}' for name in unknown)}"
    if entry.get("rewrites") or decision.rewrites:
        return f"rewrites change what is masked: {_named(masked)}"
    return f"the answer depends on what is masked: {_named(masked)}" if differences else ""


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _attributes_read(plan: Plan) -> frozenset[str]:
    """Return the attributes that any expression of a plan reads; all where one reads the request as a whole."""
    found: set[str] = set()
    for formula in _formulas((plan.layers, plan.defaults, plan.variables)):
        for path in formula.typed.references:
            if path[0] == "request":
                found.update(path[1:2] or plan.attributes)
    return frozenset(found)


def _formulas(value: Any) -> Iterator[Formula]:
    if isinstance(value, Formula):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _formulas(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _formulas(item)
    elif is_dataclass(value):
        for part in fields(value):
            yield from _formulas(getattr(value, part.name))


def _with_tokens(request: dict[str, Any], entry: Mapping[str, Any]) -> bool:
    """Give a request with masked texts the tokens that were counted; return whether it needed them."""
    tokens = entry.get("tokens")
    counted = tokens.get("prompt") if isinstance(tokens, Mapping) else None
    if "prompt_tokens" in request or not isinstance(counted, int):
        return False
    request["prompt_tokens"] = counted
    return True


def _differences(entry: Mapping[str, Any], decision: Decision, counted: bool) -> dict[str, tuple[Any, Any]]:
    now = json.loads(json.dumps(decision.to_dict(record=False)))
    before = dict(entry)
    if counted:  # what tells that tokens were estimated from texts that are not there any more
        before, now = _without_basis(before), _without_basis(now)
    return {name: (before.get(name), now[name]) for name in _COMPARED if before.get(name) != now[name]}


def _without_basis(answer: Mapping[str, Any]) -> dict[str, Any]:
    calls = answer.get("fallback_calls")
    found: dict[str, Any] = _unbased(answer)
    return found | {"fallback_calls": list(map(_unbased, calls))} if isinstance(calls, list) else found


def _unbased(call: Any) -> Any:
    estimate = call.get("estimate") if isinstance(call, Mapping) else None
    return {**call, "estimate": {**estimate, "basis": ""}} if isinstance(estimate, Mapping) else call


def _balances(entry: Mapping[str, Any]) -> dict[tuple[str, str], Balance]:
    return {(_text(item["budget"]), _text(item["key"])): balance_of(item) for item in entry["balances_read"]}


def _measured(entry: Mapping[str, Any]) -> Measures:
    return {
        CallKind(_text(item["budget"]), _text(item["model"]), _text(item["task"]), int(item["band"])): Measured(
            int(item["cases"]), _amount(item["ratio"])
        )
        for item in entry.get("measured", ())
    }


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a name must be a string, got `{value!r}`")
    return value


def _amount(value: Any) -> Decimal:
    amount = Decimal(_text(value))
    if not amount.is_finite():
        raise ValueError(f"an amount must be finite, got `{value}`")
    return amount
