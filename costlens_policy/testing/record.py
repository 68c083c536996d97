"""From requests that were decided to a suite: what the policies decide of them today becomes what is expected.

Of requests that the rules treat alike, the shortest is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from costlens_policy.api import Engine
from costlens_policy.decision_log import decide_again
from costlens_policy.engine.decision import Balance, Decision
from costlens_policy.engine.states import balance_of
from costlens_policy.errors import InputError, RequestError
from costlens_policy.frozen import frozen
from costlens_policy.quantiles import Measures
from costlens_policy.testing.expected import everything_expected
from costlens_policy.testing.observation import Observation, observe
from costlens_policy.testing.vocabulary import Vocabulary
from costlens_policy.testing.written import WrittenCase, written_suite

__all__ = ["Recorded", "record"]

_EXPECTED: Final = (
    "effect", "model", "rule", "fallbacks", "shares", "ways_out", "rewrites", "alerts", "overflowed", "thresholds",
    "errors",
)  # fmt: skip
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
_LONGEST_LABEL: Final = 40
_MOST_LABELS: Final = 4


@frozen
class _Decided:
    """A request as it is written, on what balances and when, and what was decided."""

    request: Mapping[str, Any]
    balances: Mapping[tuple[str, str], Balance]
    now: datetime
    observation: Observation
    measured: Measures = field(default_factory=dict)


@frozen
class Recorded:
    """The cases that were made of ``lines``, and why lines were left out, by the number of the line from 1."""

    cases: tuple[WrittenCase, ...]
    now: datetime | None
    lines: int
    left_out: tuple[tuple[int, str], ...]

    def written(self, name: str, policy_set: str | Path) -> str:
        """Return the suite; ``policy_set`` is relative to the file that it is written to."""
        return written_suite(name, str(policy_set), self.now, self.cases)


def record(engine: Engine, lines: Iterable[str], now: datetime) -> Recorded:
    """Decide requests, one as JSON on each line, and return cases that expect what was decided.

    A line is a request, an object with ``request`` and perhaps ``balances`` and ``now``, or the entry of a decision
    log; entries of charges are passed over. ``now`` is the time of requests that have none. What masks make
    undecidable, what is no request, and what the policies do not accept, is left out.
    """
    known = Vocabulary(engine.plan)
    kept: dict[object, _Decided] = {}
    left_out: list[tuple[int, str]] = []
    number = 0
    for number, line in enumerate(lines, 1):
        try:
            decided = _decided(engine, line, now, known)
        except (InputError, RequestError) as error:
            left_out.append((number, str(error)))
            continue
        if decided is not None:
            signature = _signature(decided.observation)
            if signature not in kept or _length(decided) < _length(kept[signature]):
                kept[signature] = decided
    usual = next((item.now for item in kept.values()), None)
    cases = tuple(_case(item, usual, known) for item in kept.values())
    return Recorded(cases, usual, number, tuple(left_out))


def _decided(engine: Engine, line: str, now: datetime, known: Vocabulary) -> _Decided | None:
    """Return what is decided of a line, None for one that has nothing to decide. Raises ``InputError``."""
    row = _row(line)
    if row is None or row.get("kind") in ("charge", "release"):
        return None
    if "v" in row and row.get("kind") in ("decision", "hold"):
        return _of_log(engine, row, known)
    if not isinstance(row.get("request"), Mapping):
        row = {"request": row}
    at = _time(row["now"]) if "now" in row else now
    request = dict(row["request"])
    balances = dict(_balances(row.get("balances", ()), known))
    try:
        decision = engine.decide(request, balances=balances, now=at)
    except ValueError as error:
        raise InputError(str(error)) from error
    return _Decided(request, balances, at, observe(decision, known))


def _row(line: str) -> dict[str, Any] | None:
    if not line.strip():
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError("each line must be a JSON object, got something else") from None
    if not isinstance(row, dict):
        raise InputError("each line must be a JSON object, got something else")
    if _SURROGATE.search(line) and not _is_unicode(row):
        raise InputError("a text holds half of a surrogate pair, which no suite can hold")
    return row


def _is_unicode(row: object) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _of_log(engine: Engine, entry: dict[str, Any], known: Vocabulary) -> _Decided:
    found = decide_again(engine, entry)
    decision = found.decision
    if decision is None or (entry["masked"] and found.verdict != "same"):
        raise InputError(found.why or "the answer depends on what is masked")
    request = dict(entry["request"])
    if entry["masked"] and "prompt_tokens" in decision.request:
        request.setdefault("prompt_tokens", decision.request["prompt_tokens"])
    read = dict(decision.balances_read)
    return _Decided(request, read, decision.now, observe(decision, known), decision.measured)


def _time(text: Any) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise InputError(f"`now` must be a timestamp, got `{text}`") from None
    if found.tzinfo is None:
        raise InputError(f"`now` must have a time zone, got `{text}`")
    return found


def _balances(rows: Any, known: Vocabulary) -> Iterator[tuple[tuple[str, str], Balance]]:
    try:
        for row in rows:
            amounts = {name: Decimal(str(row[name])) for name in ("used", "held", "override", "topup") if name in row}
            yield (_budget(str(row["budget"]), known), str(row.get("key", ""))), balance_of({**row, **amounts})
    except (TypeError, KeyError, ValueError, ArithmeticError) as error:
        raise InputError(f"`balances` must be a list of budgets with `used`: {error}") from None


def _budget(name: str, known: Vocabulary) -> str:
    budget = known.budget(name)
    if budget is None:
        raise InputError(f"`{name}` is no budget, or one of several policies; name it as `policy/budget`")
    return budget


def _signature(observation: Observation) -> object:
    """Return what requests have in common that the rules treat alike."""
    decision = observation.decision
    return (
        decision.effect, decision.model, decision.rule, decision.fallbacks, decision.shares, decision.rewrites,
        tuple(item.way for item in decision.ways_out), tuple((item.model, item.by) for item in decision.excluded),
        observation.thresholds, tuple(item.code for item in decision.errors),
        tuple(sorted(observation.outcomes.items())),
    )  # fmt: skip


def _length(item: _Decided) -> int:
    return len(json.dumps(item.request, default=str)) + 50 * len(item.balances)


def _case(item: _Decided, usual: datetime | None, known: Vocabulary) -> WrittenCase:
    everything = everything_expected(item.observation, known)
    expect = {name: everything[name] for name in _EXPECTED if everything.get(name)}
    now = None if item.now == usual else item.now
    name = _name(item.observation.decision, item.request)
    return WrittenCase(name, item.request, expect, item.balances, now, measured=item.measured)


def _name(decision: Decision, request: Mapping[str, Any]) -> str:
    """Return a name in the words of the request and the policies: who asks for what, and what becomes of it."""
    labels = [
        f"{name} {value}"
        for name, value in request.items()
        if isinstance(value, str) and len(value) <= _LONGEST_LABEL and name not in ("prompt", "id", "session")
    ]
    who = ", ".join(labels[:_MOST_LABELS]) or "a plain request"
    by = "" if decision.rule == "default" else f" by {decision.rule}"
    return f"{who}: {decision.model}{by}" if decision.allowed else f"{who}: refused by {decision.rule}"
